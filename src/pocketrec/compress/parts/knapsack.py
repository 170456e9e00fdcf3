"""One choice for each of several things, as good as possible together, within bytes (a multiple-choice knapsack)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Choice", "best_choices"]


class Choice(NamedTuple):
    """One of the ways in which a thing can be held.

    Attributes:
        nbytes: what it takes.
        score: what it is worth, larger is better.
    """

    nbytes: int
    score: float


def best_choices(things: Sequence[Sequence[Choice]], budget_bytes: int) -> list[int]:
    """For each thing the number of the choice that it gets.

    Everything begins with the least bytes. Then steps up the upper hull of score over bytes are taken, the one with
    most score per byte first, as long as they fit (Sinha, Zoltners 1979); at last, whatever one thing can still gain.
    The sum of scores is less than the best possible one by no more than the largest single step, and it is the best
    where all best choices fit. Equal things are served in their order.

    >>> best_choices([[Choice(2, 0.1), Choice(8, 0.7)], [Choice(4, 0.5), Choice(16, 0.6)]], 12)
    [1, 0]

    Raises:
        ValueError: the least bytes of all do not fit.
    """
    found = [min(range(len(own)), key=lambda n, own=own: (own[n].nbytes, -own[n].score)) for own in things]  # type: ignore[misc]
    left = budget_bytes - sum(own[n].nbytes for own, n in zip(things, found, strict=True))
    if left < 0:
        raise ValueError(f"The smallest choices take {budget_bytes - left} bytes, {budget_bytes} are allowed.")
    hulls = [_hull(own, first) for own, first in zip(things, found, strict=True)]
    steps = [
        (-_slope(things[thing][before], things[thing][after]), thing, place, after)
        for thing, hull in enumerate(hulls)
        for place, (before, after) in enumerate(pairwise(hull))
    ]
    for _, thing, place, after in sorted(steps):
        cost = things[thing][after].nbytes - things[thing][found[thing]].nbytes
        if found[thing] == hulls[thing][place] and cost <= left:
            found[thing], left = after, left - cost
    return _filled(things, found, left)


def _filled(things: Sequence[Sequence[Choice]], found: list[int], left: int) -> list[int]:
    """The choices, with single changes for the better as long as one fits: the largest gain first."""
    while True:
        better = [
            (own[n].score - own[now].score, -thing, -n)
            for thing, (own, now) in enumerate(zip(things, found, strict=True))
            for n in range(len(own))
            if own[n].score > own[now].score and own[n].nbytes - own[now].nbytes <= left
        ]
        if not better:
            return found
        _, thing, number = max(better)
        left -= things[-thing][-number].nbytes - things[-thing][found[-thing]].nbytes
        found[-thing] = -number


def _hull(own: Sequence[Choice], first: int) -> list[int]:
    """Numbers of the choices on the upper hull of score over bytes, from the first one up to the best score."""
    hull = [first]
    for number in sorted(range(len(own)), key=lambda n: (own[n].nbytes, -own[n].score)):
        if own[number].nbytes == own[hull[-1]].nbytes or own[number].score <= own[hull[-1]].score:
            continue
        while len(hull) > 1 and _slope(own[hull[-2]], own[hull[-1]]) <= _slope(own[hull[-1]], own[number]):
            hull.pop()
        hull.append(number)
    return hull


def _slope(before: Choice, after: Choice) -> float:
    """Score per byte of a step."""
    return (after.score - before.score) / (after.nbytes - before.nbytes)
