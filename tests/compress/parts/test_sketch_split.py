"""Two hash levels (CAFE-ML) under `cafe`; all else of the part is tested with the methods that have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, size
from pocketrec.compress.group import Group
from pocketrec.compress.parts.sketch_split import SketchSplit, sketch_of, table_seeds
from pocketrec.compress.plain import PlainBank
from pocketrec.native.mix import mix, tag
from pocketrec.native.sketch import is_medium, set_medium, sketch_find
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec

DIM = 8
TABLES = (
    TableSpec(name="open", rows=None, dim=DIM, ids="hash63"),
    TableSpec(name="plain", rows=500, dim=DIM, ids="plain"),
)


def sized(budget: int = 12_000, **options: Any) -> Sizing:
    return size(TABLES, budget, "cafe", **({"levels": 2, "policy": "paper", "threshold": 50.0} | options))


def group_of(bank: Bank) -> Group:
    return bank.group_of("open")


def tell(bank: Bank, ids: Sequence[int], *, step: int) -> None:
    """As if a step had looked these ids of the first table up."""
    group = group_of(bank)
    with torch.no_grad():
        group.method.after_step(
            group, step=step, ids=torch.tensor(ids), tables=torch.zeros(len(ids), dtype=torch.int64),
            importance=torch.ones(len(ids)),
        )  # fmt: skip


def all_ids() -> Tensor:
    """int64 [500, 2]."""
    return torch.arange(500)[:, None].expand(-1, 2).contiguous()


def vectors(bank: Bank, ids: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = bank(ids)
    return found


def learn(bank: Bank, step: int) -> None:
    draw = torch.Generator().manual_seed(step)
    ids = torch.stack([(torch.rand(256, generator=draw) ** 3 * n).long() for n in (10**4, 500)], dim=1)
    (bank(ids) * torch.randn(256, 2, DIM, generator=draw)).sum().backward()
    bank.step()


def test_a_second_row_for_a_hundred_hot_ones_and_tags_for_a_hundred_ids_of_each() -> None:
    own = sized(200_000).groups[0]
    rows, method = own.settings["hot_rows"], sized().groups[0].options
    assert method["levels"] == 2
    shapes = {spec.name: spec.shape for spec in own.serve}
    assert shapes["second"] == (rows // 100, DIM)
    medium = 100 * (rows // 100)
    assert shapes["tags"] == (2 * (-(-rows // 2) + 1) + rows + medium,)
    assert own.serve_bytes <= 0.9 * 200_000 < own.serve_bytes + 100 * 4 + 4 * DIM + 60


@pytest.mark.parametrize("budget", [3_000, 12_001, 100_000])
@pytest.mark.parametrize("storage", ["float32", "int8", "int8_trained"])
def test_promised_bytes_are_held(budget: int, storage: str) -> None:
    sizing = sized(budget, storage=storage, every=1)
    bank = build(sizing, seed=0)
    for step in range(3):
        learn(bank, step)
    assert bank.held_bytes() == sizing.train_bytes
    assert freeze(bank).held_bytes() == sizing.serve_bytes <= budget


@pytest.mark.parametrize("storage", ["float32", "float16", "int8_trained", "bfloat16_trained"])
def test_who_becomes_medium_reads_its_second_row_besides_and_the_same_first_one(storage: str) -> None:
    """Crossing M changes the output by exactly H2[h2], which is zero for the first ones."""
    bank = build(sized(storage=storage, every=2), seed=0)
    ids, second = all_ids(), bank.tensors()["0.second"]
    cold, rows = vectors(bank, ids), bank.addresses(ids)[1]
    tell(bank, [3] * 9 + [4] * 5, step=1)
    assert torch.equal(vectors(bank, ids), cold)
    tell(bank, [3], step=2)
    assert torch.equal(vectors(bank, ids), cold), "it begins at zero"
    if storage == "int8_trained":
        return
    second.copy_(torch.randn(second.shape, generator=torch.Generator().manual_seed(0)))
    own = bank.addresses(ids)[0][..., 0]
    assert (own[:, 0] >= 0).nonzero()[:, 0].tolist() == [3, 4]
    assert torch.equal(bank.addresses(ids)[1], rows), "the first level is asked for the same rows"
    hot = len(bank.tensors()["0.hot"])
    expected = hot + (
        (tag(mix(torch.tensor([3, 4]), int(table_seeds(group_of(bank))[0]))) & 0xFFFFFFFF) * len(second) >> 32
    )
    assert own[3:5, 0].tolist() == expected.tolist()
    after = vectors(bank, ids)
    assert torch.equal(after[3:5, 0], second[expected - hot].float() + cold[3:5, 0])
    after[3:5, 0] = cold[3:5, 0]
    assert torch.equal(after, cold), "nobody else changes"


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_who_becomes_hot_goes_on_from_the_sum(storage: str) -> None:
    bank = build(sized(storage=storage, every=2, threshold=20.0), seed=0)
    tell(bank, [3] * 9 + [4] * 5, step=1)
    tell(bank, [3], step=2)
    bank.tensors()["0.second"].fill_(0.25)
    before, ids = vectors(bank, all_ids()), torch.tensor([[3, 3]])
    assert int(bank.addresses(ids)[0][0, 0]) >= len(bank.tensors()["0.hot"])
    tell(bank, [3] * 20, step=3)
    assert 0 <= int(bank.addresses(ids)[0][0, 0]) < len(bank.tensors()["0.hot"])
    assert int(bank.addresses(ids)[1][0, 0]) == -1, "who has a row of its own reads nothing else"
    assert torch.equal(vectors(bank, all_ids()), before)


@pytest.mark.parametrize(
    ("storage", "step"), [("bfloat16_trained", 2**-8), ("float16_trained", 2**-11), ("int8_trained", 1 / 127)]
)
@pytest.mark.parametrize("cold", ["hash_rows", "robe"])
def test_in_few_bits_who_becomes_hot_goes_on_to_one_rounding(storage: str, step: float, cold: str) -> None:
    """What was a sum of two rows, or blocks with scales of their own, is one row afterwards."""
    bank = build(sized(storage=storage, cold=cold, every=2, threshold=20.0), seed=0)
    tell(bank, [3] * 9 + [4] * 5, step=1)
    tell(bank, [3], step=2)
    second = bank.tensors()["0.second"]
    if second.is_floating_point():
        second.copy_(torch.randn(second.shape, generator=torch.Generator().manual_seed(0)))
    before = vectors(bank, all_ids())
    tell(bank, [3] * 20, step=3)
    assert 0 <= int(bank.addresses(torch.tensor([[3, 3]]))[0][0, 0]) < len(bank.tensors()["0.hot"])
    after = vectors(bank, all_ids())
    assert ((after[3, 0] - before[3, 0]).abs() <= step * before[3, 0].abs().max()).all()
    after[3, 0] = before[3, 0]
    assert torch.equal(after, before), "nobody else changes"


def test_medium_are_about_a_hundred_for_each_second_row() -> None:
    bank = build(sized(60_000, policy="top_k", every=4), seed=0)
    group = group_of(bank)
    method = group.method
    assert isinstance(method, SketchSplit)
    for step in range(40):
        learn(bank, step)
        count = int(is_medium(sketch_of(group)).sum())
        assert count <= method.medium_ids(len(group.tensor("hot")))
    assert count > 0.8 * method.medium_ids(len(group.tensor("hot")))
    assert group.tensor("second").any(dim=1).all(), "they learn"


@pytest.mark.parametrize("policy", ["top_k", "paper"])
@pytest.mark.parametrize("cold", ["hash_rows", "robe"])
def test_the_frozen_bank_and_its_plain_copy_give_what_the_trained_one_does(policy: str, cold: str) -> None:
    bank = build(sized(policy=policy, cold=cold, every=4, threshold=9.0), seed=0)
    for step in range(12):
        learn(bank, step)
    bank.eval()
    served, ids = freeze(bank), torch.cat([all_ids(), torch.randint(10**4, (500, 2)) % torch.tensor([10**4, 500])])
    assert is_medium(sketch_of(group_of(bank))).any()
    assert torch.equal(vectors(served, ids), vectors(bank, ids))
    assert torch.equal(PlainBank(served)(ids), vectors(served, ids))
    offsets = torch.arange(0, 2 * len(ids) + 1, 5)
    values = ids.t().reshape(-1)
    for pool in ("sum", "mean"):
        with torch.no_grad():
            torch.testing.assert_close(served(values, offsets, None, pool), bank(values, offsets, None, pool))


def test_a_resumed_run_goes_on_identically() -> None:
    sizing = sized(every=3, threshold=9.0)
    through, resumed = (build(sizing, seed=0) for _ in range(2))
    for step in range(8):
        for bank in (through, resumed):
            learn(bank, step)
        resumed = attach(sizing, {name: t.clone() for name, t in resumed.tensors().items()}, form="train")
    for name, tensor in through.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


def test_a_medium_id_teaches_both_levels() -> None:
    bank = build(sized(every=1), seed=0)
    tell(bank, [3, 4], step=1)
    slots = sketch_find(sketch_of(group_of(bank)), mix(torch.tensor([3]), int(table_seeds(group_of(bank))[0])))
    set_medium(sketch_of(group_of(bank)), slots)
    bank(torch.tensor([[3, 400]])).sum().backward()
    bank.collect()
    assert bank.pending[0].grads.tolist() == [[1.0] * DIM]
    assert bank.pending[1].grads.tolist() == [[1.0] * DIM] * 2
