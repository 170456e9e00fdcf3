"""Killed at any moment, a run goes on and ends as if nothing had been."""

from __future__ import annotations

import errno
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from pocketrec.artifact import files
from pocketrec.artifact.checkpoint import latest_checkpoint
from pocketrec.spec.errors import ArtifactError

# 3 epochs of 4 batches, a checkpoint after every second one
LONG = {"epochs": 3, "checkpoint_steps": 2, "patience": None}
# 5 epochs of 20 batches, to be killed again and again
KILLED = {"epochs": 5, "checkpoint_steps": 3, "patience": None}
# 2 epochs of 2 batches, a checkpoint after every one, and few tensors: for hundreds of runs
SHORT = {"epochs": 2, "checkpoint_steps": 1, "patience": None, "dense_optimizer": "sgd"}


def trainer(planted: ModuleType, folder: Path | None, run: dict[str, Any] = LONG, **arguments: Any) -> Any:
    rows = {3: 1000, 2: 200, 1: 100}[run["checkpoint_steps"]]
    return planted.trainer(given=planted.data(rows, 60), folder=folder, config=run, **arguments)


class Whole:
    """An uninterrupted run: its end, and all its tensors after every step."""

    def __init__(self, planted: ModuleType, run: dict[str, Any]) -> None:
        self.planted, made = planted, trainer(planted, None, run)
        self.after: dict[int, Any] = {}
        made.watcher = planted.Watch(on_step=lambda step: self.after.update({step: self._now(made)}))
        self.outcome = made.run()
        self.end = planted.tensors(self.outcome)

    def _now(self, made: Any) -> Any:
        parts = self.planted.parts_of(made.model, made.optimizer)
        return {f"{part}.{name}": t.clone() for part, found in parts.items() for name, t in found.items()}

    def check_end(self, outcome: Any) -> None:
        """The same end, bit by bit."""
        found = self.planted.tensors(outcome)
        assert found.keys() == self.end.keys()
        assert [name for name, t in found.items() if not torch.equal(t, self.end[name])] == []
        expected = self.planted.without_times(self.outcome.history)
        assert self.planted.without_times(outcome.history) == expected
        assert (outcome.best_epoch, outcome.validation) == (self.outcome.best_epoch, self.outcome.validation)
        assert outcome.progressive == self.outcome.progressive is not None

    def check_checkpoint(self, folder: Path, *, at_least: int = 0) -> int:
        """The newest checkpoint holds what training held at its step; which step that is (0: there is none)."""
        found = latest_checkpoint(folder)
        if found is None:
            assert at_least == 0
            return 0
        step = int(found.manifest.content["state"]["step"])
        held = {f"{part}.{name}": t for part in found.parts for name, t in found.tensors(part).items()}
        assert all(torch.equal(t, held[name]) for name, t in self.after[step].items())
        assert step >= at_least
        return step


@pytest.fixture(scope="module")
def long(planted: ModuleType) -> Whole:
    return Whole(planted, LONG)


@pytest.fixture(scope="module")
def short(planted: ModuleType) -> Whole:
    return Whole(planted, SHORT)


# -- every call that reaches the disk ------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is dead: no `except Exception` sees it, and nothing more reaches the disk."""


class Disk:
    """Counts all calls to the file system, and fails at one of them.

    ways:
        kill: the process is dead before the call.
        torn: the same, but half of a write got out.
        once: the call says that the disk is full; all others succeed.
        full: from that call on nothing can be made or written.
    """

    def __init__(self, at: int = 0, way: str = "kill") -> None:
        self.at, self.way, self.calls, self.dead = at, way, 0, False
        self.names: list[str] = []

    def call(self, name: str, real: Callable[..., Any], *arguments: Any) -> Any:
        if self.dead:
            if name == "close":
                real(*arguments)  # a dead process keeps no file open either
            raise Killed
        self.calls += 1
        self.names.append(name)
        if not self.at or self.calls < self.at:
            return real(*arguments)
        if self.calls == self.at and self.way in ("kill", "torn"):
            if name == "write" and self.way == "torn":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            if name == "close":
                real(*arguments)
            self.dead = True
            raise Killed
        if self.calls == self.at or (self.way == "full" and name in ("create", "write", "make_folder", "rename")):
            if name == "close":
                real(*arguments)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)


@contextmanager
def standing_before(disk: Disk) -> Iterator[Disk]:
    """Every function of `artifact.files` goes through the disk."""
    with pytest.MonkeyPatch.context() as patch:
        for name in files.__all__:
            if name != "locked":
                real = getattr(files, name)
                patch.setattr(files, name, lambda *a, name=name, real=real: disk.call(name, real, *a))
        yield disk


@pytest.fixture(scope="module")
def calls(planted: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of all calls of one short run."""
    folder = tmp_path_factory.mktemp("counted")
    with pytest.MonkeyPatch.context() as patch, standing_before(Disk()) as disk:
        patch.setattr(os, "fsync", lambda file: None)
        trainer(planted, folder, SHORT).run()
    return disk.names


# What changes the disk, or brings it there.
CHANGING = {"create", "write", "sync_file", "sync_folder", "rename", "remove", "remove_folder", "make_folder"}


def test_a_run_makes_all_the_calls_that_are_failed_below(calls: list[str]) -> None:
    assert set(calls) >= CHANGING
    assert sum(name in CHANGING for name in calls) > 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "kinds", "every", "ends"),
    [
        ("kill", CHANGING, 1, {"killed"}),
        ("torn", {"write"}, 4, {"killed"}),
        ("once", CHANGING, 4, {"refused", "done"}),  # what is too old is removed next time, if it cannot be now
        ("full", CHANGING, 4, {"refused", "done"}),
    ],
)
def test_a_fault_at_any_call_of_a_checkpoint_leaves_one_whole_and_the_end_the_same(
    planted: ModuleType, short: Whole, calls: list[str], tmp_path: Path,
    way: str, kinds: set[str], every: int, ends: set[str],
) -> None:  # fmt: skip
    ended = set()
    for at in [n for n, name in enumerate(calls, start=1) if name in kinds][::every]:
        folder = tmp_path / str(at)
        watch = planted.Watch()
        with standing_before(Disk(at, way)):
            ended.add(_how_it_ends(trainer(planted, folder, SHORT, watcher=watch), folder))
        # of what was saved before the step of the save that failed, nothing is lost
        short.check_checkpoint(folder, at_least=max(0, (watch.steps or [0])[-1] - 1))
        short.check_end(trainer(planted, folder, SHORT).run())
    assert ended == ends


def _how_it_ends(made: Any, folder: Path) -> str:
    try:
        made.run()
    except Killed:
        return "killed"
    except ArtifactError as error:
        return "refused" if str(folder) in str(error) and "space" in str(error) else f"unclear: {error}"
    return "done"


def test_a_full_disk_ends_the_run_with_a_clear_error_and_the_last_checkpoint_whole(
    planted: ModuleType, long: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(step: int) -> None:
        if step == 5:
            monkeypatch.setattr(files, "free_bytes", lambda folder: 1000)

    made = trainer(planted, tmp_path, watcher=planted.Watch(on_step=fill_the_disk))
    with pytest.raises(ArtifactError, match=r"No space to save .*needs [\d,]+ bytes, and 1,000 are free .*Free [\d,]+"):
        made.run()
    assert long.check_checkpoint(tmp_path) == 4
    monkeypatch.undo()
    long.check_end(trainer(planted, tmp_path).run())


def test_a_second_run_in_the_folder_of_a_finished_one_writes_nothing(planted: ModuleType, tmp_path: Path) -> None:
    trainer(planted, tmp_path).run()
    with standing_before(Disk()) as disk:
        trainer(planted, tmp_path).run()
    assert not {"create", "write", "rename", "remove", "make_folder"} & set(disk.names)


# -- SIGKILL -------------------------------------------------------------------------------------------------------


def forked(act: Callable[[], object]) -> int:
    """Act in a process of its own."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            act()
            os._exit(0)
        os._exit(1)
    return child


@pytest.mark.slow
def test_sigkill_at_ten_random_moments(planted: ModuleType, tmp_path: Path) -> None:
    whole, draw, reached = Whole(planted, KILLED), random.Random(2), [0]
    hear, tell = os.pipe()

    def made_a_step(step: int) -> None:
        os.write(tell, b".")
        time.sleep(0.02)

    for _ in range(10):
        watch = planted.Watch(on_step=made_a_step)
        child = forked(lambda watch=watch: trainer(planted, tmp_path, KILLED, watcher=watch).run())
        assert select.select([hear], [], [], 60)[0], "no step within a minute"
        time.sleep(draw.uniform(0, 0.2))
        os.kill(child, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        os.set_blocking(hear, False)
        with suppress(BlockingIOError):  # forget the steps it made meanwhile
            os.read(hear, 4096)
        os.set_blocking(hear, True)
        reached.append(whole.check_checkpoint(tmp_path, at_least=reached[-1]))
    os.close(hear)
    os.close(tell)
    assert 0 < reached[-1] < 100
    outcome = trainer(planted, tmp_path, KILLED).run()
    assert f"Went on at step {reached[-1]} " in outcome.notes[0]
    whole.check_end(outcome)


# -- signals to a program ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_is_interrupted_ends_at_a_step_with_a_checkpoint(
    planted: ModuleType, program: Path, tmp_path: Path, number: int
) -> None:
    started = [sys.executable, str(program), str(tmp_path / "run"), str(tmp_path / "out")]
    told: list[int] = []
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(int(line))
            if told[-1] == 9:
                process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode != 0
    assert "KeyboardInterrupt" in said
    assert not (tmp_path / "out").exists()
    found = latest_checkpoint(tmp_path / "run")
    assert found is not None
    assert found.manifest.content["state"]["step"] == told[-1] < 24
    again = subprocess.run(started, capture_output=True, text=True, check=True)
    assert [int(line) for line in again.stdout.split()] == list(range(told[-1] + 1, 25))
    subprocess.run([*started[:2], str(tmp_path / "other"), str(tmp_path / "whole")], check=True, capture_output=True)
    resumed, expected = (latest_checkpoint(tmp_path / name) for name in ("out", "whole"))
    assert resumed is not None
    assert expected is not None
    for part in expected.parts:
        theirs = expected.tensors(part)
        assert all(torch.equal(t, theirs[name]) for name, t in resumed.tensors(part).items())
    histories = [planted.without_times(a.manifest.content["state"]["history"]) for a in (resumed, expected)]
    assert histories[0] == histories[1]
