"""Which cells of a study some runner is at work on: several runners share a study, and none does a cell twice."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path

from pocketrec.bench.cells import Key
from pocketrec.spec.writing import writing

__all__ = ["Claims"]


class Claims:
    """Locks on single bytes of one file, a byte per cell. The system gives them up when the runner ends, however.

    Args:
        results: the study's file of results; the locks' file stands beside it, hidden and empty.
    """

    def __init__(self, results: Path) -> None:
        path = results.with_name(f".{results.name}.lock")
        with writing(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def take(self, key: Key) -> bool:
        """Whether the cell is this runner's from now on; False while it is another's."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(key))
        except OSError:
            return False
        return True

    def give_back(self, key: Key) -> None:
        """The cell is nobody's again."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(key))

    def close(self) -> None:
        """Give all back."""
        with contextlib.suppress(OSError):
            os.close(self._file)


def _place(key: Key) -> int:
    """A byte of the file, the same one in every runner; two cells of a study share one as good as never."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:7], "little") >> 1
