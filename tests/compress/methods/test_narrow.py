from __future__ import annotations

import pytest
import torch

from pocketrec.compress import build, size
from pocketrec.compress.methods.narrow import METHOD
from pocketrec.spec.errors import BudgetTooSmall
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract

TABLES = [TableSpec(name="a", rows=300, dim=8), TableSpec(name="b", rows=100, dim=8)]


class TestNarrow(MethodContract):
    method = METHOD
    variants = ({}, {"widen": True})


@pytest.mark.parametrize(("budget", "width"), [("1x", 8), ("2x", 4), ("3x", 2), ("8x", 1)])
def test_the_widest_that_fits(budget: str, width: int) -> None:
    sizing = size(TABLES, budget, "narrow")
    assert sizing.groups[0].settings["width"] == width
    assert sizing.serve_bytes == 400 * width * 4


def test_the_widening_matrices_count() -> None:
    sizing = size(TABLES, "2x", "narrow", widen=True)
    width = sizing.groups[0].settings["width"]
    assert width == 3, "4 would need 400 x 4 x 4 + 2 x 4 x 8 x 4 = 6,656 of 6,400 bytes"
    assert sizing.serve_bytes == 400 * width * 4 + 2 * width * 8 * 4


def test_below_one_number_per_id_it_refuses() -> None:
    with pytest.raises(BudgetTooSmall, match="at least 1,600 serve bytes"):
        size(TABLES, "9x", "narrow")


def test_missing_numbers_are_zeros() -> None:
    vectors = build(size(TABLES, "4x", "narrow"), seed=0)(torch.tensor([[0, 1], [299, 99]]))
    assert vectors[..., :2].all()
    assert not vectors[..., 2:].any()


def test_from_dense_takes_the_first_numbers() -> None:
    bank = build(size(TABLES, "4x", "narrow"), seed=0)
    weights = {"a": torch.randn(300, 8), "b": torch.randn(100, 8)}
    with torch.no_grad():
        METHOD().from_dense(bank.group_of("a"), weights)
    assert torch.equal(bank.rows("a", 0, 300)[:, :2], weights["a"][:, :2])


def test_widened_from_dense_is_the_best_low_rank_table() -> None:
    """Eckart, Young 1936: what is lost is the sum of the squared singular values that were dropped."""
    bank = build(size(TABLES, "2x", "narrow", widen=True), seed=0)
    weights = {"a": torch.randn(300, 8), "b": torch.randn(100, 8) + 1}
    with torch.no_grad():
        METHOD(widen=True).from_dense(bank.group_of("a"), weights)
    for name, dense in weights.items():
        lost = (bank.rows(name, 0, len(dense)) - dense).square().sum()
        torch.testing.assert_close(lost, torch.linalg.svdvals(dense)[3:].square().sum(), rtol=1e-4, atol=1e-4)


def test_widening_matrices_train_with_the_dense_nets() -> None:
    bank = build(size(TABLES, "2x", "narrow", widen=True), seed=0)
    (matrix,) = bank.matrices()
    bank(torch.tensor([[5, 7]])).sum().backward()
    assert matrix.grad is not None
    before = matrix.clone()
    bank.step()
    assert torch.equal(matrix, before), "the bank's step leaves it to the dense optimizer"
