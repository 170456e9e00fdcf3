from __future__ import annotations

import pytest

from pocketrec.spec.sparse_sizes import SparseSize, least_sparse_bytes, most_nonzeros, rows_per_block


@pytest.mark.parametrize("place_bytes", [1, 2])
@pytest.mark.parametrize("dim", [1, 2, 3, 16, 17, 64, 100, 128, 256, 257, 288, 65_536])
def test_a_block_is_the_largest_whose_numbers_have_a_place(dim: int, place_bytes: int) -> None:
    rows, places = rows_per_block(dim, place_bytes), 256**place_bytes
    if rows == 0:
        assert dim > places
        return
    assert rows & (rows - 1) == 0
    assert rows * dim <= places < 2 * rows * dim


def test_bytes_are_those_of_index_and_entries() -> None:
    size = SparseSize(rows=4097, dim=16, nonzeros=100, place_bytes=2)
    assert (size.rows_per_block, size.blocks, size.index_shape, size.entries_shape) == (4096, 2, (3,), (100, 4))
    assert size.nbytes == 3 * 4 + 100 * 4
    narrow = SparseSize(rows=33, dim=16, nonzeros=100, place_bytes=1)
    assert (narrow.rows_per_block, narrow.blocks, narrow.index_shape, narrow.entries_shape) == (16, 3, (4,), (100, 3))
    assert narrow.nbytes == 4 * 4 + 100 * 3


@pytest.mark.parametrize("dim", [1, 6, 16, 300])
@pytest.mark.parametrize("rows", [1, 10, 1000, 70_001])
def test_no_store_of_one_number_more_fits(rows: int, dim: int) -> None:
    for budget in (*range(8, 60), 500, 5_000, 100_000, 10**7):
        size = most_nonzeros(rows, dim, budget)
        if size is None:
            assert least_sparse_bytes(rows, dim, 1) > budget
            continue
        assert 1 <= size.nonzeros <= rows * dim
        assert size.nbytes <= budget
        assert size.nonzeros == rows * dim or least_sparse_bytes(rows, dim, size.nonzeros + 1) > budget
        assert size.nbytes == least_sparse_bytes(rows, dim, size.nonzeros)


def test_short_places_win_where_blocks_are_full_and_long_ones_where_they_are_not() -> None:
    found = {ratio: most_nonzeros(10**6, 16, 64 * 10**6 // ratio) for ratio in (2, 10, 40, 100, 1000)}
    widths = {ratio: size.place_bytes for ratio, size in found.items() if size is not None}
    assert widths == {2: 1, 10: 1, 40: 1, 100: 2, 1000: 2}


def test_more_numbers_than_int32_counts_need_a_wider_index() -> None:
    rows = 2**30
    wide = most_nonzeros(rows, 16, 8 * (2**26 + 1) + 3 * 2**31)  # 2^26 blocks of 16 rows
    assert wide is not None
    assert (wide.nonzeros, wide.index_dtype, wide.place_bytes) == (2**31, "int64", 1)
    few = most_nonzeros(rows, 16, 10**9)
    assert few is not None
    assert few.index_dtype == "int32"
    at = [SparseSize(rows=rows, dim=300, nonzeros=n, place_bytes=2) for n in (2**31 - 1, 2**31)]
    assert [size.index_dtype for size in at] == ["int32", "int64"]
    assert at[1].nbytes - at[0].nbytes == 4 * (at[0].blocks + 1) + 4
    between = most_nonzeros(rows, 300, at[1].nbytes - 1)
    assert between is not None
    assert between.nonzeros == 2**31 - 1, "one more would need an index of twice the bytes"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"place_bytes": 0}, "dim 16 cannot have places of 0 bytes"),
        ({"place_bytes": 3}, "places of 3 bytes"),
        ({"dim": 300}, "dim 300 cannot have places of 1 bytes"),
        ({"dim": 0}, "dim 0"),
        ({"nonzeros": 0}, "5 x 16 numbers cannot hold 0 of them"),
        ({"nonzeros": 81}, "cannot hold 81 of them"),
        ({"rows": 0}, "0 x 16 numbers"),
    ],
)
def test_sizes_that_cannot_be_are_refused(change: dict[str, int], text: str) -> None:
    """They may come from a file."""
    with pytest.raises(ValueError, match=text):
        SparseSize(**{"rows": 5, "dim": 16, "nonzeros": 7, "place_bytes": 1, **change})
