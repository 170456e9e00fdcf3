"""What the tests of the disk share: small parts of every type, exact comparison, and a disk that fails on command."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pocketrec.artifact import files
from pocketrec.artifact.load import Artifact

Parts = dict[str, dict[str, Any]]


def _numbers(seed: int, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    count = int(np.prod(shape))
    return ((torch.arange(count) * 7 + seed) % 100).to(dtype).reshape(shape)


@pytest.fixture
def make_parts() -> Callable[[int], Parts]:
    """Parts made from a seed: every type, odd sizes, no rows, no axes, a transposed tensor, an array of NumPy."""

    def make(seed: int) -> Parts:
        return {
            "tables": {
                "item.rows": _numbers(seed, (37, 4), torch.float32),
                "user.codes": _numbers(seed, (11, 3), torch.int8),
                "user.scale": _numbers(seed, (11,), torch.float16),
                "none": torch.empty(0, 8),
                "map": _numbers(seed, (5,), torch.int32),
                "turned": _numbers(seed, (6, 9), torch.bfloat16).t(),
            },
            "nets": {"bias": torch.tensor(seed / 8, dtype=torch.float64), "bytes": _numbers(seed, (65,), torch.uint8)},
            "vocabulary": {"keys": np.arange(seed, seed + 9, dtype=np.int64) * 2**40},
            "empty": {},
        }

    return make


@pytest.fixture
def old_and_new(make_parts: Callable[[int], Parts]) -> tuple[Parts, Parts]:
    """Parts to save over each other. One stays as it is: its file is in the old artifact and in the new one."""
    old, new = make_parts(1), make_parts(2)
    return {name: old[name] for name in ("tables", "nets")}, {"tables": new["tables"], "nets": old["nets"]}


def _same(stored: torch.Tensor, given: Any) -> bool:
    given = torch.as_tensor(given)
    return stored.dtype == given.dtype and stored.shape == given.shape and torch.equal(stored, given)


@pytest.fixture
def holds() -> Callable[[Artifact, Mapping[str, Mapping[str, Any]]], bool]:
    """Whether an artifact holds exactly these parts."""

    def compare(artifact: Artifact, parts: Mapping[str, Mapping[str, Any]]) -> bool:
        if artifact.parts != tuple(parts):
            return False
        for part, tensors in parts.items():
            stored = artifact.tensors(part)
            if list(stored) != list(tensors) or not all(_same(stored[name], tensors[name]) for name in tensors):
                return False
        return True

    return compare


class Killed(BaseException):
    """The process is dead. No `except Exception` and no `except OSError` sees it, and nothing more reaches the disk."""


class Disk:
    """Stands before every function of `files`, counts the calls, and fails at one of them.

    ways:
        kill: the process is dead before the call. (And so it is dead after the call before.)
        torn: the same, but a write got half its bytes out.
        once: the call says that the disk is full; all others succeed.
        full: from that call on nothing can be made or written; removing succeeds.
        broken: from that call on every call fails.
        late: the call does its work and then says that it failed.
    """

    WAYS = ("kill", "torn", "once", "full", "broken", "late")

    def __init__(self) -> None:
        self.disarm()

    def disarm(self) -> None:
        self.at, self.way = 0, "kill"
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.dead = False

    def arm(self, at: int, way: str) -> None:
        self.disarm()
        self.at, self.way = at, way

    def calls_of(self, act: Callable[[], object]) -> list[str]:
        """The names of the calls that an act makes."""
        self.disarm()
        act()
        names = [name for name, _ in self.calls]
        self.disarm()
        return names

    def call(self, name: str, real: Callable[..., Any], *arguments: Any) -> Any:
        if name == "close":
            real(*arguments)  # a dead process keeps no file open either
            real = lambda *_: None  # noqa: E731
        if self.dead:
            raise Killed
        self.calls.append((name, arguments))
        if not self.at or len(self.calls) < self.at:
            return real(*arguments)
        now = len(self.calls) == self.at
        if now and self.way in ("kill", "torn"):
            if self.way == "torn" and name == "write":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            self.dead = True
            raise Killed
        if now and self.way == "late":
            real(*arguments)
        makes = name in ("create", "write", "make_folder", "rename")
        if now or self.way == "broken" or (self.way == "full" and makes):
            raise OSError(errno.ENOSPC if self.way != "broken" else errno.EIO, "injected")
        return real(*arguments)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk of this test. It works until it is armed. Nothing waits for the metal: who does is seen in the calls."""
    made = Disk()
    monkeypatch.setattr(os, "fsync", lambda file: None)

    def stand_before(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: made.call(name, real, *arguments)

    for name in files.__all__:
        if name != "locked":
            monkeypatch.setattr(files, name, stand_before(name, getattr(files, name)))
    real_lock = files.locked

    @contextmanager
    def locked(folder: Path) -> Any:
        made.call("locked", lambda _: None, folder)
        with real_lock(folder):
            yield

    monkeypatch.setattr(files, "locked", locked)
    return made


@pytest.fixture
def killed() -> type[BaseException]:
    return Killed
