"""What a measure is: something that takes checked rows in any order and in any portions, and gives one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pocketrec.metrics.rows import Rows

__all__ = ["EXACT_ROWS", "Measure", "Metric"]

# Up to this many rows a streaming measure keeps the rows themselves (9 to 17 bytes each) and is exact.
EXACT_ROWS = 1 << 20


class Measure(Protocol):
    """A running measure. Neither the order of the portions nor where they are cut changes its value."""

    def update(self, rows: Rows) -> None:
        """Take a portion of rows."""
        ...

    def merge(self, other: Any) -> None:
        """Take all that another measure of the same kind has seen; the other one is left as it was."""
        ...

    def value(self) -> float | None:
        """The measure of all rows so far, or None where it is not defined."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A measure's entry in the registry.

    Attributes:
        title: the words that stand over its column in a report.
        start: makes a new measure; takes the number of rows up to which it must be exact.
    """

    title: str
    start: Callable[[int], Measure]
