from __future__ import annotations

from collections.abc import Callable

import pytest

from pocketrec.compress.addressing.digits import Digits

Found = Callable[..., list[list[int]]]


def test_one_digit_is_the_remainder(found: Found) -> None:
    table = Digits(start=100, rows=23, base=10)
    assert found(table, [0, 9, 10, 22]) == [[100], [109], [100], [102]]
    assert found(table, [23, 2**62]) == [[100], [100]], "later ids are id 0"
    assert found(table, [7, 8], padding=7) == [[-1], [108]]


def test_digits_the_lowest_first(found: Found) -> None:
    table = Digits(start=100, rows=1000, base=10, count=3)
    assert found(table, [7, 42, 965], parts=4) == [
        [107, 110, 120, -1], [102, 114, 120, -1], [105, 116, 129, -1],
    ]  # fmt: skip


def test_bits_are_dealt_out_in_turn(found: Found) -> None:
    # five bits for three parts: bits 0 and 3, bits 1 and 4, bit 2
    table = Digits(start=100, rows=32, base=1, count=3, bits=5)
    assert found(table, [0, 0b00001, 0b01000, 0b00010, 0b10000, 0b00100, 0b11111], parts=3) == [
        [100, 104, 108], [101, 104, 108], [102, 104, 108], [100, 105, 108], [100, 106, 108], [100, 104, 109],
        [103, 107, 109],
    ]  # fmt: skip


@pytest.mark.parametrize("table", [
    Digits(start=0, rows=3**4 - 5, base=3, count=4),
    Digits(start=9, rows=3**4 - 5, base=3, count=4, multiplier=7, shift=11),
    Digits(start=9, rows=2**7 - 5, base=1, count=3, bits=7),
    Digits(start=9, rows=2**7 - 5, base=1, count=7, bits=7, multiplier=5, shift=4),
])  # fmt: skip
def test_no_two_ids_have_the_same_digits(table: Digits, found: Found) -> None:
    ids = range(table.rows)
    assert len({tuple(places) for places in found(table, ids, parts=table.count)}) == table.rows


def test_the_permutation_comes_first(found: Found) -> None:
    table = Digits(start=0, rows=10, base=4, multiplier=3, shift=1)
    assert found(table, range(10)) == [[(3 * i + 1) % 10 % 4] for i in range(10)]
