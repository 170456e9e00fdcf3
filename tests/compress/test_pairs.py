from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.compress.pairs import Pairs


def pairs(*addresses: int, unit: int = 2, seed: int = 0) -> Pairs:
    draw = torch.Generator().manual_seed(seed)
    return Pairs(torch.tensor(addresses, dtype=torch.int64), torch.randn(len(addresses), unit, generator=draw))


def dense(these: Pairs, rows: int = 50) -> torch.Tensor:
    return torch.zeros(rows, these.grads.shape[1]).index_add_(0, these.addresses, these.grads)


@given(st.lists(st.integers(0, 49), unique=True), st.lists(st.integers(0, 49), unique=True))
def test_both_together(one: list[int], two: list[int]) -> None:
    first, second = pairs(*one), pairs(*two, seed=1)
    both = first.plus(second)
    assert both.addresses.tolist() == list(dict.fromkeys([*one, *two])), "distinct, in the order of first occurrence"
    torch.testing.assert_close(dense(both), dense(first) + dense(second))


def test_scaled() -> None:
    these = pairs(3, 5)
    assert torch.equal(these.scaled(2.0).grads, 2 * these.grads)
    assert torch.equal(these.scaled(2.0).addresses, these.addresses)


def test_the_norm_is_exact_for_large_numbers_and_tells_bad_ones() -> None:
    assert float(Pairs(torch.tensor([0]), torch.tensor([[3e30, 4e30]])).squared_norm()) == float(
        torch.tensor([3e30, 4e30]).double().square().sum()
    ), "squares of float32 would overflow"
    assert math.isnan(float(Pairs(torch.tensor([0]), torch.tensor([[math.nan]])).squared_norm()))
    assert float(Pairs(torch.tensor([0]), torch.tensor([[math.inf]])).squared_norm()) == math.inf


def test_as_a_sparse_gradient() -> None:
    these = pairs(7, 3, 49)
    assert torch.equal(these.as_sparse(50).to_dense(), dense(these))
    assert torch.equal(pairs().as_sparse(50).to_dense(), torch.zeros(50, 2))


@pytest.mark.parametrize(("rows", "unit"), [(0, 4), (1, 1), (64, 16), (1000, 7), (5000, 16)])
def test_the_norm_is_that_of_float64(rows: int, unit: int) -> None:
    grads = torch.randn(rows, unit, generator=torch.Generator().manual_seed(rows))
    found = float(Pairs(torch.arange(rows), grads).squared_norm())
    assert found == pytest.approx(float(grads.double().square().sum()), rel=1e-6)


def test_squares_that_are_known_are_not_added_up_again_until_gradients_change() -> None:
    grads = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    known = Pairs.with_squares(torch.tensor([3, 5]), grads, torch.tensor([25.0, 100.0]))  # the second is wrong
    assert float(known.squared_norm()) == 125
    grads.mul_(2)
    assert float(known.squared_norm()) == pytest.approx(104)
    large = Pairs.with_squares(torch.tensor([0]), torch.tensor([[3e30, 4e30]]), torch.tensor([math.inf]))
    assert float(large.squared_norm()) == pytest.approx(25e60)
    numbers = Pairs.with_squares(torch.tensor([0, 1]), torch.tensor([[3.0], [4.0]]), torch.empty(0))
    assert float(numbers.squared_norm()) == 25
