from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.compress.addressing.quotient_remainder import QuotientRemainder, permutation

Found = Callable[..., list[list[int]]]


def test_quotients_and_remainders_without_a_permutation(found: Found) -> None:
    table = QuotientRemainder(rows=10, remainders=4, quotient_start=100, remainder_start=200)
    expected = [[100 + i // 4, 200 + i % 4] for i in range(10)]
    assert found(table, range(10), parts=2) == expected
    assert found(table, [10, 2**62], parts=2) == [expected[0], expected[0]], "later ids are id 0"


@pytest.mark.parametrize("rows", [1, 2, 3, 10, 97, 1000])
def test_a_permutation_keeps_pairs_distinct(rows: int, found: Found) -> None:
    multiplier, shift = permutation(rows, seed=12345)
    table = QuotientRemainder(
        rows=rows, remainders=4, quotient_start=0, remainder_start=5000, multiplier=multiplier, shift=shift
    )
    pairs = found(table, range(rows), parts=2)
    assert len({tuple(p) for p in pairs}) == rows
    permuted = [(i * multiplier + shift) % rows for i in range(rows)]
    assert sorted(permuted) == list(range(rows))
    assert pairs == [[i // 4, 5000 + i % 4] for i in permuted]


@given(st.integers(1, 2**61), st.integers(0, 2**63 - 1))
def test_the_permutation_is_one_and_never_overflows(rows: int, seed: int) -> None:
    multiplier, shift = permutation(rows, seed)
    assert math.gcd(multiplier, rows) == 1
    assert 0 <= shift < rows
    assert (rows - 1) * multiplier + shift < 2**63
