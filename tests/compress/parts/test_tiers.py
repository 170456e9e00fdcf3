from __future__ import annotations

from collections.abc import Sequence

import pytest

from pocketrec.compress.parts.tiers import Tally, tiers_within
from pocketrec.spec.stats import TableStats

COUNTS = {"a": [900, 300, 300, *[40] * 20, *[5] * 200, *[1] * 300], "b": [50] * 10}
TALLY = Tally.of(TableStats.of_counts(name, counts) for name, counts in COUNTS.items())
FACTORS = (36.0, 6.0, 1.0)
PRICES = (9, 2, 1)


def within(budget: int) -> tuple[list[int], float]:
    return tiers_within(TALLY, FACTORS, 2, lambda tiers: price(tiers) <= budget)


def price(tiers: Sequence[int]) -> int:
    return sum(n * each for n, each in zip(tiers, PRICES, strict=True))


def test_a_tally_counts_all_tables() -> None:
    assert TALLY.most == 900
    assert [TALLY.ids_at_least(n) for n in (901, 300, 50, 45, 2, 0)] == [0, 3, 13, 13, 233, 533]
    assert TALLY.tiers((300.0, 41.0, 2.0)) == [3, 10, 220]
    assert Tally.of([]).most == 0


def test_one_threshold_says_every_tier() -> None:
    # from 2 on: 72 for the first tier, 12 for the second
    assert within(3 * 9 + 30 * 2 + 200) == ([3, 30, 200], 2.0)
    # at 7: 252 and 42
    tiers, least = within(3 * 9 + 10 * 2 + 20)
    assert tiers == [3, 10, 20]
    assert 6.6 < least < 8.4


@pytest.mark.parametrize("budget", [0, 1, 8, 9, 40, 77, 150, 286])
def test_as_many_as_fit(budget: int) -> None:
    tiers, _ = within(budget)
    assert price(tiers) <= budget
    assert min(tiers) >= 0
    assert budget - price(tiers) < min(PRICES) or sum(tiers) == 233, "one id more would fit"


def test_all_that_is_left_makes_tiers_finer() -> None:
    assert within(10_000)[0] == [233, 0, 0], "ids that occur once stay out"


def test_of_nothing_nobody_is_told_apart() -> None:
    assert tiers_within(Tally.of([]), FACTORS, 1, lambda tiers: True)[0] == [0, 0, 0]
