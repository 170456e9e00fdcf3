from __future__ import annotations

from collections.abc import Callable

from pocketrec.compress.addressing.row import Row

Found = Callable[..., list[list[int]]]


def test_ids_have_the_row_of_their_number_and_later_ones_the_fold(found: Found) -> None:
    assert found(Row(start=10, rows=3), [0, 2, 3, 2**31, 2**62]) == [[10], [12], [10], [10], [10]]
    assert found(Row(start=10, rows=3, fold=2), [0, 3]) == [[10], [12]]


def test_without_a_fold_later_ids_read_nothing(found: Found) -> None:
    assert found(Row(start=10, rows=3, fold=-1), [2, 3]) == [[12], [-1]]


def test_padding_reads_nothing(found: Found) -> None:
    assert found(Row(start=10, rows=3), [1, 2], padding=1) == [[-1], [12]]
