from __future__ import annotations

import random

import pytest

from pocketrec.compress.parts.narrowing import narrowed


def linear(rows: int, most: int = 16) -> list[int]:
    return [4 * rows * width for width in range(1, most + 1)]


def total(widths: list[int], nbytes: list[list[int]]) -> int:
    return sum(own[w - 1] for own, w in zip(nbytes, widths, strict=True))


def test_what_fits_stays() -> None:
    nbytes = [linear(10), linear(3)]
    assert narrowed([16, 5], nbytes, total([16, 5], nbytes)) == [16, 5]


def test_a_byte_less_takes_one_step() -> None:
    nbytes = [linear(10), linear(3)]
    assert narrowed([16, 5], nbytes, total([16, 5], nbytes) - 1) == [15, 5]


def test_tables_of_one_size_stay_alike_and_small_ones_stay_wide() -> None:
    nbytes = [linear(100), linear(100), linear(2)]
    assert narrowed([16, 16, 16], nbytes, total([7, 7, 16], nbytes)) == [7, 7, 16]
    # not the largest one down to a number before any other
    wide = narrowed([16, 16, 16], [linear(120), linear(100), linear(2)], 8000)
    assert wide[2] == 16
    assert min(wide) > 5


def test_it_fits_and_nothing_widens() -> None:
    draw = random.Random(3)
    for _ in range(200):
        nbytes = [linear(draw.randint(1, 500)) for _ in range(6)]
        widths = [draw.randint(1, 16) for _ in nbytes]
        least = total([1] * 6, nbytes)
        ceiling = draw.randint(least, total([16] * 6, nbytes))
        found = narrowed(widths, nbytes, ceiling)
        assert total(found, nbytes) <= max(ceiling, 0)
        assert all(1 <= new <= old for new, old in zip(found, widths, strict=True))


def test_widths_of_equal_bytes_are_one_step() -> None:
    packed = [5, 5, 6, 6, 7, 7]  # rows of 4-bit numbers
    assert narrowed([6], [packed], 6) == [4]
    assert narrowed([2], [packed], 5) == [2]


def test_what_cannot_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="take 3 bytes more than 37"):
        narrowed([4], [linear(10)], 37)
