"""Tiers by frequency: how many ids each tier may have within a budget, all from one threshold of counts."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, final

from pocketrec.spec.stats import TableStats

__all__ = ["Tally", "tiers_within"]

_ROUNDS: Final = 60  # halvings of the interval in which the threshold is searched


@final
@dataclass(frozen=True, slots=True)
class Tally:
    """How many ids of all tables occur at least so often: counts, rising, and the ids from each count on."""

    counts: Sequence[int]
    ids: Sequence[int]

    @staticmethod
    def of(stats: Iterable[TableStats]) -> Tally:
        """All tables together."""
        found: Counter[int] = Counter()
        for table in stats:
            found.update(dict(table.histogram))
        counts = sorted(found)
        return Tally(counts, [*accumulate(found[count] for count in reversed(counts))][::-1])

    @property
    def most(self) -> int:
        """The count of the most frequent id; 0 of none."""
        return self.counts[-1] if self.counts else 0

    def ids_at_least(self, count: float) -> int:
        """Ids that occur so often or more."""
        place = bisect_left(self.counts, count)
        return self.ids[place] if place < len(self.ids) else 0

    def tiers(self, least: Sequence[float]) -> list[int]:
        """Ids of each tier, whose least counts fall: those of a tier reach its least count and not that before."""
        reached = [self.ids_at_least(each) for each in least]
        return [more - fewer for fewer, more in zip((0, *reached), reached, strict=False)]


def tiers_within(
    tally: Tally, factors: Sequence[float], least: int, fits: Callable[[Sequence[int]], bool]
) -> tuple[list[int], float]:
    """As many ids as fit: those of tier i occur threshold * factors[i] times or more, and `least` times.

    Args:
        tally: what occurs how often.
        factors: of the tiers, falling, 1 for the last.
        least: count that an id needs for any tier.
        fits: whether so many ids of each tier fit the budget; never more of them than fewer.

    Returns:
        Ids of each tier, and the least count of the last.
    """

    def above(threshold: float) -> list[int]:
        return tally.tiers([max(threshold * factor, least) for factor in factors])

    low, high = 0.0, float(tally.most + 1)  # at `high` nobody is told apart
    if fits(above(low)):
        high = low
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if fits(above(middle)) else (middle, high)
    tiers = above(high)
    # Ids of one count come over a threshold all at once: as many of the next ones as still fit.
    last = len(factors) - 1
    tiers = _raised(tiers, last, sum(above(low)) - sum(tiers), fits)
    for tier in reversed(range(last)):
        tiers = _raised(tiers, tier, tiers[tier + 1], fits)
    return tiers, max(high, least)


def _raised(tiers: list[int], tier: int, room: int, fits: Callable[[Sequence[int]], bool]) -> list[int]:
    """The tiers with as many ids more in this one as fit, up to `room`; they come from the next one if there is one."""

    def with_more(count: int) -> list[int]:
        raised = list(tiers)
        raised[tier] += count
        if tier + 1 < len(raised):
            raised[tier + 1] -= count
        return raised

    low, high = 0, max(0, room)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(with_more(middle)) else (low, middle - 1)
    return with_more(low)
