"""What paired differences say of the mean behind them: an interval by Student's t."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PairedInterval", "paired_interval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedInterval:
    """A mean and how far chance may have moved it.

    Attributes:
        mean: of the differences.
        half: half the interval's width; it reaches from mean - half to mean + half.
        count: how many differences.
    """

    mean: float
    half: float
    count: int

    @property
    def low(self) -> float:
        """Its lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Its upper end."""
        return self.mean + self.half


def paired_interval(differences: Sequence[float], *, level: float = 0.95) -> PairedInterval | None:
    """The interval that holds the true mean in `level` of all draws, for normal differences; None of fewer than two.

    Args:
        differences: one per pair, such as the AUCs of two models with the same seed.
        level: between 0 and 1.

    >>> found = paired_interval([1.0, 2.0, 3.0])
    >>> found.mean, round(found.half, 3)
    (2.0, 2.484)
    """
    count = len(differences)
    if count < 2:
        return None
    error = statistics.stdev(differences) / math.sqrt(count)
    return PairedInterval(mean=statistics.fmean(differences), half=_quantile(count - 1, level) * error, count=count)


@functools.cache  # a report asks thousands of times for the same few
def _quantile(degrees: int, level: float) -> float:
    """The t that Student's variable stays within, on both sides of 0, with probability `level`."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):  # bisection in the angle, which is bounded where t is not
        middle = (low + high) / 2
        low, high = (middle, high) if _within(degrees, middle) < level else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def _within(degrees: int, angle: float) -> float:
    """Probability that |t| <= sqrt(degrees) tan(angle): Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    odd = degrees % 2
    term, total = math.cos(angle) if odd else 1.0, 0.0
    for k in range(1 + odd, degrees, 2):  # the powers of the cosine rise by two
        total += term
        term *= k / (k + 1) * math.cos(angle) ** 2
    total *= math.sin(angle)
    return (angle + total) * 2 / math.pi if odd else total
