from __future__ import annotations

import numpy as np

from pocketrec.data.ranking import count_ids, rank_by_frequency


def test_ids_are_counted_per_part_and_left_out_rows_are_not() -> None:
    chunks = [(np.array([0, 1, 1, 2]), np.array([0, 0, 1, -1])), (np.array([1, 3]), np.array([0, 2]))]
    assert count_ids(chunks, 4).tolist() == [[1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    few = count_ids([(np.array([5, 5, 99]), np.zeros(3, dtype=np.int64))], 10_000)
    assert few.sum() == 3
    assert few[0, 5] == 2


COUNTS = np.array(
    # as first seen: 0  1  2  3  4  5  6  7
    [[1, 0, 5, 0, 1, 0, 0, 9],  # train
     [0, 7, 0, 2, 0, 0, 0, 0],  # validation
     [3, 9, 0, 0, 0, 4, 0, 0]],  # test
    dtype=np.int64,
)  # fmt: skip


def test_tokens_rank_by_part_then_by_count_then_by_first_appearance() -> None:
    got = rank_by_frequency(COUNTS, 0)
    assert got.rank_of.tolist() == [3, 5, 2, 6, 4, 7, 0, 1]
    assert got.rows == (5, 7, 8)
    assert got.counts.tolist() == [[0, 9, 5, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 7, 2, 0], [0, 0, 0, 3, 0, 9, 0, 4]]
    assert got.rank_of.dtype == np.int32


def test_known_tokens_keep_their_ids_and_new_ones_are_appended() -> None:
    got = rank_by_frequency(COUNTS, 3)
    assert got.rank_of.tolist() == [1, 2, 3, 6, 5, 7, 0, 4]
    assert got.rows == (6, 7, 8)
    assert got.counts[:, 1:4].tolist() == COUNTS[:, :3].tolist()


def test_no_tokens_at_all_leave_unknown() -> None:
    got = rank_by_frequency(np.zeros((3, 0), dtype=np.int64), 0)
    assert got.rows == (1, 1, 1)
    assert got.counts.tolist() == [[0], [0], [0]]
