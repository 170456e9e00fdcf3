from __future__ import annotations

import random
from itertools import product

import pytest

from pocketrec.compress.parts.knapsack import Choice, best_choices


def drawn(seed: int) -> list[list[Choice]]:
    draw = random.Random(seed)
    return [
        [Choice(draw.randint(1, 50), draw.uniform(-9, 0)) for _ in range(draw.randint(1, 4))]
        for _ in range(draw.randint(1, 5))
    ]


def total(things: list[list[Choice]], found: tuple[int, ...] | list[int]) -> tuple[int, float]:
    chosen = [own[n] for own, n in zip(things, found, strict=True)]
    return sum(c.nbytes for c in chosen), sum(c.score for c in chosen)


@pytest.mark.parametrize("seed", range(200))
def test_no_more_is_lost_than_the_largest_step(seed: int) -> None:
    things = drawn(seed)
    least = sum(min(c.nbytes for c in own) for own in things)
    budget = least + random.Random(seed).randint(0, 60)
    nbytes, score = total(things, best_choices(things, budget))
    best = max(s for b, s in (total(things, f) for f in product(*(range(len(own)) for own in things))) if b <= budget)
    assert nbytes <= budget
    assert score <= best + 1e-9
    assert best - score <= max(max(c.score for c in own) - min(c.score for c in own) for own in things) + 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_where_all_fit_everybody_gets_the_best_in_the_fewest_bytes(seed: int) -> None:
    things = drawn(seed)
    found = best_choices(things, 10**6)
    assert found == [own.index(max(own, key=lambda c: c.score)) for own in things]
    assert best_choices([[Choice(5, 1.0), Choice(3, 1.0), Choice(9, 1.0)]], 100) == [1]


def test_it_is_mostly_the_best() -> None:
    lost = 0
    for seed in range(200):
        things = drawn(seed)
        budget = sum(min(c.nbytes for c in own) for own in things) + 30
        best = max(
            s for b, s in (total(things, f) for f in product(*(range(len(own)) for own in things))) if b <= budget
        )
        lost += total(things, best_choices(things, budget))[1] < best - 1e-9
    assert lost < 40


def test_what_cannot_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="take 7 bytes, 6 are allowed"):
        best_choices([[Choice(3, 0.0), Choice(9, 1.0)], [Choice(4, 0.0)]], 6)
