"""Rows are scored in the same portions however they come."""

from __future__ import annotations

import numpy as np
import pytest

from pocketrec.data.encoder import Encoded
from pocketrec.data.jagged import Jagged
from pocketrec.pipeline import portions as module
from pocketrec.pipeline.portions import portions


def encoded(first: int, count: int, *, label: bool = True, weight: bool = True) -> Encoded:
    rows = np.arange(first, first + count)
    return Encoded(
        dense=rows[:, None].astype(np.float32), ids=np.stack([rows, rows * 2], axis=1),
        label=(rows % 2).astype(np.float32) if label else None, weight=rows.astype(np.float32) if weight else None,
        user=rows * 3,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCORE_ROWS", 4)


@pytest.mark.parametrize("cuts", [[10], [1] * 10, [3, 4, 3], [4, 4, 2], [0, 9, 0, 1], [7, 3]])
def test_portions_do_not_depend_on_the_blocks(cuts: list[int]) -> None:
    starts = np.cumsum([0, *cuts])
    found = list(portions(encoded(int(a), n) for a, n in zip(starts, cuts, strict=False)))
    assert [len(p.ids) for p in found] == [4, 4, 2]
    whole = encoded(0, 10)
    for name in ("dense", "ids", "label", "weight", "user"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in found]), getattr(whole, name))


def test_no_rows_make_no_portion() -> None:
    assert list(portions([])) == []
    assert list(portions([encoded(0, 0)])) == []


def test_blocks_without_weights_count_once_beside_those_with() -> None:
    (portion,) = portions([encoded(0, 2, weight=False), encoded(5, 1)])
    np.testing.assert_array_equal(portion.weight, np.float32([1, 1, 5]))
    (portion,) = portions([encoded(0, 1, weight=False), encoded(5, 1, weight=False)])
    assert portion.weight is None


def test_labels_need_all_blocks() -> None:
    (portion,) = portions([encoded(0, 2), encoded(2, 1, label=False)])
    assert portion.label is None


def bags(first: int, count: int) -> Encoded:
    """Row i holds the ids i, i, ... (i % 3 of them) in the first field and one id in the second."""
    rows = np.arange(first, first + count)
    columns = [(np.repeat(rows, rows % 3), rows % 3), (rows * 10, None)]
    return Encoded.of_bags(
        Jagged.of(columns, [True, False], count), dense=np.zeros((count, 0), np.float32), label=None, weight=None,
        user=None,
    )  # fmt: skip


@pytest.mark.parametrize("cuts", [[10], [1] * 10, [3, 4, 3], [0, 9, 0, 1]])
def test_portions_of_bags_do_not_depend_on_the_blocks(cuts: list[int]) -> None:
    starts = np.cumsum([0, *cuts])
    found = list(portions(bags(int(a), n) for a, n in zip(starts, cuts, strict=False)))
    for first, portion in zip((0, 4, 8), found, strict=True):
        want = bags(first, min(4, 10 - first))
        assert want.value_weights is not None
        assert portion.value_weights is not None
        np.testing.assert_array_equal(portion.ids, want.ids)
        np.testing.assert_array_equal(portion.offsets, want.offsets)
        assert portion.value_weights.tobytes() == want.value_weights.tobytes()
