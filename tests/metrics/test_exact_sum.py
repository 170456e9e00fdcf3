from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.metrics import exact_sum
from pocketrec.metrics.exact_sum import ExactSum

FLOATS = st.lists(st.floats(-1e300, 1e300, allow_subnormal=True), max_size=60)


@given(FLOATS, st.integers(0, 60), st.randoms(use_true_random=False))
def test_the_sum_is_exact_whatever_the_order_and_the_portions(terms, cut, random) -> None:
    expected = math.fsum(terms)
    random.shuffle(terms)
    left, right = ExactSum(), ExactSum()
    left.update(np.array(terms[:cut]))
    right.update(np.array(terms[cut:]))
    left.merge(right)
    assert left.value == expected
    assert right.value == math.fsum(terms[cut:])


def test_the_ends_of_the_range() -> None:
    total = ExactSum()
    most, least = np.finfo(np.float64).max, 5e-324
    total.update(np.array([most, least, -most]))
    assert total.value == least


def test_more_terms_than_one_portion(monkeypatch) -> None:
    monkeypatch.setattr(exact_sum, "_PORTION", 7)
    terms = np.random.default_rng(0).normal(size=100) * 10.0 ** np.arange(-50, 50)
    total = ExactSum()
    total.update(terms)
    assert total.value == math.fsum(terms.tolist())


def test_a_full_portion_of_the_largest_fractions_does_not_round() -> None:
    terms = np.full(1 << 20, np.nextafter(1.0, 0.0))
    total = ExactSum()
    total.update(terms)
    assert total.value == math.fsum(terms.tolist())


def test_nothing_sums_to_0() -> None:
    assert ExactSum().value == 0.0
