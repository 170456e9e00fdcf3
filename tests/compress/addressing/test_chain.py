from __future__ import annotations

from collections.abc import Callable

import pytest

from pocketrec.compress.addressing.chain import Chain

Found = Callable[..., list[list[int]]]


def test_digits_the_first_the_most_significant(found: Found) -> None:
    table = Chain(start=100, ids=24, row_factors=(2, 3, 4), dim_factors=(2, 2, 4), rank=5)
    # slices of 2, 5 x 2 and 4 rows, of cores that begin at 100, 104 and 134
    assert found(table, [0, 1, 4, 12, 23], parts=3) == [
        [100, 104, 134], [100, 104, 138], [100, 114, 134], [102, 104, 134], [102, 124, 146],
    ]  # fmt: skip
    assert found(table, [24, 2**62], parts=3) == [[100, 104, 134]] * 2, "later ids are id 0"


def test_slices_of_a_ring_are_longer_at_its_ends(found: Found) -> None:
    table = Chain(start=100, ids=24, row_factors=(2, 3, 4), dim_factors=(2, 2, 4), rank=5, outer=3)
    # slices of 3 x 2, 5 x 2 and 3 x 4 rows, of cores that begin at 100, 112 and 142
    assert found(table, [0, 1, 4, 12, 23], parts=3) == [
        [100, 112, 142], [100, 112, 154], [100, 122, 142], [106, 112, 142], [106, 132, 178],
    ]  # fmt: skip


@pytest.mark.parametrize("cores", [2, 3, 4])
def test_no_two_ids_have_the_same_slices(cores: int, found: Found) -> None:
    table = Chain(start=0, ids=3**cores, row_factors=[3] * cores, dim_factors=[2] * cores, rank=2)
    assert len({tuple(places) for places in found(table, range(3**cores), parts=cores)}) == 3**cores
