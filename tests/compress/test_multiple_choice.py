"""The solver's answers against all combinations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pocketrec.compress.multiple_choice import Limit, pick, price


@pytest.mark.parametrize("seed", range(40))
def test_picks_are_the_cheapest_within_all_limits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, 4).tolist()
    costs = rng.random(sum(lengths)) * 10.0 ** rng.integers(-9, 3)
    limits = [Limit(rng.integers(1, 1000, len(costs)).astype(float), float(rng.integers(500, 2500))) for _ in range(2)]
    starts = np.cumsum([0, *lengths])
    each = [range(starts[k], starts[k + 1]) for k in range(4)]
    within = [
        combo for combo in itertools.product(*each) if all(li.takes[list(combo)].sum() <= li.most for li in limits)
    ]
    found = pick(costs, lengths, limits)
    if not within:
        assert found is None
        return
    assert found is not None
    assert found.numbers in within
    assert costs[list(found.numbers)].sum() == pytest.approx(min(costs[list(c)].sum() for c in within), rel=1e-7)
    assert found.gap <= 1e-6 * costs.max()


def test_the_price_is_the_slope_of_the_hull() -> None:
    costs, takes = np.array([3.0, 1.0, 0.0, 5.0, 4.0]), np.array([10.0, 20.0, 100.0, 10.0, 30.0])
    # steps in the order of what they save per unit: 2 / 10, 1 / 20, 1 / 80
    for most, slope in ((25.0, 2 / 10), (35.0, 1 / 20), (60.0, 1 / 80), (500.0, 0.0)):
        assert price(costs, [3, 2], [Limit(takes, most)]) == pytest.approx(slope, abs=1e-9)
    assert price(costs, [3, 2], [Limit(takes, 5.0)]) == 0.0  # nothing fits


def test_a_limit_that_is_met_exactly_is_met() -> None:
    found = pick(np.array([1.0, 0.0]), [2], [Limit(np.array([1.0, 123_456_789.0]), 123_456_789.0)])
    assert found is not None
    assert found.numbers == (1,)
    short = pick(np.array([1.0, 0.0]), [2], [Limit(np.array([1.0, 123_456_789.0]), 123_456_788.0)])
    assert short is not None
    assert short.numbers == (0,)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        takes = np.sort(rng.geometric(1 / 3000, (26, 60)), 1).astype(float)
        costs = np.sort(rng.random((26, 60)), 1)[:, ::-1] * rng.random((26, 1))
        assert pick(costs.ravel(), [60] * 26, [Limit(takes.ravel(), 40_000.0)]) is not None
    assert capfd.readouterr() == ("", "")
