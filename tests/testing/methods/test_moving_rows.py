"""Rows that move while they train."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, join, size
from pocketrec.compress.group import Group
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract
from pocketrec.testing.methods.moving_rows import METHOD
from pocketrec.testing.registered import registered

ROWS, DIM, EXACT = 60, 4, 8
TABLES = [TableSpec(name="a", rows=40, dim=DIM, ids="rank"), TableSpec(name="b", rows=20, dim=DIM, ids="rank")]
BUDGET = 4 * ROWS + 16 * (2 + EXACT)
HOT = torch.tensor([3, 11, 17])


class TestMovingRows(MethodContract):
    method = METHOD
    variants = ({}, {"every": 2, "decay": 1.0})


@pytest.fixture(autouse=True)
def _known() -> Iterator[None]:
    with registered(METHOD):
        yield


def sized(optimizer: OptimizerName = "rowwise_adagrad", **options: object) -> Sizing:
    return size(TABLES, BUDGET, "moving_rows", optimizer=OptimizerSpec(name=optimizer, lr=0.1), **options)


def group_of(bank: Bank) -> Group:
    return bank.group_of("a")


def owners(bank: Bank) -> Tensor:
    return bank.tensors()["0.owners"]


def batch(step: int, hot: Tensor = HOT) -> tuple[Tensor, Tensor]:
    """Half of the ids of table a are hot, and only these say anything about the label."""
    draw = torch.Generator().manual_seed(step)
    ids = torch.stack([torch.randint(t.closed_rows, (64,), generator=draw) for t in TABLES], dim=1)
    ids[::2, 0] = hot[torch.randint(len(hot), (32,), generator=draw)]
    effect = (ids[:, 0] == hot[0]).float() * 2 - (ids[:, 0] == hot[1]).float() * 2
    return ids, (effect + 0.1 > 0).float()


def train(bank: Bank, first: int, steps: int, hot: Tensor = HOT) -> list[float]:
    losses = []
    for step in range(first, first + steps):
        ids, labels = batch(step, hot)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(bank(ids).sum(dim=(1, 2)), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        bank.step()
        losses.append(float(loss.detach()))
    return losses


def told(bank: Bank, ids: list[int], tables: list[int], importance: list[float], step: int = 1) -> None:
    """As if a step had touched these."""
    with torch.no_grad():
        METHOD().after_step(
            group_of(bank), step=step, ids=torch.tensor(ids), tables=torch.tensor(tables),
            importance=torch.tensor(importance),
        )  # fmt: skip


def test_it_learns_and_finds_the_ids_that_matter() -> None:
    bank = build(sized(), seed=0)
    losses = train(bank, 0, 60)
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert set(HOT.tolist()) <= set(owners(bank).tolist())


def test_what_is_hot_may_change() -> None:
    bank = build(sized(), seed=0)
    train(bank, 0, 30)
    train(bank, 30, 60, hot=torch.tensor([20, 21, 22]))
    assert {20, 21, 22} <= set(owners(bank).tolist())
    assert not {3, 11, 17} <= set(owners(bank).tolist())


@pytest.mark.parametrize("optimizer", ["sgd", "rowwise_adagrad", "adagrad", "adam"])
def test_a_promoted_id_goes_on_from_the_shared_row(optimizer: OptimizerName) -> None:
    """Values and optimizer state are those of the row that it leaves: the output is continuous."""
    bank = build(sized(optimizer), seed=0)
    (bank(torch.tensor([[5, 7], [6, 8]])) * torch.randn(2, 2, DIM)).sum().backward()
    bank.collect()
    group_of(bank).update(bank.pending[0], bank.sizing.optimizer, lr=0.1, step=1)
    bank.discard()
    everything = {t.name: bank.rows(t.name, 0, t.closed_rows) for t in TABLES}
    told(bank, [5, 7], [0, 1], [2.0, 1.0])
    assert owners(bank).tolist()[:2] == [5, 40 + 7]
    for table in TABLES:
        assert torch.equal(bank.rows(table.name, 0, table.closed_rows), everything[table.name]), "to the last bit"
    slot = int(bank.tensors()["0.map"][5])
    assert slot >= 2, "a row of its own"
    for state in group_of(bank).state():
        assert torch.equal(state[slot], state[0])


def test_a_promoted_id_then_learns_alone() -> None:
    bank = build(sized("sgd"), seed=0)
    told(bank, [5], [0], [1.0])
    before = bank.rows("a", 0, 40)
    bank(torch.tensor([[5, 7]]))[:, 0].sum().backward()
    bank.step()
    moved = (bank.rows("a", 0, 40) != before).any(dim=1)
    assert moved.nonzero().flatten().tolist() == [5]


def test_a_demoted_id_reads_the_shared_row_again_and_no_other_id_changes() -> None:
    bank = build(sized("sgd"), seed=0)
    told(bank, list(range(8)), [0] * 8, [1.0] * 8)
    for step in range(3):  # exact rows move away from the shared one
        (bank(torch.tensor([[step, 0]])) * (step + 1)).sum().backward()
        bank.collect()
        group_of(bank).update(bank.pending[0], bank.sizing.optimizer, lr=0.1, step=1)
        bank.discard()
    before = bank.rows("a", 0, 40)
    told(bank, [*range(1, 8), 30], [0] * 8, [5.0] * 8)
    assert 0 not in owners(bank)
    assert 30 in owners(bank)
    after = bank.rows("a", 0, 40)
    assert torch.equal(after[0], after[39]), "shared"
    assert torch.equal(after[1:], before[1:])


def test_no_two_ids_own_one_row_and_every_row_is_owned_or_free() -> None:
    bank = build(sized(), seed=0)
    for step in range(20):
        train(bank, step, 1, hot=torch.randperm(40, generator=torch.Generator().manual_seed(step))[:3])
        taken = owners(bank)[owners(bank) >= 0]
        assert len(taken.unique()) == len(taken) <= EXACT
        places = bank.tensors()["0.map"].long()
        assert sorted(places[taken].tolist()) == sorted((2 + (owners(bank) >= 0).nonzero().flatten()).tolist())
        others = torch.ones(ROWS, dtype=torch.bool)
        others[taken] = False
        assert torch.equal(places[others], (torch.arange(ROWS) >= 40).long()[others])


def test_scores_add_up_what_was_told_and_decay() -> None:
    bank = build(sized(), seed=0)
    told(bank, [5, 5, 7], [0, 0, 1], [1.0, 2.0, 4.0])
    scores = bank.tensors()["0.scores"]
    assert scores[5] == pytest.approx(0.9 * 3)
    assert scores[47] == pytest.approx(0.9 * 4)
    assert int((scores > 0).sum()) == 2
    told(bank, [40, 10**15], [0, 1], [1.0, 1.0])
    assert scores[0] == pytest.approx(0.9), "ids beyond the rows count for id 0 of their table"
    assert scores[40] == pytest.approx(0.9)


def test_the_bank_tells_importance_of_every_lookup_once() -> None:
    bank = build(sized(decay=1.0), seed=0)
    ids = torch.tensor([[5, 7], [5, 8]])
    for _ in range(2):  # two lookups before one step
        (bank(ids) * torch.tensor([3.0, 0.0, 0.0, 4.0])).sum().backward()
        bank.collect()
    bank.step()
    scores = bank.tensors()["0.scores"]
    assert scores[5] == pytest.approx(4 * 5.0)
    assert scores[47] == scores[48] == pytest.approx(2 * 5.0)


def test_padding_is_not_told() -> None:
    bank = build(sized(), seed=0, padding={"a": 5})
    bank(torch.tensor([[5, 7]])).sum().backward()
    bank.step()
    assert bank.tensors()["0.scores"][5] == 0
    assert bank.tensors()["0.scores"][47] > 0


@pytest.mark.parametrize("stop", [0, 7, 19])
def test_it_resumes_exactly_while_rows_move(stop: int) -> None:
    through, resumed = build(sized(), seed=0), build(sized(), seed=0)
    for step in range(25):
        hot = HOT if step < 10 else torch.tensor([30, 31, 32])
        if step == stop:
            resumed = attach(sized(), {n: t.clone() for n, t in resumed.tensors().items()}, form="train")
        train(through, step, 1, hot)
        train(resumed, step, 1, hot)
    for name, tensor in through.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


@pytest.mark.parametrize(("storage", "error"), [("float32", 0.02), ("float16", 0.02), ("int8", 0.02), ("int4", 0.2)])
def test_it_freezes_to_the_promise(storage: str, error: float) -> None:
    sizing = sized(storage=storage)
    bank = build(sizing, seed=0)
    train(bank, 0, 10)
    served = freeze(bank)
    assert served.held_bytes() == sizing.serve_bytes <= BUDGET
    assert set(served.tensors()) == {"0.rows", "0.map"}, "scores and owners stay behind"
    torch.testing.assert_close(served(batch(0)[0]), bank.eval()(batch(0)[0]), rtol=error, atol=error)


def test_it_works_beside_two_other_methods_with_bags_too() -> None:
    others = [TableSpec(name=n, rows=50, dim=DIM) for n in "cd"]
    adagrad = OptimizerSpec(lr=0.1)
    parts = [size([others[0]], "4x", "robe", optimizer=adagrad), sized()]
    parts.append(size([others[1]], "2x", "quotient_remainder", optimizer=adagrad))
    sizing = join(parts, ["a", "c", "b", "d"], sum(p.serve_bytes for p in parts))
    bank = build(sizing, seed=0)
    ids = torch.tensor([[5, 1, 6, 2], [5, 3, 7, 4]])
    (bank(ids) * torch.randn(2, 4, DIM)).sum().backward()
    bank.step()
    assert {5, 46, 47} <= set(bank.group_of("a").tensors()["owners"].tolist())
    offsets = torch.tensor([0, 2, 3, 4, 4, 6, 6, 7, 8])  # two bags per column
    (bank(torch.tensor([8, 9, 5, 1, 12, 12, 2, 3]), offsets) ** 2).sum().backward()
    bank.step()
    assert {8, 9, 52} <= set(bank.group_of("a").tensors()["owners"].tolist())
    assert freeze(bank).held_bytes() == sizing.serve_bytes
    assert torch.equal(freeze(bank)(ids), bank.eval()(ids))


def test_options_are_checked() -> None:
    for wrong in ({"every": 0}, {"decay": 0.0}, {"decay": 1.5}):
        with pytest.raises(OptionError, match="moving_rows"):
            METHOD(**wrong)  # type: ignore[arg-type]
