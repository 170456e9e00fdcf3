"""Two stages, the second under a mask made from the first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, join, size, stages
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract
from pocketrec.testing.methods.masked_rows import METHOD
from pocketrec.testing.registered import registered

ROWS, DIM, KEPT = 60, 4, 20
TABLES = [TableSpec(name="a", rows=40, dim=DIM), TableSpec(name="b", rows=20, dim=DIM)]
BUDGET = 4 * ROWS + 16 * KEPT


class TestMaskedRows(MethodContract):
    method = METHOD


@pytest.fixture(autouse=True)
def _known() -> Iterator[None]:
    with registered(METHOD):
        yield


def sized(**options: object) -> Sizing:
    return size(TABLES, BUDGET, "masked_rows", optimizer=OptimizerSpec(lr=0.1), **options)


def batch(step: int) -> tuple[Tensor, Tensor]:
    """Ids and a planted label: ids 0, 3, 6 ... of both tables matter, in turn for and against."""
    draw = torch.Generator().manual_seed(step)
    ids = torch.stack([torch.randint(t.closed_rows, (64,), generator=draw) for t in TABLES], dim=1)
    effect = torch.where(ids % 3 == 0, torch.where(ids % 2 == 0, 2.0, -2.0), 0.0).sum(dim=1)
    return ids, (effect + 0.1 > 0).float()


def train(bank: Bank, first: int, steps: int) -> list[float]:
    losses = []
    for step in range(first, first + steps):
        ids, labels = batch(step)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(bank(ids).sum(dim=(1, 2)), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        bank.step()
        losses.append(float(loss.detach()))
    return losses


def searched(steps: int = 30) -> Bank:
    bank = build(stages(sized())[0][1], seed=0)
    train(bank, 0, steps)
    return bank


def test_both_stages_learn() -> None:
    (search, search_sizing), (retrain, sizing) = stages(sized())
    assert (search.epochs, retrain.epochs) == (1, None)
    assert (search.optimizer, retrain.optimizer) == ("reset", "keep")
    bank = build(search_sizing, seed=0)
    losses = train(bank, 0, 60)
    assert losses[-1] < 0.6 * losses[0]
    bank = build(sizing, seed=0, previous=bank)
    again = train(bank, 60, 40)
    assert again[0] < 0.9 * losses[0], "the second stage begins with what the first one learned"
    assert again[-1] < 0.7 * losses[0]


def test_training_holds_all_rows_first_and_serving_only_those_that_are_kept() -> None:
    (_, first), (_, last) = stages(sized())
    assert first.train_bytes == ROWS * (16 + 4)
    assert last.train_bytes == KEPT * (16 + 4) + 4 * ROWS
    assert first.serve_bytes == last.serve_bytes == BUDGET


def test_the_mask_keeps_the_longest_rows_with_their_state() -> None:
    before = searched()
    after = build(sized(), seed=0, previous=before)
    rows, places = before.tensors()["0.rows"], after.tensors()["0.map"]
    kept = places >= 0
    assert int(kept.sum()) == KEPT
    assert rows[kept].norm(dim=1).min() >= rows[~kept].norm(dim=1).max()
    for name in ("0.rows", "0.rows.sum"):
        assert torch.equal(after.tensors()[name][places[kept].long()], before.tensors()[name][kept])
    assert int(after.steps) == int(before.steps)


def test_pruned_ids_read_zeros_and_never_learn() -> None:
    bank = build(sized(), seed=0, previous=searched())
    pruned = int((bank.tensors()["0.map"][:40] < 0).nonzero()[0])
    before = {name: t.clone() for name, t in bank.tensors().items() if name != "steps"}
    vectors = bank(torch.tensor([[pruned, 0]]))
    assert not vectors[0, 0].any()
    vectors[0, 0].sum().backward()
    bank.step()
    assert all(torch.equal(bank.tensors()[name], t) for name, t in before.items())


@pytest.mark.parametrize("stop", [5, 29, 30, 35])
def test_it_resumes_exactly_in_either_stage(stop: int) -> None:
    plan = stages(sized())

    def run(interrupted_at: int | None) -> Bank:
        bank: Bank | None = None
        done = 0
        for _, sizing in plan:
            bank = build(sizing, seed=0, previous=bank)
            for step in range(done, done + 30):
                if step == interrupted_at:
                    kept = {name: tensor.clone() for name, tensor in bank.tensors().items()}
                    bank = attach(sizing, kept, form="train")
                train(bank, step, 1)
            done += 30
        assert bank is not None
        return bank

    through, resumed = run(None), run(stop)
    for name, tensor in through.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_it_freezes_to_the_promise_after_either_stage(storage: str) -> None:
    sizing = sized(storage=storage)
    bank: Bank | None = None
    for _, stage in stages(sizing):
        bank = build(stage, seed=0, previous=bank)
        train(bank, 0, 10)
        served = freeze(bank)
        assert served.held_bytes() == served.sizing.serve_bytes == sizing.serve_bytes <= BUDGET
        assert served.sizing.groups[0].serve == sizing.groups[0].serve, "the serving form is that of the last stage"
        assert served.sizing.groups[0].settings == sizing.groups[0].settings
        (held,) = served.groups[0].regions()  # type: ignore[operator, union-attr]
        assert len(held) == sizing.groups[0].settings["kept"]


def test_freezing_after_the_first_stage_prunes_as_entering_the_second_does() -> None:
    bank = searched()
    early, late = freeze(bank), freeze(build(sized(), seed=0, previous=bank))
    for name, tensor in early.tensors().items():
        assert torch.equal(tensor, late.tensors()[name]), name


def test_it_works_beside_two_other_methods() -> None:
    others = [TableSpec(name=n, rows=50, dim=DIM) for n in "cd"]
    parts = [size([others[0]], "4x", "robe", optimizer=OptimizerSpec(lr=0.1)), sized()]
    parts.append(size([others[1]], "2x", "hash_rows", optimizer=OptimizerSpec(lr=0.1)))
    sizing = join(parts, ["a", "c", "b", "d"], sum(p.serve_bytes for p in parts))
    ids = torch.randint(20, (16, 4), generator=torch.Generator().manual_seed(0))
    bank: Bank | None = None
    for number, (_, stage) in enumerate(stages(sizing)):
        before = bank
        bank = build(stage, seed=0, previous=bank)
        if before is not None:
            assert torch.equal(bank(ids)[:, 1], before(ids)[:, 1]), "other methods go on where they were"
            bank.discard()
        for step in range(3):
            (
                bank(ids) * torch.randn(16, 4, DIM, generator=torch.Generator().manual_seed(step + number))
            ).sum().backward()
            bank.step()
    assert bank is not None
    assert freeze(bank).held_bytes() == sizing.serve_bytes
    assert torch.equal(freeze(bank)(ids), bank.eval()(ids))
