from __future__ import annotations

import torch

from pocketrec.compress import build, size
from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage.int4_qat import STORAGE
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec
from pocketrec.testing.storage_contract import StorageContract


class TestInt4QAT(StorageContract):
    storage = STORAGE

    def test_it_is_served_as_int4_is(self) -> None:
        other = STORAGES.get("int4")
        assert (STORAGE.code, STORAGE.dtype) == (other.code, other.dtype)
        assert STORAGE.rows_shape(5, 7) == other.rows_shape(5, 7)
        assert STORAGE.array_shape(130) == other.array_shape(130)


def test_rounded_reads_are_within_a_step_and_differentiable() -> None:
    rows = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    seen = STORAGE.seen(rows)
    assert ((seen - rows).abs() <= STORAGE.step_size(rows.detach())).all()
    assert len(seen[0].detach().unique()) <= 16
    upstream = torch.randn(50, 7, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(seen, rows, upstream)
    assert torch.equal(gradient, upstream)


def test_small_steps_arrive_in_the_rows_behind_the_codes() -> None:
    """Too small for a code each, a hundred of them change it: the float32 rows remember."""
    sizing = size(
        [TableSpec(name="t", rows=2, dim=4)], 1000, "full", storage="int4_qat",
        optimizer=OptimizerSpec(name="sgd", lr=0.002),
    )  # fmt: skip
    bank = build(sizing, seed=0)
    bank.tensors()["0.rows"].copy_(torch.tensor([[0.0, 1.0, 2.0, 15.0]] * 2))
    ids, pull = torch.tensor([[1]]), torch.tensor([0.0, -1.0, 0.0, 0.0])
    first = bank(ids).detach().clone()
    for _ in range(200):
        (bank(ids) * pull).sum().backward()
        bank.step()
    assert torch.equal(first[0, 0], torch.tensor([0.0, 1.0, 2.0, 15.0]))
    assert torch.equal(bank(ids)[0, 0], torch.tensor([0.0, 1.0, 2.0, 15.0]))  # 1.4 rounds to 1
    for _ in range(100):
        (bank(ids) * pull).sum().backward()
        bank.step()
    assert torch.equal(bank(ids)[0, 0], torch.tensor([0.0, 2.0, 2.0, 15.0]))
