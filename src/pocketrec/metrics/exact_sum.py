"""Add float64 numbers without any rounding, so that no order and no grouping of the terms changes the sum."""

from __future__ import annotations

from typing import final

import numpy as np

from pocketrec.metrics.rows import Floats

__all__ = ["ExactSum"]

# Every finite float64 is i * 2^e with an integer |i| < 2^53 and -1126 <= e <= 971 (frexp's exponent less 53).
_LEAST_EXPONENT = -1126
_EXPONENTS = 971 - _LEAST_EXPONENT + 1
# i is cut into high * 2^26 + low with |high| <= 2^27 and 0 <= low < 2^26. A portion of 2^20 terms then adds up to at
# most 2^47 per exponent, which bincount's float64 sums hold exactly; int64 totals hold 2^36 terms.
_LOW_BITS = 26
_PORTION = 1 << 20


@final
class ExactSum:
    """A sum of float64 numbers, kept as one integer per binary exponent (33 kB).

    The idea is Kulisch's long accumulator; the value equals ``math.fsum`` of all terms.

    >>> total = ExactSum()
    >>> total.update(np.array([1e16, 1.0, -1e16]))
    >>> total.value
    1.0
    """

    __slots__ = ("_high", "_low")

    def __init__(self) -> None:
        self._high = np.zeros(_EXPONENTS, dtype=np.int64)
        self._low = np.zeros(_EXPONENTS, dtype=np.int64)

    def update(self, terms: Floats) -> None:
        """Add all terms, finite float64 [n]."""
        for start in range(0, len(terms), _PORTION):
            fraction, exponent = np.frexp(terms[start : start + _PORTION])
            integer = np.ldexp(fraction, 53).astype(np.int64)
            place = exponent.astype(np.int64) - (53 + _LEAST_EXPONENT)
            for total, part in (
                (self._high, integer >> _LOW_BITS),
                (self._low, integer & ((1 << _LOW_BITS) - 1)),
            ):
                total += np.bincount(place, weights=part, minlength=_EXPONENTS).astype(np.int64)

    def merge(self, other: ExactSum) -> None:
        """Add another sum; the other one is left as it was."""
        self._high += other._high
        self._low += other._low

    @property
    def value(self) -> float:
        """The exact sum, rounded once to the nearest float64."""
        total = 0
        for place in np.flatnonzero(self._high | self._low).tolist():
            total += ((int(self._high[place]) << _LOW_BITS) + int(self._low[place])) << place
        # Python divides integers with one correct rounding.
        return total / (1 << -_LEAST_EXPONENT)
