"""A frozen bank without its ops gives the same vectors, to the bit where no product of matrices makes them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pocketrec.compress import METHODS, Bank, build, freeze, join, size
from pocketrec.compress.method import of
from pocketrec.compress.plain import PlainBank
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import random_batch, same_vectors, small_tables, storages_of, zipf_stats
from pocketrec.testing.sets import some_data


def frozen(method: str, **options: object) -> tuple[Sizing, Bank]:
    chosen = of(method, options)
    tables = small_tables(chosen.traits.ids[0])
    budget_bytes = max(dense_float32_bytes(tables) // 4, chosen.least_bytes(tables))
    sizing = chosen.size(tables, budget_bytes, stats=zipf_stats(tables))
    return sizing, freeze(build(sizing, seed=0, data=some_data(sizing)))


def bags(ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bags of 0 to 3 of a batch's ids, with a factor each."""
    draw = torch.Generator().manual_seed(1)
    lengths = torch.randint(4, (ids.shape[1] * 5,), generator=draw)
    column = torch.arange(ids.shape[1]).repeat_interleave(5).repeat_interleave(lengths)
    values = ids[torch.randint(len(ids), (len(column),), generator=draw), column]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    return values, offsets, torch.rand(len(values), generator=draw)


def check(bank: Bank, ids: Tensor) -> None:
    made, rounds = PlainBank(bank), any(group.method.traits.rounds for group in bank.groups)
    assert same_vectors(made(ids), bank(ids), rounds=rounds)
    values, offsets, factors = bags(ids)
    assert same_vectors(made(values, offsets), bank(values, offsets), rounds=rounds)
    assert same_vectors(made(values, offsets, factors), bank(values, offsets, factors), rounds=rounds)
    for inputs in ((ids,), (values, offsets), (values, offsets, factors)):
        assert same_vectors(made.pooled(*inputs), bank.pooled(*inputs), rounds=rounds)


@pytest.mark.parametrize(
    ("method", "storage"), [(name, storage) for name in METHODS.names() for storage in storages_of(METHODS.get(name))]
)
def test_the_same_vectors_for_every_method_and_storage(method: str, storage: str) -> None:
    sizing, bank = frozen(method, storage=storage)
    check(bank, random_batch(sizing, 3).ids)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("narrow", {"widen": True}),
        ("robe", {"block": 1}),
        ("robe", {"sign": False}),
        ("quotient_remainder", {"combine": "product"}),
        ("bloom", {"hashes": 3, "weight_hashes": 2}),
        ("bloom", {"weight_hashes": 0}),
    ],
)
def test_the_same_bits_for_options_that_change_the_lookup(method: str, options: dict[str, object]) -> None:
    sizing, bank = frozen(method, **options)
    check(bank, random_batch(sizing, 3).ids)


def test_a_mixed_bank_whose_columns_are_not_in_the_order_of_its_groups() -> None:
    tables = [TableSpec(name=f"t{i}", rows=20 + i, dim=4) for i in range(3)]
    parts = [size(tables[:1], "1x", storage="int8"), size(tables[1:], "4x", "robe")]
    bank = freeze(build(join(parts, ["t2", "t0", "t1", "t0"], "1x"), seed=0))
    check(bank, torch.randint(20, (6, 4), generator=torch.Generator().manual_seed(0)))


def test_a_bank_of_which_some_tables_have_factors() -> None:
    tables = [TableSpec(name=f"t{i}", rows=20 + i, dim=4) for i in range(3)]
    parts = [size(tables[:1], "1x", "hash_rows"), size(tables[1:], "4x", "bloom", weight_start="uniform")]
    bank = freeze(build(join(parts, ["t2", "t0", "t1", "t0"], 10_000), seed=0, padding={"t1": 3}))
    check(bank, torch.randint(20, (6, 4), generator=torch.Generator().manual_seed(0)))


def test_padding_is_left_out_and_plain_ids_keep_their_limits() -> None:
    tables = [TableSpec(name="a", rows=9, dim=4), TableSpec(name="b", rows=7, dim=4, ids="plain")]
    bank = freeze(build(size(tables, "1x"), seed=0, padding={"a": 3}))
    ids = torch.tensor([[3, 1], [4, 6], [3, 0]])
    check(bank, ids)
    assert not PlainBank(bank)(ids)[0, 0].any()
    ids[1, 1] = 7
    with pytest.raises(RuntimeError, match="an id lies beyond its table"):
        PlainBank(bank)(ids)


def test_it_shares_the_tensors_of_the_bank() -> None:
    _, bank = frozen("full")
    theirs = {t.data_ptr() for t in bank.tensors().values()}
    assert theirs <= {t.data_ptr() for t in PlainBank(bank).state_dict().values()}


def test_a_bank_that_trains_is_not_exported() -> None:
    bank = build(size([TableSpec(name="t", rows=5, dim=4)], "1x"), seed=0)
    with pytest.raises(AssertionError, match="only a frozen bank"):
        PlainBank(bank)
