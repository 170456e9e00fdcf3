"""Turn numbers as first seen into frequency ranks, and count every id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pocketrec.data.split import PARTS

__all__ = ["Ranking", "count_ids", "rank_by_frequency"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """The encoded ids of one table.

    Attributes:
        rank_of: int32 [seen], the encoded id of each number as first seen; 0 for tokens of no part.
        counts: int64 [3, rows], how often each id occurs in train, validation and test; id 0 is unknown: 0.
        rows: per part, the ids up to it: unknown, and the tokens of this part and those before it.
    """

    rank_of: np.ndarray
    counts: np.ndarray
    rows: tuple[int, int, int]


def count_ids(chunks: Iterable[tuple[np.ndarray, np.ndarray]], size: int) -> np.ndarray:
    """How often each number occurs in each part.

    Args:
        chunks: pairs of int [n] numbers below `size`, and int [n] parts (-1: left out).
        size: how many numbers there are.

    Returns:
        int64 [3, size].
    """
    counts = np.zeros((len(PARTS), size), dtype=np.int64)
    for ids, parts in chunks:
        for part in range(len(PARTS)):
            mine = ids[parts == part]
            if len(mine):
                _add(counts[part], mine)
    return counts


def _add(counts: np.ndarray, ids: np.ndarray) -> None:
    """Count ids without touching more of `counts` than they name, unless they name most of it."""
    if len(counts) < 4 * len(ids):
        counts += np.bincount(ids, minlength=len(counts))
    else:
        distinct, times = np.unique(ids, return_counts=True)
        counts[distinct] += times


def rank_by_frequency(counts: np.ndarray, known: int) -> Ranking:
    """Encoded ids from counts.

    Tokens of training rows come first, then those that only occur from validation on, then those that only occur in
    test rows; within each by falling count in that part, ties by order of first appearance. Tokens that had their
    ids before keep them.

    Args:
        counts: int64 [3, seen] by number as first seen.
        known: so many of the first numbers have the encoded ids 1..known already.
    """
    fresh = counts[:, known:]
    first_part = np.where(fresh[0] > 0, 0, np.where(fresh[1] > 0, 1, np.where(fresh[2] > 0, 2, 3)))
    there = np.append(fresh, np.zeros((1, fresh.shape[1]), dtype=fresh.dtype), axis=0)[
        first_part, np.arange(fresh.shape[1])
    ]
    order = np.lexsort((-there, first_part))  # stable: ties stay in order of first appearance
    kept = order[: int((first_part < len(PARTS)).sum())]
    rank_of = np.zeros(counts.shape[1], dtype=np.int32)
    rank_of[:known] = np.arange(1, known + 1)
    rank_of[known + kept] = np.arange(known + 1, known + 1 + len(kept))
    sorted_counts = np.zeros((len(PARTS), 1 + known + len(kept)), dtype=np.int64)
    sorted_counts[:, 1 : known + 1] = counts[:, :known]
    sorted_counts[:, known + 1 :] = fresh[:, kept]
    train, validation, test = (1 + known + int((first_part <= part).sum()) for part in range(len(PARTS)))
    return Ranking(rank_of=rank_of, counts=sorted_counts, rows=(train, validation, test))
