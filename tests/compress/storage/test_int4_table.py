from __future__ import annotations

import pytest
import torch

from pocketrec.compress import Bank, build, freeze, restart, size
from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage.int4_table import STORAGE
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec
from pocketrec.testing.storage_contract import StorageContract

TABLES = [TableSpec(name="a", rows=30, dim=5, ids="rank"), TableSpec(name="b", rows=7, dim=5, ids="rank")]
STATS = {t.name: TableStats.zipf(t.name, t.closed_rows - 1) for t in TABLES}


class TestInt4Table(StorageContract):
    storage = STORAGE

    def test_it_is_served_as_int4_is(self) -> None:
        other = STORAGES.get("int4")
        assert (STORAGE.code, STORAGE.dtype) == (other.code, other.dtype)
        assert STORAGE.rows_shape(5, 7) == other.rows_shape(5, 7)


def made(method: str = "full", budget: str | int = "1x", lr: float = 0.5) -> Bank:
    optimizer = OptimizerSpec(name="sgd", lr=lr)
    bank = build(size(TABLES, budget, method, stats=STATS, optimizer=optimizer, storage="int4_table"), seed=0)
    rows = bank.tensors()["0.rows"]
    rows.copy_(torch.randn(rows.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    rows[4] *= 30  # of the first table
    return bank


def by_law(rows: torch.Tensor) -> torch.Tensor:
    """DQRM's: one step, halves to even, -8 to 7."""
    step = (rows.abs().max() / 7).half().float()
    return (rows / step).round().clamp(-8, 7) * step


@pytest.mark.parametrize(("method", "budget"), [("full", "1x"), ("min_count", "50%")])
def test_each_table_is_read_on_one_step_by_the_published_law(method: str, budget: str) -> None:
    bank = made(method, budget)
    bank.begin_step(step=0, rows=0)
    rows, own = bank.tensors()["0.rows"], [int(t.settings["rows"]) for t in bank.sizing.groups[0].tables]
    first, second = rows.split(own)
    for column, (table, of) in enumerate(((first, own[0]), (second, own[1]))):
        ids = torch.zeros(of, 2, dtype=torch.int64)
        ids[:, column] = torch.arange(of)
        assert torch.equal(bank(ids)[:, column], by_law(table))
    steps = bank.tensors()["0.rows.step"].split(own)
    assert [len(s.unique()) for s in steps] == [1, 1]
    assert float(steps[0][0]) > 3 * float(steps[1][0])


def test_a_step_rests_for_two_hundred_steps_and_what_leaves_its_range_is_cut() -> None:
    bank = made()
    bank.begin_step(step=0, rows=0)
    held = bank.tensors()["0.rows.step"].clone()
    bank.tensors()["0.rows"][31] = 100.0
    for step in (1, 7, 199):
        bank.begin_step(step=step, rows=0)
        assert torch.equal(bank.tensors()["0.rows.step"], held)
    assert torch.equal(bank(torch.tensor([[0, 1]]))[0, 1], 7 * held[31].half().float().expand(5))
    bank.begin_step(step=200, rows=0)
    assert float(bank.tensors()["0.rows.step"][31]) == pytest.approx(100 / 7)
    assert torch.equal(bank.tensors()["0.rows.step"][:30], held[:30])


def test_the_gradient_goes_straight_through_also_where_numbers_are_cut() -> None:
    bank = made(lr=0.01)
    bank.begin_step(step=0, rows=0)
    bank.tensors()["0.rows"][31] = 100.0
    before = bank.tensors()["0.rows"].clone()
    steps = bank.tensors()["0.rows.step"].clone()
    pull = torch.arange(10.0).view(1, 2, 5)
    (bank(torch.tensor([[3, 1]])) * pull).sum().backward()
    bank.step()
    moved = bank.tensors()["0.rows"] - before
    torch.testing.assert_close(moved[3], -0.01 * pull[0, 0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(moved[31], -0.01 * pull[0, 1], atol=1e-5, rtol=1e-4)
    assert int((moved != 0).any(dim=1).sum()) == 2
    assert torch.equal(bank.tensors()["0.rows.step"], steps), "steps are fitted, they do not learn"


def test_frozen_vectors_are_those_that_training_read() -> None:
    bank = made("min_count", "50%")
    bank.begin_step(step=0, rows=0)
    for step in range(1, 4):
        (bank(torch.tensor([[step, 1], [2, 3]])) * 0.7).sum().backward()
        bank.step()
        bank.begin_step(step=step, rows=2)
    ids = torch.stack([torch.arange(7), torch.arange(7)], dim=1)
    assert torch.equal(freeze(bank)(ids), bank.eval()(ids))


def test_a_bank_that_begins_anew_is_looked_at_at_once() -> None:
    bank = made()
    bank.begin_step(step=0, rows=0)
    restart(bank, seed=5)
    assert not bank.tensors()["0.rows.step"].any()
    bank.begin_step(step=13, rows=0)
    rows, steps = bank.tensors()["0.rows"], bank.tensors()["0.rows.step"]
    assert float(steps[0]) == pytest.approx(float(rows[:30].abs().max() / 7))


def test_training_takes_a_step_per_row_besides() -> None:
    other = size(TABLES, "1x", storage="int4_qat", stats=STATS)
    ours = size(TABLES, "1x", storage="int4_table", stats=STATS)
    assert ours.serve_bytes == other.serve_bytes
    assert ours.train_bytes == other.train_bytes + 37 * 4 == build(ours, seed=0).held_bytes()
