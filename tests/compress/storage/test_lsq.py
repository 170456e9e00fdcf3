from __future__ import annotations

import torch

from pocketrec.compress import Bank, build, size
from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage.lsq import STORAGE
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec
from pocketrec.testing.storage_contract import StorageContract


class TestLsq(StorageContract):
    storage = STORAGE

    def test_it_is_served_as_int4_is(self) -> None:
        other = STORAGES.get("int4")
        assert (STORAGE.code, STORAGE.dtype) == (other.code, other.dtype)
        assert STORAGE.rows_shape(5, 7) == other.rows_shape(5, 7)
        assert STORAGE.array_shape(130) == other.array_shape(130)


def test_training_takes_a_step_per_row_besides() -> None:
    tables = [TableSpec(name="t", rows=50, dim=16)]
    for name in ("sgd", "rowwise_adagrad", "adagrad", "adam"):
        spec = OptimizerSpec(name=name)  # type: ignore[arg-type]
        ours = size(tables, "1x", storage="lsq", optimizer=spec)
        other = size(tables, "1x", storage="int4_qat", optimizer=spec)
        assert ours.serve_bytes == other.serve_bytes == 50 * 12
        assert ours.train_bytes == other.train_bytes + 50 * 4 == build(ours, seed=0).held_bytes()


def test_steps_that_a_float16_cannot_hold_are_rounded_before_codes_are_chosen() -> None:
    rows, steps = torch.tensor([[0.7, -0.8, 0.1001, 0.0]]), torch.tensor([[0.1001]])
    stored = STORAGE.encode_on(rows, steps)
    kept = float(steps.half())
    assert kept != float(steps)
    assert torch.equal(STORAGE.decode(stored, 4), torch.tensor([[7.0, -8.0, 1.0, 0.0]]) * kept)


def test_small_moves_add_up_in_the_rows_behind_the_codes() -> None:
    """Too small for a code each, a hundred of them change it; the step moves little meanwhile."""
    sizing = size(
        [TableSpec(name="t", rows=2, dim=4)], 1000, "full", storage="lsq",
        optimizer=OptimizerSpec(name="sgd", lr=0.002),
    )  # fmt: skip
    bank = build(sizing, seed=0)
    bank.tensors()["0.rows"].copy_(torch.tensor([[1.0, -1.0, 2.0, 3.0]] * 2))
    bank.tensors()["0.rows.step"].fill_(1.0)
    ids, pull = torch.tensor([[1]]), torch.tensor([0.0, 0.0, -1.0, 0.0])
    for _ in range(100):
        (bank(ids) * pull).sum().backward()
        bank.step()
    assert codes_of(bank) == [1, -1, 2, 3]
    for _ in range(250):
        (bank(ids) * pull).sum().backward()
        bank.step()
    assert float(bank.tensors()["0.rows"][1, 2]) > 2.6
    assert codes_of(bank) == [1, -1, 3, 3]


def codes_of(bank: Bank) -> list[int]:
    with torch.no_grad():
        return [round(v) for v in (bank(torch.tensor([[1]]))[0, 0] / bank.tensors()["0.rows.step"][1]).tolist()]
