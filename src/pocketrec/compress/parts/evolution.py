"""Evolution over a log: children of the best of a generation, each a function of a seed and of what was scored before.

A candidate is one number from 1 to `most` per table. The log holds all candidates in the order of their numbers, and
nothing in it is ever changed: the best so far can only be overtaken, and whoever has the log and the seed makes the
same children again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import final

from pocketrec.compress.parts.init import stream

__all__ = ["Evolution", "best_of"]

_RANGE = 2**63


@final
@dataclass(frozen=True, kw_only=True)
class Evolution:
    """What comes behind candidate 0, which is given: a generation of random candidates, then one of children each.

    Attributes:
        generations: how many, 1 or more.
        mutations: children of a generation that are a parent with some numbers drawn anew, the best parents first.
        crossovers: children that begin as one parent and end as another one. Besides mutations there is one at least.
        parents: how many of the generation before may have children, the best ones; those of the random generation are
            chosen with candidate 0 among it.
        rate: probability that a number of a mutated parent is drawn anew.
        most: the largest number.
    """

    generations: int
    mutations: int
    crossovers: int
    parents: int
    rate: float
    most: int

    @property
    def size(self) -> int:
        """Candidates of a generation."""
        return self.mutations + self.crossovers

    @property
    def candidates(self) -> int:
        """All of them, number 0 too."""
        return 1 + self.generations * self.size

    def child(self, number: int, log: Sequence[Sequence[int]], fitness: Sequence[float], seed: int) -> list[int]:
        """The candidate of this number.

        Args:
            number: 1 or more, below :attr:`candidates`.
            log: all candidates before it, one number per table.
            fitness: how good each was, larger is better.
            seed: equal seeds make equal children.
        """
        generation, place = divmod(number - 1, self.size)
        draws = _Draws(stream(seed, generation, place))
        tables = len(log[0])
        if not generation:
            return [1 + draws.below(self.most) for _ in range(tables)]
        first = 1 + (generation - 1) * self.size
        before = range(first if generation > 1 else 0, first + self.size)
        ranked = sorted(before, key=lambda n: (-fitness[n], n))[: self.parents]
        if place < self.mutations:
            parent = log[ranked[place % len(ranked)]]
            return [1 + draws.below(self.most) if draws.unit() < self.rate else n for n in parent]
        one = draws.below(len(ranked))
        other = (one + 1 + draws.below(len(ranked) - 1)) % len(ranked) if len(ranked) > 1 else one
        cut = 1 + draws.below(tables - 1) if tables > 1 else 1
        return [*chain(log[ranked[one]][:cut], log[ranked[other]][cut:])]


def best_of(fitness: Sequence[float]) -> int:
    """The number of the best candidate, the first of equal ones."""
    return max(range(len(fitness)), key=lambda n: (fitness[n], -n))


class _Draws:
    """Uniform numbers, one after the other, by a counter."""

    def __init__(self, seed: int) -> None:
        self._seed, self._count = seed, 0

    def unit(self) -> float:
        """0 to below 1."""
        self._count += 1
        return stream(self._seed, self._count) / _RANGE

    def below(self, count: int) -> int:
        """0 to count - 1."""
        self._count += 1
        return stream(self._seed, self._count) * count // _RANGE
