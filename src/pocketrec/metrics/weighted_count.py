"""Count rows, or add up their weights."""

from __future__ import annotations

from typing import final

from pocketrec.metrics.exact_sum import ExactSum
from pocketrec.metrics.rows import Bools, Floats

__all__ = ["WeightedCount"]


@final
class WeightedCount:
    """The sum of the weights of rows; without weights each row counts 1."""

    __slots__ = ("_rows", "_weights")

    def __init__(self) -> None:
        self._rows = 0
        self._weights: ExactSum | None = None

    def update(self, chosen: Bools, weights: Floats | None) -> None:
        """Count the rows that are set in `chosen`, bool [n]; weights float64 [n] or None."""
        if weights is None:
            self._rows += int(chosen.sum())
            return
        self._weights = self._weights or ExactSum()
        self._weights.update(weights[chosen])

    def merge(self, other: WeightedCount) -> None:
        """Add another count; the other one is left as it was."""
        self._rows += other._rows
        if other._weights is not None:
            self._weights = self._weights or ExactSum()
            self._weights.merge(other._weights)

    @property
    def value(self) -> float:
        """The sum so far."""
        return self._rows + (self._weights.value if self._weights is not None else 0.0)
