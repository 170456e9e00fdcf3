from __future__ import annotations

import torch

from pocketrec.compress import build, size
from pocketrec.spec.table import TableSpec
from pocketrec.testing.materialise import dense_tables

TABLES = [TableSpec(name="a", rows=9, dim=3), TableSpec(name="b", rows=5, dim=3)]


def test_full_tables_are_their_rows() -> None:
    bank = build(size(TABLES, "1x"), seed=0)
    rows = bank.tensors()["0.rows"]
    one, two = dense_tables(bank)
    assert torch.equal(one, rows[:9])
    assert torch.equal(two, rows[9:])


def test_gradients_reach_every_weight_as_often_as_it_is_read() -> None:
    bank = build(size(TABLES, "2x", "robe", block=1), seed=0)
    array = bank.group_of("a").tensor("array")
    torch.cat(dense_tables(bank)).square().sum().backward()
    assert array.grad is not None
    bank.gradient = "dense"
    read = torch.autograd.grad(bank(torch.tensor([[i, i % 5] for i in range(9)])).square().sum(), array)[0]
    assert (array.grad.abs() <= read.abs() + 1e-6).all(), "ids of b were read up to twice there, once here"


def test_products_and_widened_vectors() -> None:
    bank = build(size([TableSpec(name="t", rows=100, dim=4)], "3x", "quotient_remainder"), seed=0)
    rows, sized = bank.tensors()["0.rows"], bank.sizing.of("t").settings
    (pairs,) = bank.addresses(torch.arange(100)[:, None])
    assert sized["remainders"] > 1
    assert torch.equal(dense_tables(bank)[0], rows[pairs[:, 0, 0]] * rows[pairs[:, 0, 1]])
    wide = build(size(TABLES, "1x", "narrow", widen=True), seed=0)
    expected = wide.tensors()["0.rows"][9:] @ wide.tensors()["0.widen"][1]
    torch.testing.assert_close(dense_tables(wide)[1], expected)
