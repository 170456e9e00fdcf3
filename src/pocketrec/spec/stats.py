"""TableStats: how often the ids of one table occur, small enough to carry around.

Only the histogram of counts is kept (how many ids occur how often), never a count per id: methods that keep frequent
ids take ranks, so the number of ids above a threshold is all they need.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from pocketrec.spec.errors import OptionError

__all__ = ["TableStats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStats:
    """Frequencies of the ids of one table in the training rows.

    Attributes:
        table: its name.
        histogram: pairs (count, ids): so many distinct ids occur exactly so often; counts strictly falling, all
            above 0.
        missing: occurrences of the missing token (they are also counted as an ordinary id).
        assumed: None for measured statistics, else the words to print ("Zipf 1.05 assumed").
    """

    table: str
    histogram: tuple[tuple[int, int], ...]
    missing: int = 0
    assumed: str | None = None

    def __post_init__(self) -> None:
        counts = [count for count, _ in self.histogram]
        falling = all(a > b for a, b in pairwise(counts))
        if not falling or any(c < 1 or n < 1 for c, n in self.histogram):
            raise OptionError(
                f"The histogram of table {self.table!r} must have falling counts above 0, and ids above 0."
            )

    @staticmethod
    def of_counts(table: str, counts: Iterable[int], *, missing: int = 0) -> TableStats:
        """From one count per distinct id, in any order; zeros are left out.

        >>> TableStats.of_counts("item", [1, 5, 1, 2]).histogram
        ((5, 1), (2, 1), (1, 2))
        """
        tally: dict[int, int] = {}
        for count in counts:
            tally[int(count)] = tally.get(int(count), 0) + 1
        tally.pop(0, None)
        return TableStats(table=table, histogram=tuple(sorted(tally.items(), reverse=True)), missing=missing)

    def behind(self, first: int) -> TableStats:
        """Of all ids but the `first` most frequent ones.

        >>> TableStats.of_counts("item", [5, 2, 1, 1]).behind(3).histogram
        ((1, 1),)
        """
        left, histogram = first, []
        for count, ids in self.histogram:
            gone = min(left, ids)
            left -= gone
            if ids > gone:
                histogram.append((count, ids - gone))
        return replace(self, histogram=tuple(histogram))

    @staticmethod
    @functools.lru_cache(maxsize=256)  # a dozen methods ask for the same tables, one after the other
    def zipf(table: str, ids: int, *, exponent: float = 1.05, occurrences: int | None = None) -> TableStats:
        """Statistics assumed, not measured: the r-th id occurs in proportion to r^-exponent.

        Ranks are walked on a grid that is exact up to 1,000 and then grows by 1 %, so that 10^9 ids take a
        millisecond; no id occurs less than once.

        Args:
            table: name.
            ids: distinct ids, 0 or more.
            exponent: of Zipf's law, above 0.
            occurrences: of all ids together; 20 per id when not given.
        """
        if ids < 0 or not 0 < exponent < math.inf:
            raise OptionError(f"Zipf's law needs 0 or more ids and an exponent above 0, got {ids} and {exponent}.")
        if not ids:
            return TableStats(table=table, histogram=(), assumed=f"Zipf {exponent:g} assumed")
        histogram = _zipf_histogram(ids, exponent, occurrences or 20 * ids)
        return TableStats(table=table, histogram=histogram, assumed=f"Zipf {exponent:g} assumed")

    @property
    def ids(self) -> int:
        """Distinct ids that occur."""
        return sum(n for _, n in self.histogram)

    @property
    def occurrences(self) -> int:
        """All occurrences of all ids."""
        return sum(count * n for count, n in self.histogram)

    @property
    def singleton_fraction(self) -> float:
        """Share of the distinct ids that occur exactly once, 0..1."""
        singles = sum(n for count, n in self.histogram if count == 1)
        return singles / self.ids if self.ids else 0.0

    @property
    def missing_fraction(self) -> float:
        """Share of the occurrences that are the missing token, 0..1."""
        return self.missing / self.occurrences if self.occurrences else 0.0

    def ids_at_least(self, count: int) -> int:
        """How many ids occur at least so often."""
        return sum(n for c, n in self.histogram if c >= count)

    def top_fraction(self, ids: int) -> float:
        """Share of the occurrences that the most frequent `ids` ids make, 0..1."""
        left, mass = ids, 0
        for count, n in self.histogram:
            taken = min(left, n)
            mass += taken * count
            left -= taken
            if not left:
                break
        return mass / self.occurrences if self.occurrences else 0.0

    def zipf_slope(self) -> float:
        """Exponent of Zipf's law fitted by least squares to log count against log rank (nan for fewer than 3 steps)."""
        points, rank = [], 0
        for count, n in self.histogram:
            points.append((math.log(rank + (n + 1) / 2), math.log(count), n))
            rank += n
        if len(points) < 3:
            return math.nan
        mean_x = sum(x for x, _, _ in points) / len(points)
        mean_y = sum(y for _, y, _ in points) / len(points)
        return -sum((x - mean_x) * (y - mean_y) for x, y, _ in points) / sum((x - mean_x) ** 2 for x, _, _ in points)


def _zipf_histogram(ids: int, exponent: float, occurrences: int) -> tuple[tuple[int, int], ...]:
    grid = _rank_grid(ids)
    weights = [((a + b) / 2) ** -exponent * (b - a + 1) for a, b in grid]
    scale = occurrences / math.fsum(weights)
    tally: dict[int, int] = {}
    for (first, last), weight in zip(grid, weights, strict=True):
        size = last - first + 1
        count = max(1, round(weight * scale / size))
        tally[count] = tally.get(count, 0) + size
    return tuple(sorted(tally.items(), reverse=True))


def _rank_grid(ids: int) -> list[tuple[int, int]]:
    """Ranks 1..ids as ranges (first, last): single ranks up to 1,000, then ranges that grow by 1 %."""
    grid = [(rank, rank) for rank in range(1, min(ids, 1000) + 1)]
    first = 1001
    while first <= ids:
        last = min(ids, first + first // 100)
        grid.append((first, last))
        first = last + 1
    return grid
