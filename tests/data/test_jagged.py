"""Bags of several fields: put together, cut and joined they are what lists of lists are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data.jagged import Jagged, places_of, rows_of_values

Rows = list[list[list[int]]]
"""Per field, per row, its ids."""


@st.composite
def fields(draw: st.DrawFn) -> Rows:
    rows = draw(st.integers(1, 9))
    bag = st.lists(st.integers(0, 2**63 - 1), max_size=4)
    return draw(st.lists(st.lists(bag, min_size=rows, max_size=rows), min_size=1, max_size=3))


def made(of: Rows, mean: list[bool] | None = None) -> Jagged:
    columns = [
        (np.array([i for bag in field for i in bag], dtype=np.int64), np.array([len(bag) for bag in field]))
        for field in of
    ]
    return Jagged.of(columns, mean or [False] * len(of), len(of[0]))


def lists(bags: Jagged) -> Rows:
    parts = [bags.values[a:b].tolist() for a, b in zip(bags.offsets[:-1], bags.offsets[1:], strict=True)]
    return [parts[f * bags.rows : (f + 1) * bags.rows] for f in range(bags.fields)]


@given(fields())
def test_it_holds_all_bags_of_one_field_after_the_other(of: Rows) -> None:
    bags = made(of)
    assert lists(bags) == of
    assert (bags.values.dtype, bags.offsets.dtype, bags.weights) == (np.int64, np.int64, None)
    for number, field in enumerate(of):
        values, lengths = bags.column(number)
        assert values.tolist() == [i for bag in field for i in bag]
        assert lengths.tolist() == [len(bag) for bag in field]


@given(fields(), st.data())
def test_cut_and_join_take_rows_with_their_weights(of: Rows, data: st.DataObject) -> None:
    mean = data.draw(st.lists(st.booleans(), min_size=len(of), max_size=len(of)))
    whole = made(of, mean)
    cuts = sorted(data.draw(st.lists(st.integers(0, whole.rows), max_size=3)))
    parts = [whole.cut(a, b) for a, b in zip([0, *cuts], [*cuts, whole.rows], strict=True)]
    for (a, b), part in zip(zip([0, *cuts], [*cuts, whole.rows], strict=True), parts, strict=True):
        assert part.rows == b - a
        assert b == a or lists(part) == [field[a:b] for field in of]
    again = Jagged.joined(parts)
    assert (again.rows, lists(again)) == (whole.rows, of)
    assert (again.weights is None) == (whole.weights is None) == (not any(mean))
    if whole.weights is not None:
        assert again.weights is not None
        assert again.weights.tobytes() == whole.weights.tobytes()
        assert again.weights.dtype == np.float32


def test_a_value_of_an_averaged_bag_counts_by_its_share() -> None:
    bags = made([[[5, 6, 7], []], [[1], [2, 3]]], [True, False])
    assert bags.weights is not None
    assert bags.weights.tolist() == [np.float32(1 / 3)] * 3 + [1.0] * 3


def test_a_field_of_one_id_per_row_has_bags_of_one() -> None:
    bags = Jagged.of([(np.array([4, 9], dtype=np.int32), None)], [False], 2)
    assert (bags.values.tolist(), bags.offsets.tolist(), bags.values.dtype) == ([4, 9], [0, 1, 2], np.int64)


def test_no_rows() -> None:
    none = Jagged.of([(np.zeros(0, np.int64), np.zeros(0, np.int64))] * 2, [True, False], 0)
    assert (none.rows, none.fields, none.offsets.tolist()) == (0, 0, [0])
    assert none.cut(0, 0) is none
    assert lists(Jagged.joined([none, made([[[1]], [[2, 3]]], [True, False])])) == [[[1]], [[2, 3]]]
    assert Jagged.joined([none, none]) is none


@pytest.mark.parametrize("lengths", [[], [0, 0], [3, 0, 2, 1]])
def test_places_of_values_that_begin_anywhere(lengths: list[int]) -> None:
    starts = np.array([100 * (i + 1) for i in range(len(lengths))], dtype=np.int64)
    want = [start + k for start, n in zip(starts.tolist(), lengths, strict=True) for k in range(n)]
    assert places_of(starts, np.array(lengths, dtype=np.int64)).tolist() == want
    assert rows_of_values(np.array(lengths, dtype=np.int64)).tolist() == [
        i for i, n in enumerate(lengths) for _ in range(n)
    ]
