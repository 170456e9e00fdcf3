"""A power cut after every call of a save, on a disk that keeps only what it promised: a whole artifact is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketrec.artifact import files
from pocketrec.artifact.checkpoint import latest_checkpoint, save_checkpoint
from pocketrec.artifact.load import load_artifact
from pocketrec.artifact.manifest import Manifest
from pocketrec.artifact.save import save_artifact
from pocketrec.spec.errors import ArtifactError


def model(seed: int) -> Manifest:
    return Manifest(kind="model", content={"seed": seed})


class Platter:
    """What is on the disk itself, as little as POSIX promises: a file's bytes as of its last fsync, a folder's names as
    of its last fsync, and any choice of the changes of names since then.
    """  # fmt: skip

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bytes: list[bytes] = []  # by file, as it is on the disk
        self.written: list[bytes] = []  # by file, as the kernel has it
        self.live: dict[Path, int | None] = {}  # None: a folder
        self.open: dict[int, int] = {}
        self.pending: list[tuple[Path, dict[Path, int | None], set[Path]]] = []  # folder, names set, names gone
        for path in sorted(root.rglob("*")):
            self.live[path] = None if path.is_dir() else self._file(path.read_bytes())
        self.durable = dict(self.live)

    def _file(self, data: bytes) -> int:
        self.bytes.append(data)
        self.written.append(data)
        return len(self.bytes) - 1

    def _change(self, folder: Path, names: dict[Path, int | None], gone: set[Path]) -> None:
        self.pending.append((folder, names, gone))
        self.live = {path: kind for path, kind in self.live.items() if path not in gone} | names

    def after(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Take note of a call."""
        first = arguments[0]
        if name == "create":
            self.open[result] = self._file(b"")
            self._change(first.parent, {first: self.open[result]}, set())
        elif name == "write":
            self.written[self.open[first]] += bytes(arguments[1])
        elif name == "sync_file":
            self.bytes[self.open[first]] = self.written[self.open[first]]
        elif name == "rename":
            self._change(first.parent, {arguments[1]: self.live[first]}, {first})
        elif name in ("remove", "remove_folder") and first in self.live:
            self._change(first.parent, {}, {first})
        elif name == "make_folder" and first not in self.live:
            self._change(first.parent, {first: None}, set())
        elif name == "sync_folder":
            self.durable = self._with([change for change in self.pending if change[0] == first])
            self.pending = [change for change in self.pending if change[0] != first]

    def _with(self, changes: list[tuple[Path, dict[Path, int | None], set[Path]]]) -> dict[Path, int | None]:
        names = dict(self.durable)
        for _, added, gone in changes:
            names = {path: kind for path, kind in names.items() if path not in gone} | added
        return names

    def cuts(self) -> Iterator[dict[Path, int | None]]:
        """What may be there after a cut now: no change of names, all, each one alone, all but one."""
        count = len(self.pending)
        choices = {frozenset(), frozenset(range(count))}
        choices |= {frozenset({k}) for k in range(count)} | {frozenset(range(count)) - {k} for k in range(count)}
        for choice in choices:
            yield self._with([self.pending[k] for k in sorted(choice)])

    def lay_out(self, names: dict[Path, int | None], target: Path) -> None:
        for path, kind in sorted(names.items()):
            place = target / path.relative_to(self.root)
            if not place.parent.is_dir():
                continue  # its folder did not reach the disk
            if kind is None:
                place.mkdir()
            else:
                place.write_bytes(self.bytes[kind])


def cut_everywhere(root: Path, disk: Any, act: Callable[[], object], check: Callable[[Path, bool], None]) -> int:
    """Act, and check what a power cut after each call would leave; True stands for the cuts after the end."""
    platter, seen, laid = Platter(root), set(), 0

    def look(done: bool) -> None:
        nonlocal laid
        for names in platter.cuts():
            key = (
                done,
                *((path, None if kind is None else platter.bytes[kind]) for path, kind in sorted(names.items())),
            )
            if key not in seen:
                seen.add(key)
                laid += 1
                target = root.parent / f"cut-{laid}"
                target.mkdir()
                platter.lay_out(names, target)
                check(target, done)

    real_call = disk.call

    def call(name: str, real: Callable[..., Any], *arguments: Any) -> Any:
        result = real_call(name, real, *arguments)  # if it fails, it had no effect
        platter.after(name, arguments, result)
        armed, disk.at, disk.call = disk.at, 0, real_call
        calls = list(disk.calls)
        look(done=False)
        disk.at, disk.call, disk.calls = armed, call, calls
        return result

    disk.call = call
    act()
    disk.at, disk.call = 0, real_call
    look(done=True)
    return laid


def test_a_power_cut_anywhere_in_a_save_over_another(tmp_path: Path, disk: Any, old_and_new: Any, holds: Any) -> None:
    old, new = old_and_new
    root = tmp_path / "disk"
    save_artifact(root / "model", model(1), old)
    seeds = set()

    def check(target: Path, done: bool) -> None:
        artifact = load_artifact(target / "model")
        seed = artifact.manifest.content["seed"]
        assert holds(artifact, old if seed == 1 else new)
        assert seed == 2 or not done
        seeds.add(seed)

    laid = cut_everywhere(root, disk, lambda: save_artifact(root / "model", model(2), new), check)
    assert laid > 10
    assert seeds == {1, 2}


def test_a_power_cut_after_a_sync_that_failed(tmp_path: Path, disk: Any, old_and_new: Any, holds: Any) -> None:
    # the new manifest may stand there and not be on the disk: what the old one names must not be swept
    old, new = old_and_new
    save_artifact(tmp_path / "count" / "model", model(1), old)
    calls = disk.calls_of(lambda: save_artifact(tmp_path / "count" / "model", model(2), new))

    def check(target: Path, done: bool) -> None:
        artifact = load_artifact(target / "model")
        assert holds(artifact, old if artifact.manifest.content["seed"] == 1 else new)

    for at in (k for k, name in enumerate(calls, 1) if name.startswith("sync_")):
        root = tmp_path / str(at) / "disk"
        save_artifact(root / "model", model(1), old)
        disk.arm(at, "once")

        def act(root: Path = root) -> None:
            with pytest.raises(ArtifactError):
                save_artifact(root / "model", model(2), new)

        assert cut_everywhere(root, disk, act, check) > 1
        disk.disarm()


def test_a_power_cut_in_the_save_after_a_sync_that_failed(
    tmp_path: Path, disk: Any, old_and_new: Any, holds: Any
) -> None:
    # the second save finds a manifest that may not be on the disk, and must not sweep what the one before it names
    old, new = old_and_new
    save_artifact(tmp_path / "count" / "model", model(1), old)
    calls = disk.calls_of(lambda: save_artifact(tmp_path / "count" / "model", model(2), new))
    root = tmp_path / "disk"
    save_artifact(root / "model", model(1), old)
    seeds = set()

    def act() -> None:
        disk.disarm()
        disk.at, disk.way = max(k for k, name in enumerate(calls, 1) if name == "sync_folder"), "once"
        with pytest.raises(ArtifactError):
            save_artifact(root / "model", model(2), new)
        disk.at = 0
        save_artifact(root / "model", model(3), old)

    def check(target: Path, done: bool) -> None:
        artifact = load_artifact(target / "model")
        seed = artifact.manifest.content["seed"]
        assert holds(artifact, new if seed == 2 else old)
        seeds.add(seed)

    cut_everywhere(root, disk, act, check)
    assert seeds == {1, 2, 3}


def test_a_power_cut_anywhere_in_a_first_save(tmp_path: Path, disk: Any, make_parts: Any, holds: Any) -> None:
    root = tmp_path / "disk"
    root.mkdir()

    def check(target: Path, done: bool) -> None:
        path = target / "runs" / "model"
        if (path / "manifest.json").exists() or done:
            assert holds(load_artifact(path), make_parts(1))

    assert (
        cut_everywhere(root, disk, lambda: save_artifact(root / "runs" / "model", model(1), make_parts(1)), check) > 10
    )


def test_a_power_cut_after_a_save_that_came_after_a_kill(
    tmp_path: Path, disk: Any, killed: Any, make_parts: Any, holds: Any
) -> None:
    # the first process made the folder and died before that was on the disk; the second finds the folder there
    root = tmp_path / "disk"
    root.mkdir()
    calls = disk.calls_of(lambda: save_artifact(tmp_path / "count", model(1), make_parts(1)))
    assert calls[:3] == ["real_path", "make_folder", "sync_folder"]

    def act() -> None:
        disk.at, disk.way = 3, "kill"
        with pytest.raises(killed):
            save_artifact(root / "model", model(1), make_parts(1))
        disk.at, disk.dead = 0, False
        save_artifact(root / "model", model(1), make_parts(1))

    def check(target: Path, done: bool) -> None:
        if done:
            assert holds(load_artifact(target / "model"), make_parts(1))

    cut_everywhere(root, disk, act, check)


def test_a_power_cut_anywhere_in_a_checkpoint(tmp_path: Path, disk: Any, make_parts: Any, holds: Any) -> None:
    root = tmp_path / "disk"
    parts = {step: {"nets": make_parts(step)["nets"]} for step in (1, 2, 3)}
    for step in (1, 2):
        save_checkpoint(root / "run", step, {"step": step}, parts[step])
    steps = set()

    def check(target: Path, done: bool) -> None:
        found = latest_checkpoint(target / "run")
        assert found is not None
        step = found.manifest.content["step"]
        assert holds(found, parts[step])
        assert step == 3 or (step == 2 and not done)
        steps.add(step)

    laid = cut_everywhere(root, disk, lambda: save_checkpoint(root / "run", 3, {"step": 3}, parts[3]), check)
    assert laid > 10
    assert steps == {2, 3}


def test_the_platter_forgets_what_was_not_synced(tmp_path: Path, disk: Any) -> None:
    # the test of the test: without the two kinds of fsync, a renamed file is empty or not there
    root = tmp_path / "disk"
    root.mkdir()
    left = set()

    def careless() -> None:
        file = files.create(root / "a.tmp")
        files.write(file, b"data")
        files.close(file)
        files.rename(root / "a.tmp", root / "a")

    def check(target: Path, done: bool) -> None:
        if done:
            left.add((target / "a").read_bytes() if (target / "a").exists() else None)

    cut_everywhere(root, disk, careless, check)
    assert left == {None, b""}
