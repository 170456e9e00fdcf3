"""Make widths fit: narrow the tables that are dearest, until all together are within a ceiling."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

__all__ = ["narrowed"]


def narrowed(widths: Sequence[int], nbytes: Sequence[Sequence[int]], ceiling: int) -> list[int]:
    """The widths, some of them smaller, so that they fit.

    While they do not, the step to a next smaller width is taken that frees most bytes per log width given up. That is
    what `best_choices` gives where all tables are worth alike, walked from the other end: bytes per number given up
    would take the largest table down to one number before any other is touched.

    Args:
        widths: of each table, 1 or more.
        nbytes: of each table what it takes at width 1, 2, ... up to its width at least, never falling.
        ceiling: bytes for all.

    Raises:
        ValueError: at width 1 they do not fit.

    >>> narrowed([8, 8], [[10 * w for w in range(1, 9)], [w for w in range(1, 9)]], 50)
    [4, 8]
    """
    found = list(widths)
    over = sum(own[w - 1] for own, w in zip(nbytes, found, strict=True)) - ceiling
    steps = [step for table, own in enumerate(nbytes) if (step := _next(table, own, found[table])) is not None]
    heapq.heapify(steps)
    while over > 0:
        if not steps:
            raise ValueError(f"At width 1 all tables together take {over} bytes more than {ceiling}.")
        _, table, width, freed = heapq.heappop(steps)
        found[table], over = width, over - freed
        further = _next(table, nbytes[table], width)
        if further is not None:
            heapq.heappush(steps, further)
    return found


def _next(table: int, own: Sequence[int], width: int) -> tuple[float, int, int, int] | None:
    """The step to the next smaller width that frees bytes: minus its worth, table, width and bytes; None if none does.

    Packed storages have pairs of widths that take the same bytes.
    """
    for smaller in range(width - 1, 0, -1):
        freed = own[width - 1] - own[smaller - 1]
        if freed:
            return -freed / math.log(width / smaller), table, smaller, freed
    return None
