from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from pocketrec.metrics.rows import Rows
from pocketrec.spec.errors import DataError, NotFinite


def test_torch_tensors_and_lists_and_arrays_are_read_alike() -> None:
    logits = torch.tensor([0.5, -1.25, 3.0])
    rows = Rows.checked(torch.tensor([1.0, 0.0, 1.0]), logits)
    again = Rows.checked([True, False, True], np.array([0.5, -1.25, 3.0]))
    assert rows.labels.tolist() == again.labels.tolist() == [True, False, True]
    assert rows.logits.tolist() == again.logits.tolist()
    assert rows.logits.dtype == np.float64
    assert rows.weights is None
    assert len(rows) == 3


def test_what_the_caller_does_to_his_arrays_later_does_not_matter() -> None:
    labels, logits, weights = np.array([0, 1], dtype=bool), np.array([0.5, 1.5]), np.array([1.0, 2.0])
    rows = Rows.checked(labels, logits, weights)
    labels[:], logits[:], weights[:] = True, 9, 9
    assert rows.weights is not None
    assert (rows.labels.tolist(), rows.logits.tolist(), rows.weights.tolist()) == (
        [False, True],
        [0.5, 1.5],
        [1.0, 2.0],
    )


@pytest.mark.parametrize("label", [2.0, -1.0, 0.5, float("nan"), float("inf")])
def test_a_label_outside_0_and_1_is_named(label: float) -> None:
    with pytest.raises(DataError, match=rf"2 of 4 labels .* first is {re.escape(str(label))} in row 1 \(from 0\)"):
        Rows.checked([0.0, label, 1.0, label], [0.0] * 4)


@pytest.mark.parametrize("logit", [float("nan"), float("inf"), -float("inf"), 1e39])
def test_a_logit_that_is_not_finite_is_named(logit: float) -> None:
    with pytest.raises(NotFinite, match=rf"1 of 3 logits .* first is {re.escape(str(logit))} in row 2"):
        Rows.checked([0, 1, 0], np.array([0.0, 1.0, logit]))


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), 1e-200])
def test_a_weight_out_of_range_is_named(weight: float) -> None:
    with pytest.raises(DataError, match=rf"1 of 2 weights .* first is {re.escape(str(weight))} in row 0"):
        Rows.checked([0, 1], [0.0, 1.0], [weight, 1.0])


def test_lengths_and_shapes_that_differ_are_named() -> None:
    with pytest.raises(DataError, match="3 labels but 2 logits"):
        Rows.checked([0, 1, 0], [0.0, 1.0])
    with pytest.raises(DataError, match="2 rows but 1 weights"):
        Rows.checked([0, 1], [0.0, 1.0], [1.0])
    with pytest.raises(DataError, match=r"logits must be one number per row, got an array of shape \(2, 1\)"):
        Rows.checked([0, 1], [[0.0], [1.0]])
    with pytest.raises(DataError, match="labels must be numbers, got <U1"):
        Rows.checked(["a", "b"], [0.0, 1.0])


def test_no_rows_are_rows() -> None:
    assert len(Rows.checked([], [], [])) == 0
