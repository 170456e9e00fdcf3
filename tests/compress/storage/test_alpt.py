from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.in_float32 import float32_weights
from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage.alpt import STORAGE
from pocketrec.native.learned_scale import scale_gradient, scale_of
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec
from pocketrec.testing.storage_contract import StorageContract


class TestAlpt(StorageContract):
    storage = STORAGE

    def test_it_is_served_as_int8_is(self) -> None:
        other = STORAGES.get("int8")
        assert (STORAGE.code, STORAGE.dtype) == (other.code, other.dtype)
        assert STORAGE.rows_shape(5, 7) == other.rows_shape(5, 7)
        assert STORAGE.array_shape(130) == other.array_shape(130)


TABLES = [TableSpec(name="a", rows=60, dim=16), TableSpec(name="b", rows=20, dim=16)]


def made(optimizer: OptimizerSpec, *, init: float = 0.3) -> Bank:
    return build(size(TABLES, "1x", "full", storage="alpt", init=init, optimizer=optimizer), seed=0)


def rows_of(bank: Bank) -> Tensor:
    return bank.tensors()["0.rows"]


def test_rows_begin_unbiased_however_small_they_are() -> None:
    """A thousandth of a step: to nearest all would be zero, and a model that multiplies vectors would stay there."""
    rows = torch.full((20_000, 16), 1e-5) * torch.randn(20_000, 16, generator=torch.Generator().manual_seed(0))
    rows += 2e-5
    found = STORAGE.decode(STORAGE.encode(rows), 16)
    assert set(found.unique().tolist()) <= {0.0, float(found.max()), float(found.min())}
    assert abs(float(found.mean()) - 2e-5) < 5 * 0.01 * math.sqrt(0.002 / found.numel())
    assert torch.equal(STORAGE.encode(rows[:5]), STORAGE.encode(rows)[:5])


@pytest.mark.parametrize("optimizer", ["sgd", "rowwise_adagrad", "adagrad", "adam"])
def test_bytes_are_those_of_int8_and_the_state_of_a_step_per_row(optimizer: str) -> None:
    """dim 16: 24 of 64 bytes, 37.5 % (the paper's 31.25 % has no bias); two moments of the step with Adam."""
    spec = OptimizerSpec(name=optimizer)  # type: ignore[arg-type]
    ours = size(TABLES, "1x", "full", storage="alpt", optimizer=spec)
    other = size(TABLES, "1x", "full", storage="int8_trained", optimizer=spec)
    assert ours.serve_bytes == other.serve_bytes == 80 * 24
    moments = {"sgd": 0, "rowwise_adagrad": 1, "adagrad": 1, "adam": 2}[optimizer]
    assert ours.train_bytes == other.train_bytes + 80 * 4 * moments
    bank = build(ours, seed=0)
    assert bank.held_bytes() == ours.train_bytes
    assert freeze(bank).held_bytes() == ours.serve_bytes


def test_shared_arrays_are_those_of_int8() -> None:
    bank = build(size(TABLES, "8x", "robe", storage="alpt"), seed=0)
    assert bank.tensors()["0.array"].dtype is torch.float32
    served = freeze(bank)
    wanted = STORAGES.get("int8").encode_array(bank.tensors()["0.array"])
    assert torch.equal(served.tensors()["0.array"], wanted)
    bank(torch.tensor([[1, 2]])).sum().backward()
    bank.step()


def test_the_step_learns_by_the_moved_rows_and_the_gradient_of_the_pass() -> None:
    bank = made(OptimizerSpec(name="sgd", lr=0.05, scale_lr=1e-3))
    ids, factors = torch.tensor([[1, 2], [3, 2], [1, 4]]), torch.randn(3, 2, 16)
    before = rows_of(bank).clone()
    dense = torch.zeros(80, 16).index_add_(0, (ids + torch.tensor([0, 60])).view(-1), factors.view(-1, 16))
    (bank(ids) * factors).sum().backward()
    bank.step()
    moved = STORAGE.decode(before, 16) - 0.05 * dense
    scale = scale_of(before, 16)
    wanted = scale - 1e-3 * scale_gradient(moved, dense, scale, batch=3)
    torch.testing.assert_close(scale_of(rows_of(bank), 16), wanted)
    touched = dense.any(dim=1)
    assert not torch.equal(scale_of(rows_of(bank), 16)[touched], scale[touched])
    assert torch.equal(rows_of(bank)[~touched], before[~touched])


def test_a_schedule_moves_both_rates() -> None:
    ids, found = torch.tensor([[1, 2]]), []
    for lr in (0.1, 0.05):
        bank = made(OptimizerSpec(name="sgd", lr=0.1, scale_lr=1e-2))
        before = scale_of(rows_of(bank), 16)[1].clone()
        group = bank.group_of("a")
        group.tensor("rows").data[1] = STORAGE.encode(torch.full((1, 16), 10.0))[0]  # beyond 100 steps: cut alike
        before = scale_of(rows_of(bank), 16)[1].clone()
        (bank(ids) * -1.0).sum().backward()
        bank.step(lr=lr)
        found.append(float(scale_of(rows_of(bank), 16)[1] - before))
    assert found[0] == pytest.approx(2 * found[1], rel=1e-3)
    assert found[0] > 0, "what is pulled beyond the range makes its step grow"


def test_the_data_rows_of_accumulated_batches_count() -> None:
    bank = made(OptimizerSpec(name="sgd", lr=0.05, scale_lr=1e-3))
    seen: list[int] = []
    group = bank.group_of("a")
    plain = type(group).update

    def noted(self: object, *args: object, batch: int = 1, **named: object) -> None:
        seen.append(batch)
        plain(self, *args, batch=batch, **named)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(group), "update", noted)
        ids = torch.ones(4, 2, dtype=torch.int64)
        bank(ids).sum().backward()
        bank.collect()
        bank(ids[:3]).sum().backward()
        bank.step()
        (bank(ids).sum() + bank(ids[:2]).sum()).backward()  # two lookups for one loss are of the same data rows
        bank.step()
        offsets = torch.tensor([0, 2, 3, 3, 4, 5, 6, 7, 8, 8, 8])  # five bags a column
        bank(ids.view(-1), offsets).sum().backward()
        bank.step()
        with torch.no_grad():
            bank(ids.repeat(9, 1))
        bank.eval()
        bank(ids.repeat(9, 1))
        bank.train()
        bank(ids[:1]).sum().backward()
        bank.step()
    assert seen == [7, 4, 5, 1]


def test_small_updates_arrive_in_the_mean() -> None:
    """Each a fiftieth of a step; the steps themselves rest."""
    rows = 2000
    sizing = size(
        [TableSpec(name="a", rows=rows, dim=4)], "1x", "full", storage="alpt",
        optimizer=OptimizerSpec(name="sgd", lr=1.0, scale_lr=1e-12),
    )  # fmt: skip
    bank = build(sizing, seed=0)
    bank.tensors()["0.rows"].copy_(STORAGE.encode(torch.zeros(rows, 4)))
    pull = torch.tensor([2e-4, -2e-4, 0.0, 1e-4])
    for _ in range(50):
        (bank(torch.arange(rows)[:, None]) * pull).sum().backward()
        bank.step()
    found = float32_weights(bank.group_of("a"), "rows").double()
    error = found.std(dim=0) / math.sqrt(rows) + 1e-7
    assert ((found.mean(dim=0) + 50 * pull).abs() < 5 * error).all()
    assert float(error[0]) < 1e-3
    assert (found[:, 2] == 0).all()


def test_what_trains_is_what_serves_to_the_bit() -> None:
    bank = made(OptimizerSpec(name="rowwise_adagrad", lr=0.1))
    for step in range(5):
        ids = torch.randint(20, (16, 2), generator=torch.Generator().manual_seed(step))
        (bank(ids) * torch.randn(16, 2, 16)).sum().backward()
        bank.step()
    ids = torch.randint(20, (30, 2))
    with torch.no_grad():
        assert torch.equal(bank(ids), freeze(bank)(ids))
