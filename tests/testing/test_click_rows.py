from __future__ import annotations

import pytest
import torch

from pocketrec.testing.click_rows import TABLE_ROWS, ClickRows, planted


def hand_made(bags: bool) -> ClickRows:
    """Three rows, two columns."""
    tokens = (((5,), (6,), (7,)), ((1,), (2,), (3,)))
    if bags:
        tokens = (((5, 6), (), (7,)), ((1, 2), (3,), ()))  # type: ignore[assignment]
    return ClickRows(dense=torch.arange(3.0)[:, None], tokens=tokens, bags=bags, label=torch.tensor([0.0, 1.0, 0.0]))


def test_ids_are_rows_by_columns() -> None:
    dense, ids, offsets, weights = hand_made(False).inputs()
    assert dense.tolist() == [[0], [1], [2]]
    assert ids.tolist() == [[5, 1], [6, 2], [7, 3]]
    assert offsets is None
    assert weights is None


def test_bags_lie_column_by_column_and_the_last_column_is_averaged() -> None:
    _, ids, offsets, weights = hand_made(True).inputs()
    assert offsets is not None
    assert weights is not None
    assert ids.tolist() == [5, 6, 7, 1, 2, 3]
    assert offsets.tolist() == [0, 2, 2, 3, 5, 6, 6]
    assert weights.tolist() == [1, 1, 1, 0.5, 0.5, 1]


def test_chosen_rows_and_other_tokens() -> None:
    rows = hand_made(True).rows([2, 0])
    assert rows.tokens == (((7,), (5, 6)), ((), (1, 2)))
    assert rows.label.tolist() == [0, 0]
    assert rows.dense.tolist() == [[2], [0]]
    assert rows.with_other_token(1, 0).tokens == (((7,), (5, 6)), ((1,), (1, 2)))
    assert rows.with_other_token(0, 0).tokens[0][0] == (8,)
    assert hand_made(False).as_bags().inputs()[2] is not None


@pytest.mark.parametrize("bags", [False, True])
def test_planted_rows_are_of_both_classes_and_within_their_tables(bags: bool) -> None:
    rows = planted(200, dense_features=2, bags=bags)
    assert 80 < rows.label.sum() < 120
    assert rows.dense.shape == (200, 2)
    for column, most in zip(rows.tokens, TABLE_ROWS, strict=True):
        assert {len(bag) for bag in column} == ({0, 1, 2, 3} if bags else {1})
        assert 0 <= min(t for bag in column for t in bag) <= max(t for bag in column for t in bag) < most
    again = planted(200, dense_features=2, bags=bags)
    assert torch.equal(again.label, rows.label)
    assert again.tokens == rows.tokens


def test_no_rows() -> None:
    for bags in (False, True):
        _, ids, *_ = planted(0, dense_features=2, bags=bags).inputs()
        assert ids.dtype == torch.int64
        assert ids.shape == ((0,) if bags else (0, 3))
