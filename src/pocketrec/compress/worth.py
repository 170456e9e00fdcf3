"""What telling a table's ids apart is worth, and how much of that survives when rows are shared.

A model of random effects: an id's rate of clicks differs from the mean p by an effect with variance v, and n training
rows with it tell the effect up to noise. With k = p (1 - p) / v, the best prediction from n rows keeps n / (n + k) of
the effect's variance (the credibility of Buhlmann, ASTIN Bulletin 1967), and to second order the expected log-loss of a
row falls by 1 / (2 k) times that. So a table of counts n_i in N rows is worth

    W = sum_i n_i / N * 1 / (2 k) * n_i / (n_i + k)   nats per row

if all its ids are told apart, and the sum over the told ones if not. Ids that share a row are predicted by their common
mean: a row with n = sum n_j and q = sum n_j^2 is worth q^2 / (n (q + k n)) / (2 k N), which is the term above where the
row has one id.

The effects of one table alone say nothing of pairs (a user who likes an item), so a table is given a share of the worth
that its counts alone would have, see `INTERACTION`. Measuring a trained model (`pocketrec.bench.ablation`) replaces the
scale, and leaves how it is spread over the ids.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pocketrec.spec.stats import TableStats

__all__ = ["INTERACTION", "TableWorth"]

INTERACTION = (0.02, 20.0)
"""Of an id in pairs with others nothing is known before training: nats per row and k that every table is given."""

# Above so many ids the law of shared rows is read from a sample of them, at the same number of ids per row.
_MOST_IDS = 200_000


@dataclass(frozen=True, kw_only=True)
class TableWorth:
    """What a table's ids are worth.

    Attributes:
        stats: counts of the training rows.
        prior_rows: k of the effects on their own, above 0; infinite where they have none.
        scale: factor of everything, for what was measured on a trained model; 1 before.
    """

    stats: TableStats
    prior_rows: float = math.inf
    scale: float = 1.0
    _parts: dict[tuple[int, int], float] = field(default_factory=dict, repr=False, compare=False)

    @property
    def nats(self) -> float:
        """Nats per row by which the log-loss falls when all ids are told apart."""
        return self.scale * float(self._told[-1])

    def told(self, first: int) -> float:
        """Share of the worth that the `first` most frequent ids make, 0..1; 1 for a table that is worth nothing."""
        return self._share(float(self._told[min(max(first, 0), len(self._counts))]))

    def shared(self, rows: int, *, behind: int = 0) -> float:
        """Share of the worth that is left when the ids behind the `behind` most frequent share rows at random, 0..1.

        The ids before them are told apart. Expected over hashes by one draw of them, always the same one.

        Args:
            rows: that are shared, 0 or more.
            behind: ids with rows of their own.
        """
        if (rows, behind) not in self._parts:
            counts = self._counts[behind:]
            left = float(self._of_rows(*_thrown(counts, rows)).sum()) if rows and len(counts) else 0.0
            self._parts[rows, behind] = left
        return self._share(float(self._told[min(behind, len(self._counts))]) + self._parts[rows, behind])

    def scaled_to(self, nats: float) -> TableWorth:
        """The same with its worth measured: `nats` per row, 0 or more."""
        unscaled = float(self._told[-1])
        return replace(self, scale=nats / unscaled if unscaled > 0 else 0.0, _parts={})

    def _share(self, nats: float) -> float:
        return min(1.0, nats / float(self._told[-1])) if self._told[-1] > 0 else 1.0

    @cached_property
    def _counts(self) -> NDArray[np.float64]:
        """Of every id, falling."""
        counts, ids = np.array(self.stats.histogram, dtype=np.int64).reshape(-1, 2).T
        return np.repeat(counts, ids).astype(np.float64)

    @cached_property
    def _told(self) -> NDArray[np.float64]:
        """Worth of the first 0, 1, ... ids, unscaled."""
        each = self._of_rows(self._counts, self._counts**2)
        return np.concatenate([[0.0], np.cumsum(each)])

    def _of_rows(self, n: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Worth of each row with sums n of counts and q of their squares, unscaled."""
        nats, k = INTERACTION
        total = max(1, self.stats.occurrences)
        with np.errstate(invalid="ignore"):
            each = nats * q * q / (n * (q + k * n))
            if math.isfinite(self.prior_rows):
                each = each + q * q / (n * (q + self.prior_rows * n)) / (2 * self.prior_rows)
        return np.nan_to_num(each) / total


def _thrown(counts: NDArray[np.float64], rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of counts, and of their squares, of ids thrown into rows."""
    if rows >= len(counts) * 64:  # hardly any two meet
        return counts, counts**2
    every = -(-len(counts) // _MOST_IDS)
    place = np.random.default_rng(0).integers(0, -(-rows // every), len(counts[::every]))
    n = np.bincount(place, counts[::every])
    q = np.bincount(place, counts[::every] ** 2)
    return np.repeat(n[n > 0], every), np.repeat(q[n > 0], every)
