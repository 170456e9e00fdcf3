"""The largest number of something that still fits, where bytes rise with it."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["largest_fitting"]


def largest_fitting(least: int, most: int, fits: Callable[[int], bool]) -> int:
    """The largest number in least..most that fits, found by bisection; `least` where none does.

    Args:
        least: taken to fit.
        most: `least` or more.
        fits: whether a number fits; if one does, so do all below it.

    >>> largest_fitting(1, 100, lambda n: n * n <= 50)
    7
    """
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if fits(middle) else (least, middle - 1)
    return least
