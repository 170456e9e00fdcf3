"""The lines that a study has so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pocketrec.bench.cells import Key, key_of
from pocketrec.spec.result import Result, read_results

__all__ = ["Lines", "standing"]


class Lines:
    """What a file of results holds, by cell; read again whenever that matters, for other runners write to it too.

    Args:
        path: the file; it need not be there.
        named_data: see :func:`pocketrec.bench.cells.key_of`.
        retry: whether cells that had failed when this began count as not run.
    """

    def __init__(self, path: Path, *, named_data: bool, retry: bool = False) -> None:
        self.path, self._named = path, named_data
        self._size = -1
        self._read: dict[Key, Result] = {}
        # a file of lines only grows, so that places in it stay what they are
        self._passed_over = {k for k, r in enumerate(self._all()) if r.failed} if retry else set[int]()

    def by_key(self) -> dict[Key, Result]:
        """The newest line of every cell."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._size:
            kept = [r for k, r in enumerate(self._all()) if k not in self._passed_over]
            self._read = {key_of(r, named_data=self._named): r for r in kept}
            self._size = size
        return self._read

    def _all(self) -> tuple[Result, ...]:
        return read_results(self.path, growing=True) if self.path.exists() else ()


def standing(results: Iterable[Result]) -> list[Result]:
    """Without the failures of cells that went well later, or failed again: of these the newest stands."""
    found = list(results)
    newest: dict[Key, int] = {key_of(r, named_data=True): k for k, r in enumerate(found)}
    return _without(found, newest)


def _without(found: Sequence[Result], newest: dict[Key, int]) -> list[Result]:
    return [r for k, r in enumerate(found) if not r.failed or newest[key_of(r, named_data=True)] == k]
