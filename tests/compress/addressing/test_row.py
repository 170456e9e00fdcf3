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


def test_ids_before_the_first_read_the_fold_too(found: Found) -> None:
    assert found(Row(start=10, rows=3, first=1, fold=-1), [0, 1, 3, 4]) == [[-1], [10], [12], [-1]]
    assert found(Row(start=10, rows=3, first=2, fold=3), [0, 2, 4, 5]) == [[11], [10], [12], [11]]
    assert found(Row(start=10, rows=0, first=1, fold=-1), [0, 1, 2**62]) == [[-1], [-1], [-1]]
