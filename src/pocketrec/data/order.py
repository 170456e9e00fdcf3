"""Where every row of the journal goes in the cache: by part, then by time, rows of equal time in file order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pocketrec.data.journal import Journal
from pocketrec.data.split import LEFT_OUT, PARTS, Split

__all__ = ["RowOrder"]

# Rows sorted at a time: 4 million times 16 bytes.
_HEAP_ROWS = 1 << 22


class RowOrder:
    """Positions of rows in the cache.

    Nothing is held per row when rows come in order of time; else their positions lie in a file (8 bytes per row).

    Args:
        journal: a finished pass.
        split: how rows are divided.
        timed: whether chunks have a ``time``.
    """

    def __init__(self, journal: Journal, split: Split, *, timed: bool) -> None:
        self._journal, self._split = journal, split
        self._sizes = [int(meta["rows"]) for meta in journal.metas()]
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)]).astype(np.int64)
        self.total = int(self._starts[-1])
        if not split.by_row:
            self.ends = split.ends(self.total)
        else:
            self._tallies = np.array([self._tally(chunk) for chunk in range(journal.chunks)]).reshape(-1, LEFT_OUT + 1)
            train, validation, test = (int(n) for n in np.cumsum(self._tallies.sum(axis=0)[: len(PARTS)]))
            self.ends = (train, validation, test)
        self._positions = self._sorted_positions() if timed and not self._rising() else None

    @property
    def kept(self) -> int:
        """Rows of the cache."""
        return self.ends[-1]

    def positions(self, chunk: int) -> np.ndarray:
        """int64 [n]: the position of each row of the chunk in the cache, -1 for a row that is left out."""
        start, stop = self._starts[chunk], self._starts[chunk + 1]
        if self._positions is not None:
            return np.array(self._positions[start:stop])
        if self._split.by_row:
            return self._by_part(chunk)
        here = np.arange(start, stop, dtype=np.int64)
        return np.where(here < self.kept, here, -1)

    def parts(self, positions: np.ndarray) -> np.ndarray:
        """int64 [n]: 0 train, 1 validation, 2 test, for positions that are not -1."""
        return np.searchsorted(np.array(self.ends), positions, side="right")

    def _tally(self, chunk: int) -> np.ndarray:
        return np.bincount(self._journal.array(chunk, "part"), minlength=LEFT_OUT + 1)

    def _by_part(self, chunk: int) -> np.ndarray:
        part = self._journal.array(chunk, "part")
        out = np.full(len(part), -1, dtype=np.int64)
        begins = (0, *self.ends)
        for p in range(len(PARTS)):
            mine = np.flatnonzero(part == p)
            before = begins[p] + int(self._tallies[:chunk, p].sum())
            out[mine] = before + np.arange(len(mine))
        return out

    def _rising(self) -> bool:
        last = None
        for chunk in range(self._journal.chunks):
            time = self._journal.array(chunk, "time")
            if not len(time):
                continue
            if (np.diff(time) < 0).any() or (last is not None and time[0] < last):
                return False
            last = time[-1]
        return True

    def _sorted_positions(self) -> np.ndarray:
        """Sort by time through files, a heap of rows at a time."""
        folder = self._journal.folder
        times = self._gather(folder / "times.npy", "time")
        out = np.lib.format.open_memmap(folder / "positions.npy", mode="w+", dtype=np.int64, shape=(self.total,))
        if not self._split.by_row:
            for rows, first in _rows_by_time(times, None):
                place = np.arange(first, first + len(rows), dtype=np.int64)
                out[rows] = np.where(place < self.kept, place, -1)
            return out
        parts = self._gather(folder / "parts.npy", "part")
        out[:] = -1
        for p, begin in enumerate((0, *self.ends[:-1])):
            for rows, first in _rows_by_time(times, parts == p):
                out[rows] = np.arange(begin + first, begin + first + len(rows), dtype=np.int64)
        return out

    def _gather(self, path: Path, name: str) -> np.ndarray:
        dtype = self._journal.array(0, name).dtype
        out = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(self.total,))
        for chunk in range(self._journal.chunks):
            out[self._starts[chunk] : self._starts[chunk + 1]] = self._journal.array(chunk, name)
        return out


def _rows_by_time(times: np.ndarray, wanted: np.ndarray | None) -> Iterator[tuple[np.ndarray, int]]:
    """Row numbers in order of time, in heaps, each with the number of rows before it.

    Args:
        times: [n], possibly a memory map.
        wanted: bool [n] of the rows to take; None: all.
    """
    done = 0
    for low, high in _ranges(times):
        heap, values = [], []
        for start in range(0, len(times), _HEAP_ROWS):
            piece = np.asarray(times[start : start + _HEAP_ROWS])
            mine = (piece >= low) & (piece <= high)
            if wanted is not None:
                mine &= wanted[start : start + _HEAP_ROWS]
            rows = np.flatnonzero(mine)
            if low == high:  # all of one time: they are in order already, and there may be very many
                yield rows + start, done
                done += len(rows)
                continue
            heap.append(rows + start)
            values.append(piece[rows])
        if heap:
            order = np.argsort(np.concatenate(values), kind="stable")
            yield np.concatenate(heap)[order], done
            done += len(order)


def _ranges(times: np.ndarray) -> Iterator[tuple[float | int, float | int]]:
    """Ranges of time (both ends included) that hold about a heap of rows each, or one single time."""
    step = max(1, len(times) // (1 << 20))
    sample = np.sort(np.asarray(times[::step]))
    marks = sample[:: max(1, _HEAP_ROWS // (2 * step))]
    low, high = np.min(times), np.max(times)
    heavy = set(marks[1:][marks[1:] == marks[:-1]].tolist())
    edges = np.unique(marks)
    begin = low
    for edge in [*edges[edges > low].tolist(), None]:
        before = high if edge is None else _just_below(edge, times.dtype)
        if begin in heavy:
            yield begin, begin
            begin = _just_above(begin, times.dtype)
        if begin <= before:
            yield begin, before
        if edge is not None:
            begin = edge


def _just_below(value: float | int, dtype: np.dtype) -> float | int:
    return int(value) - 1 if dtype.kind == "i" else float(np.nextafter(value, -np.inf))


def _just_above(value: float | int, dtype: np.dtype) -> float | int:
    return int(value) + 1 if dtype.kind == "i" else float(np.nextafter(value, np.inf))
