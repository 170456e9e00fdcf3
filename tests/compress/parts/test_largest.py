from __future__ import annotations

import pytest

from pocketrec.compress.parts.largest import largest_fitting


@pytest.mark.parametrize("limit", [1, 2, 3, 50, 99, 100])
def test_it_is_the_last_that_fits(limit: int) -> None:
    assert largest_fitting(1, 100, lambda n: n <= limit) == limit


def test_the_ends_are_kept() -> None:
    assert largest_fitting(4, 9, lambda n: False) == 4
    assert largest_fitting(4, 9, lambda n: True) == 9
    assert largest_fitting(5, 5, lambda n: False) == 5
