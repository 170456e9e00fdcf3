from __future__ import annotations

import math

import numpy as np
import pytest

from pocketrec.metrics.paired_interval import paired_interval


@pytest.mark.parametrize(
    ("count", "level", "quantile"),
    [  # any table of Student's distribution
        (2, 0.95, 12.706), (3, 0.95, 4.303), (4, 0.95, 3.182), (5, 0.95, 2.776), (6, 0.95, 2.571), (10, 0.95, 2.262),
        (31, 0.95, 2.042), (121, 0.95, 1.980), (5, 0.99, 4.604), (6, 0.90, 2.015),
    ],
)  # fmt: skip
def test_its_width_is_that_of_the_tables(count: int, level: float, quantile: float) -> None:
    differences = np.random.default_rng(count).normal(3.0, 2.0, count)
    found = paired_interval(list(differences), level=level)
    assert found is not None
    error = float(differences.std(ddof=1)) / math.sqrt(count)
    assert found.half == pytest.approx(quantile * error, abs=6e-4 * error)
    assert (found.low + found.high) / 2 == pytest.approx(found.mean) == float(differences.mean())
    assert found.count == count


def test_it_holds_the_true_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(0.25, 1.0, (4000, 5))
    found = [paired_interval(list(draw)) for draw in draws]
    held = np.mean([one is not None and one.low <= 0.25 <= one.high for one in found])
    assert held == pytest.approx(0.95, abs=0.012)  # three standard errors of 4000 draws are .0104


def test_equal_differences_leave_no_doubt_and_one_leaves_all() -> None:
    found = paired_interval([0.5, 0.5, 0.5])
    assert found is not None
    assert (found.low, found.high) == (0.5, 0.5)
    assert paired_interval([0.5]) is None
    assert paired_interval([]) is None
