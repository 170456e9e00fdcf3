from __future__ import annotations

from typing import Any

import pytest
import torch

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.lookups import Gradient
from pocketrec.compress.storage.int4_qat import STORAGE
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of, random_batch, small_tables, zipf_stats

# Rows of every way to address and combine them; joined groups; widened rows.
METHODS: dict[str, dict[str, Any]] = {
    "full": {}, "hash_rows": {}, "multi_hash": {"hashes": 3}, "quotient_remainder": {}, "min_count": {},
    "narrow": {"widen": True}, "offline_split": {"cold": "multi_hash"},
}  # fmt: skip


QAT = ["int4_qat", "int4_table", "lsq", "lsq8"]


def made(method: str, *, steps: int = 0, storage: str = "int4_qat", **options: Any) -> Bank:
    tables = small_tables("rank")
    optimizer = OptimizerSpec(name="sgd", lr=0.1)
    chosen = {"storage": storage, "init": 0.5, **METHODS[method], **options}
    if method == "offline_split":
        chosen["cold_options"] = {"storage": storage, "init": 0.5}
    budget = 40_000 if method == "full" else 5_000 if storage == "lsq8" else 3_000
    sizing = size(tables, budget, method, stats=zipf_stats(tables), optimizer=optimizer, **chosen)
    bank = build(sizing, seed=0)
    for step in range(steps):
        batch = random_batch(sizing, step)
        (bank(batch.ids) * batch.factors).sum().backward()
        bank.step()
        for matrix in bank.matrices():
            matrix.grad = None
    return bank


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("storage", QAT)
def test_what_trains_is_what_serves_to_the_bit(method: str, storage: str) -> None:
    bank = made(method, steps=2, storage=storage)
    ids = random_batch(bank.sizing, 9, rows=40).ids
    with torch.no_grad():
        served = freeze(bank)
        assert served.held_bytes() == bank.sizing.serve_bytes
        if method == "narrow":  # widened by a product, which rounds as it is asked
            torch.testing.assert_close(bank(ids), served(ids))
            return
        assert torch.equal(bank(ids), served(ids))
        for name in bank.sizing.order[:2]:
            assert torch.equal(bank.rows(name, 1, 3), served.rows(name, 1, 3))
        plain = made(method, steps=0, storage="float32") if method != "offline_split" else bank
        assert method == "offline_split" or not torch.equal(bank(ids), plain(ids))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gradient", ["pairs", "dense", "sparse"])
def test_gradients_go_straight_through_to_the_rows_that_a_batch_touches(method: str, gradient: Gradient) -> None:
    """Equal to the gradient of a lookup in tables that are rounded beforehand."""
    bank = made(method, steps=1)
    batch = random_batch(bank.sizing, 3)
    bank.gradient = gradient
    (bank(batch.ids) * batch.factors).sum().backward()
    bank.collect()
    beforehand = made(method, steps=1)
    for group in groups_of(beforehand):
        object.__setattr__(group, "_rounds", None)
        for name in group.access.regions:
            group.tensor(name).data.copy_(STORAGE.seen(group.tensor(name).detach()))
    (beforehand(batch.ids) * batch.factors).sum().backward()
    beforehand.collect()
    for index, (group, other) in enumerate(zip(groups_of(bank), groups_of(beforehand), strict=True)):
        if gradient == "pairs":
            pairs, wanted = bank.pending[index], beforehand.pending[index]
            order, other_order = pairs.addresses.argsort(), wanted.addresses.argsort()
            assert torch.equal(pairs.addresses[order], wanted.addresses[other_order])
            torch.testing.assert_close(pairs.grads[order], wanted.grads[other_order])
            continue
        (name,) = group.access.regions
        found = group.tensor(name).grad
        assert found is not None
        dense = torch.zeros_like(found.to_dense())
        pairs = beforehand.pending[index]
        dense[pairs.addresses] = pairs.grads
        torch.testing.assert_close(found.to_dense(), dense)
        assert other.tensor(name).grad is None


def test_bags_are_rounded_before_they_are_pooled() -> None:
    """Rounding sums would be another model: one code would stand for several ids."""
    bank = made("full")
    ids, offsets = torch.tensor([1, 2, 3, 1, 0, 0, 0]), torch.tensor([0, 4, 5, 6, 7])
    with torch.no_grad():
        found = bank(ids, offsets)[0, 0]
        (group,) = groups_of(bank)
        rows = group.tensor("rows")[[1, 2, 3, 1]]
        torch.testing.assert_close(found, STORAGE.seen(rows).sum(dim=0))
        assert not torch.allclose(found, STORAGE.seen(rows.sum(dim=0, keepdim=True))[0])
        weights = torch.tensor([0.5, -1.0, 2.0, 1.0, 1.0, 1.0, 1.0])
        torch.testing.assert_close(
            bank(ids, offsets, weights)[0, 0], (STORAGE.seen(rows) * weights[:4, None]).sum(dim=0)
        )


def test_a_forward_costs_what_a_batch_touches() -> None:
    """No copy of the table: a rounded one of a million rows would be 64 MB."""
    bank = build(size([TableSpec(name="t", rows=1_000_000, dim=16)], "1x", "full", storage="int4_qat"), seed=0)
    ids = torch.arange(100)[:, None]
    with torch.profiler.profile(profile_memory=True) as profile:
        bank(ids)
    assert max(abs(event.cpu_memory_usage) for event in profile.key_averages()) < 1_000_000
