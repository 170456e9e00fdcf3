from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.compress.share import proportional, waterfill

SIZES = st.lists(st.integers(1, 10**9), min_size=1, max_size=30)


@given(SIZES, st.integers(0, 10**10))
def test_waterfill_fills_evenly_from_below(sizes: list[int], more: int) -> None:
    total = len(sizes) + more
    shares = waterfill(sizes, total)
    assert sum(shares) == min(total, sum(sizes))
    assert all(1 <= share <= size for share, size in zip(shares, sizes, strict=True))
    unfilled = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    if unfilled:
        assert max(shares) == max(unfilled), "no table has more than an unfilled one"
        assert max(unfilled) - min(unfilled) <= 1
        assert unfilled == sorted(unfilled, reverse=True), "odd rows go to the first"


@given(SIZES, st.integers(0, 10**10))
def test_proportional_shares_are_proportional(sizes: list[int], more: int) -> None:
    total = len(sizes) + more
    shares = proportional(sizes, total)
    assert sum(shares) <= total
    assert all(1 <= share <= size for share, size in zip(shares, sizes, strict=True))
    spare, rows = more, sum(sizes) - len(sizes)
    for share, size in zip(shares, sizes, strict=True):
        exact = 1 + (size - 1) * spare / max(1, rows)
        assert share <= exact + 1e-6 * exact
        assert share >= min(size, exact - 1 - 1e-6 * exact)


@pytest.mark.parametrize("share", [waterfill, proportional])
def test_there_is_a_row_for_everybody_or_a_fault_of_ours(share: object) -> None:
    assert share([5, 5], 2) == [1, 1]  # type: ignore[operator]
    with pytest.raises(AssertionError, match="one each"):
        share([5, 5], 1)  # type: ignore[operator]
