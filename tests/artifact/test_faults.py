"""A kill or a full disk at every single call of a save: a whole artifact is there after each.

Power cuts are in test_power_cuts.py.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pocketrec.artifact import files
from pocketrec.artifact.checkpoint import latest_checkpoint, save_checkpoint
from pocketrec.artifact.load import load_artifact
from pocketrec.artifact.manifest import Manifest
from pocketrec.artifact.save import save_artifact
from pocketrec.spec.errors import ArtifactError

WAYS = ("kill", "torn", "once", "full", "broken", "late")


def model(seed: int) -> Manifest:
    return Manifest(kind="model", content={"seed": seed})


def all_names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def named_files(path: Path) -> set[str]:
    return {"manifest.json", *(entry.name for entry in load_artifact(path, verify="lazy").manifest.files)}


def run(disk: Any, killed: type[BaseException], at: int, way: str, act: Callable[[], object]) -> str:
    """Act on a disk that fails: how it ended, and the disk works again."""
    disk.arm(at, way)
    try:
        act()
    except killed:
        return "killed"
    except ArtifactError:
        return "refused"
    finally:
        disk.disarm()
    return "done"


@pytest.mark.parametrize("way", WAYS)
def test_first_save(way: str, tmp_path: Path, disk: Any, killed: Any, make_parts: Any, holds: Any) -> None:
    parts = {"tables": make_parts(1)["tables"]}
    calls = disk.calls_of(lambda: save_artifact(tmp_path / "count" / "model", model(1), parts))
    assert {"make_folder", "create", "write", "sync_file", "rename", "sync_folder", "locked", "free_bytes"} <= set(
        calls
    )
    for at in range(1, len(calls) + 1):
        path = tmp_path / f"{at}" / "model"
        ended = run(disk, killed, at, way, lambda path=path: save_artifact(path, model(1), parts))
        if (path / "manifest.json").exists():
            assert holds(load_artifact(path), parts), at
        else:
            assert ended != "done", at
            with pytest.raises(ArtifactError):
                load_artifact(path)
        save_artifact(path, model(1), parts)
        assert holds(load_artifact(path), parts)
        assert all_names(path) == named_files(path)


@pytest.mark.parametrize("way", WAYS)
def test_save_over_another(way: str, tmp_path: Path, disk: Any, killed: Any, old_and_new: Any, holds: Any) -> None:
    old, new = old_and_new
    path = tmp_path / "model"
    save_artifact(path, model(1), old)
    calls = disk.calls_of(lambda: save_artifact(path, model(2), new))
    seen = set()
    for at in range(1, len(calls) + 1):
        save_artifact(path, model(1), old)
        ended = run(disk, killed, at, way, lambda: save_artifact(path, model(2), new))
        artifact = load_artifact(path)
        seed = artifact.manifest.content["seed"]
        assert holds(artifact, old if seed == 1 else new), at
        assert seed == 2 or ended != "done", at
        if ended == "refused" and seed == 1 and way in ("once", "full"):
            assert all_names(path) == named_files(path), (at, calls[at - 1])
        seen.add((ended, seed))
    stopped = "killed" if way in ("kill", "torn") else "refused"
    assert {(stopped, 1), (stopped, 2)} <= seen or way in ("once", "full")
    assert (stopped, 1) in seen
    save_artifact(path, model(2), new)
    assert all_names(path) == named_files(path)


@pytest.mark.parametrize("way", WAYS)
def test_checkpoints(way: str, tmp_path: Path, disk: Any, killed: Any, make_parts: Any, holds: Any) -> None:
    parts = {step: {"nets": make_parts(step)["nets"]} for step in (1, 2, 3, 4)}

    def before(folder: Path) -> None:
        for step in (1, 2):
            save_checkpoint(folder, step, {"step": step}, parts[step])

    before(tmp_path / "count")
    calls = disk.calls_of(lambda: save_checkpoint(tmp_path / "count", 3, {"step": 3}, parts[3]))
    assert {"remove", "remove_folder", "list_names"} <= set(calls)
    for at in range(1, len(calls) + 1):
        folder = tmp_path / str(at)
        before(folder)
        ended = run(disk, killed, at, way, lambda folder=folder: save_checkpoint(folder, 3, {"step": 3}, parts[3]))
        found = latest_checkpoint(folder)
        assert found is not None
        step = found.manifest.content["step"]
        assert step == 3 or (step == 2 and ended != "done"), at
        assert holds(found, parts[step])
        # the run goes on, and what the fault left is gone
        save_checkpoint(folder, 4, {"step": 4}, parts[4])
        found = latest_checkpoint(folder)
        assert found is not None
        assert found.manifest.content == {"step": 4}
        assert found.skipped == ()
        assert len(list(folder.iterdir())) == 2, at


def test_a_full_disk_is_refused_with_numbers_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Any, make_parts: Any, holds: Any
) -> None:
    path = tmp_path / "model"
    save_artifact(path, model(1), make_parts(1))
    disk.disarm()
    monkeypatch.setattr(files, "free_bytes", lambda folder: 1000)
    with pytest.raises(ArtifactError, match=r"needs [\d,]{6,} bytes, and 1,000 are free .* Free [\d,]+ bytes"):
        save_artifact(path, model(2), make_parts(2))
    assert not {"create", "write", "rename"} & {name for name, _ in disk.calls}
    assert holds(load_artifact(path), make_parts(1))


def test_a_disk_that_fills_up_and_one_that_breaks_are_told_apart(tmp_path: Path, disk: Any, make_parts: Any) -> None:
    calls = disk.calls_of(lambda: save_artifact(tmp_path / "count", model(1), make_parts(1)))
    for way, why in (
        ("full", r"No space to save .*model: it needs about [\d,]{6,} bytes"),
        ("broken", r"Cannot save .*model"),
    ):
        disk.arm(calls.index("write") + 1, way)
        with pytest.raises(ArtifactError, match=why):
            save_artifact(tmp_path / "model", model(1), make_parts(1))
        disk.disarm()
    disk.arm(2, "full")
    with pytest.raises(ArtifactError, match=r"No space to save .*run: the disk"):
        save_checkpoint(tmp_path / "run", 1, {}, make_parts(1))


def test_a_disk_that_does_not_tell_its_space_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_parts: Any, holds: Any
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda folder: None)
    save_artifact(tmp_path / "model", model(1), make_parts(1))
    assert holds(load_artifact(tmp_path / "model"), make_parts(1))


# ---------------------------------------------------------------- real kills


def die_in_a_child(act: Callable[[], object], *, after_s: float = 30) -> int:
    """Act in a forked process, killed with SIGKILL after so many seconds. Gives the signal that ended it."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            act()
        os._exit(1)
    deadline = time.monotonic() + after_s
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.0005)
    return os.WTERMSIG(ended[1]) if os.WIFSIGNALED(ended[1]) else 0


@pytest.mark.slow
def test_sigkill_at_every_call_of_a_checkpoint(tmp_path: Path, disk: Any, make_parts: Any, holds: Any) -> None:
    parts = {step: {"bank": make_parts(step)["tables"]} for step in (1, 2, 3)}
    save_checkpoint(tmp_path / "count", 1, {"step": 1}, parts[1], keep=1)
    calls = disk.calls_of(lambda: save_checkpoint(tmp_path / "count", 2, {"step": 2}, parts[2], keep=1))

    real_call = disk.call

    def lethal(name: str, real: Callable[..., Any], *arguments: Any) -> Any:
        if len(disk.calls) + 1 == disk.at:
            if name == "write":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real_call(name, real, *arguments)

    for at in range(1, len(calls) + 1):
        folder = tmp_path / str(at)
        save_checkpoint(folder, 1, {"step": 1}, parts[1], keep=1)
        disk.disarm()
        disk.at, disk.call = at, lethal
        ended = die_in_a_child(lambda folder=folder: save_checkpoint(folder, 2, {"step": 2}, parts[2], keep=1))
        disk.call = real_call
        disk.disarm()
        assert ended == signal.SIGKILL, at
        found = latest_checkpoint(folder)
        assert found is not None
        assert holds(found, parts[found.manifest.content["step"]])
        save_checkpoint(folder, 3, {"step": 3}, parts[3], keep=1)
        assert len(list(folder.iterdir())) == 1


@pytest.mark.slow
def test_sigkill_at_random_moments(tmp_path: Path, make_parts: Any, holds: Any) -> None:
    folder, path = tmp_path / "run", tmp_path / "model"
    save_checkpoint(folder, 0, {"step": 0}, make_parts(0))
    save_artifact(path, model(0), make_parts(0))

    def train_on(step: int) -> None:
        while True:
            step += 1
            save_checkpoint(folder, step, {"step": step}, make_parts(step))
            save_artifact(path, model(step), make_parts(step))

    reached = 0
    for turn in range(10):
        assert die_in_a_child(lambda start=reached: train_on(start), after_s=0.02 + 0.013 * turn) == signal.SIGKILL
        found, artifact = latest_checkpoint(folder), load_artifact(path)
        assert found is not None
        step, seed = found.manifest.content["step"], artifact.manifest.content["seed"]
        assert holds(found, make_parts(step))
        assert holds(artifact, make_parts(seed))
        assert step >= reached
        assert seed in (step, step - 1) or seed <= step
        reached = step
    assert reached > 0
