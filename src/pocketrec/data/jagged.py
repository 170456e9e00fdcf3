"""Jagged: the bags of all categorical fields of some rows, in the form in which a bank takes them.

All rows' bags of the first field, then of the second, and so on; a field with one token per row has bags of one. A
cache, a frame and a file come to this form through the same few functions, so they cannot come to another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Jagged", "places_of", "rows_of_values"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Jagged:
    """Ids of some rows.

    Attributes:
        rows: how many, n.
        values: int64 [values], ids.
        offsets: int64 [fields x n + 1]: bag i of field f is ``values[offsets[k]:offsets[k + 1]]``, k = f x n + i.
        weights: float32 [values], 1 / (length of the bag) in bags that are averaged, else 1; None where none is.
    """

    rows: int
    values: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray | None

    @staticmethod
    def of(columns: Sequence[tuple[np.ndarray, np.ndarray | None]], mean: Sequence[bool], rows: int) -> Jagged:
        """From one field after the other.

        Args:
            columns: per field, int [values] ids and int [rows] lengths of its bags; None: one id per row.
            mean: per field, whether its bags are averaged.
            rows: how many.
        """
        ones = np.ones(rows, dtype=np.int64)
        lengths = [ones if each is None else each for _, each in columns]
        offsets = np.zeros(1 + len(columns) * rows, dtype=np.int64)
        np.cumsum(np.concatenate([ones[:0], *lengths]), out=offsets[1:])
        values = np.empty(offsets[-1], dtype=np.int64)
        np.concatenate([values[:0], *(ids for ids, _ in columns)], out=values)
        weights = None
        if any(mean):
            parts = [_shares(each) if averaged else _ones(each) for each, averaged in zip(lengths, mean, strict=True)]
            weights = np.concatenate(parts)
        return Jagged(rows=rows, values=values, offsets=offsets, weights=weights)

    @property
    def fields(self) -> int:
        """How many fields there are; 0 where there are no rows to tell it from."""
        return (len(self.offsets) - 1) // self.rows if self.rows else 0

    def column(self, field: int) -> tuple[np.ndarray, np.ndarray]:
        """The ids of one field, int64 [values], and the lengths of its bags, int64 [rows]."""
        bounds = self._bounds(field, 0, self.rows)
        return self.values[bounds[0] : bounds[-1]], np.diff(bounds)

    def cut(self, start: int, stop: int) -> Jagged:
        """Some consecutive rows, copied."""
        if (start, stop) == (0, self.rows):
            return self
        bounds = [self._bounds(field, start, stop) for field in range(self.fields)]
        return _gathered(stop - start, [(self, each) for each in bounds])

    @staticmethod
    def joined(parts: Sequence[Jagged]) -> Jagged:
        """One after the other; all or none must have weights."""
        full = [part for part in parts if part.rows] or list(parts[:1])
        if len(full) == 1:
            return full[0]
        pieces = [(part, part._bounds(field, 0, part.rows)) for field in range(full[0].fields) for part in full]
        return _gathered(sum(part.rows for part in full), pieces)

    def _bounds(self, field: int, start: int, stop: int) -> np.ndarray:
        """int64 [stop - start + 1]: where the bags of some rows begin, and where the last one ends."""
        first = field * self.rows
        return self.offsets[first + start : first + stop + 1]


def _gathered(rows: int, pieces: Sequence[tuple[Jagged, np.ndarray]]) -> Jagged:
    """Bags picked from one or several, in this order.

    Args:
        rows: of the whole.
        pieces: where from, and int64 [bags + 1] bounds of neighbouring bags there.
    """
    lengths = [np.diff(bounds) for _, bounds in pieces]
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), *lengths])
    np.cumsum(offsets, out=offsets)
    values = np.concatenate([offsets[:0], *(source.values[b[0] : b[-1]] for source, b in pieces)])
    held = [source.weights[b[0] : b[-1]] for source, b in pieces if source.weights is not None]
    return Jagged(rows=rows, values=values, offsets=offsets, weights=np.concatenate(held) if held else None)


def rows_of_values(lengths: np.ndarray) -> np.ndarray:
    """int64 [values]: the number of the bag, from 0, in which each value lies."""
    return np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)


def places_of(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """int64 [values]: the places of the values of bags that begin anywhere and are as long as this."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()), dtype=np.int64)


def _shares(lengths: np.ndarray) -> np.ndarray:
    share = np.float32(1) / np.maximum(lengths, 1).astype(np.float32)
    return np.repeat(share, lengths)


def _ones(lengths: np.ndarray) -> np.ndarray:
    return np.ones(int(lengths.sum()), dtype=np.float32)
