from __future__ import annotations

import math

import pytest
import torch

from pocketrec.native import Pooling, program_row
from pocketrec.native.pooling import pool, value_gradients
from pocketrec.native.request import Request
from pocketrec.native.values import values_of

IDS, OFFSETS = torch.tensor([0, 1, 2, 9, 1, 9]), torch.tensor([0, 4, 4, 5, 6])
VECTORS = torch.tensor([[1.0, -5.0], [3.0, -6.0], [3.0, -5.0], [0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])


def request(pooling: Pooling, weights: torch.Tensor | None = None) -> Request:
    """Four bags of one field: three values and padding; nothing; one value; padding alone."""
    program = torch.tensor([program_row(size=3, padding=9)])
    return Request([torch.zeros(3, 2)], IDS, OFFSETS, weights, program, None, [0], 2, 1, 0, pooling)


def pooled(pooling: Pooling, weights: torch.Tensor | None = None) -> list[list[float]]:
    call = request(pooling, weights)
    rows: list[list[float]] = pool(call, values_of(IDS, OFFSETS, call.program), VECTORS)[:, 0].tolist()
    return rows


def test_sum_mean_and_max_by_hand() -> None:
    assert pooled(Pooling.SUM) == [[7, -16], [0, 0], [3, 4], [0, 0]]
    assert pooled(Pooling.MEAN) == [pytest.approx([7 / 3, -16 / 3]), [0, 0], [3, 4], [0, 0]]
    assert pooled(Pooling.MAX) == [[3, -5], [0, 0], [3, 4], [0, 0]]


def test_weights_multiply_and_those_of_padding_are_not_read() -> None:
    weights = torch.tensor([1.0, 2.0, 0.0, math.nan, 10.0, math.inf])
    assert pooled(Pooling.SUM, weights) == [[7, -17], [0, 0], [30, 40], [0, 0]]


def gradient(pooling: Pooling) -> list[list[float]]:
    call = request(pooling)
    grad = torch.tensor([[30.0, 60.0], [1.0, 1.0], [5.0, 7.0], [2.0, 2.0]])[:, None]
    rows: list[list[float]] = value_gradients(call, values_of(IDS, OFFSETS, call.program), grad, VECTORS).tolist()
    return rows


def test_gradients_go_back_to_the_values() -> None:
    assert gradient(Pooling.SUM)[:3] == [[30, 60]] * 3
    assert gradient(Pooling.MEAN)[:3] == [[10, 20]] * 3
    assert gradient(Pooling.MEAN)[4] == [5, 7]


def test_the_gradient_of_a_maximum_goes_to_the_first() -> None:
    assert gradient(Pooling.MAX) == [[0, 60], [30, 0], [0, 0], [0, 0], [5, 7], [0, 0]]
