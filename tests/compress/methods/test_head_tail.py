from __future__ import annotations

from typing import Any

import pytest
import torch

from pocketrec.compress import build, freeze, size
from pocketrec.compress.methods.head_tail import METHOD
from pocketrec.spec.errors import OptionError
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract

COUNTS = {"a": [50, 20, 7, 7, 7, 3, 2, 2, 1, 1, 1, 1, 1], "b": [30, 9, 7, 2, 2, 1]}
TABLES = [TableSpec(name=n, rows=len(c) + 1, dim=8, ids="rank") for n, c in COUNTS.items()]
STATS = {n: TableStats.of_counts(n, c) for n, c in COUNTS.items()}


class TestHeadTail(MethodContract):
    method = METHOD
    variants = ({}, {"block": 5}, {"share": 0.0}, {"share": 1.0, "sign": False})


def test_the_frequent_ids_of_all_tables_own_weights() -> None:
    sizing = size(TABLES, 8 + 4 * 8 * 10, "head_tail", stats=STATS, storage="float32", share=0.6)
    group = sizing.groups[0]
    assert group.settings["weights"] == 80
    assert {t.table.name: t.told_apart for t in group.tables} == {"a": 3, "b": 3}, "50, 30, 20, 9, and two 7s"
    assert sizing.vocabulary_bytes == 12 * 6


def test_what_ids_own_nobody_else_reads() -> None:
    sizing = size(TABLES, 8 + 4 * 8 * 10, "head_tail", stats=STATS, storage="float32", share=0.6)
    bank = build(sizing, seed=0)
    own = sizing.of("a").told_apart
    found = bank.addresses(torch.arange(1, own + 1)[:, None].expand(own, 2))[0]
    assert found.transpose(0, 1).flatten().tolist() == list(range(0, 48, 4)), "whole vectors, one after the other"
    tail = torch.randint(own + 1, 2**62, (500, 2), generator=torch.Generator().manual_seed(1))
    tail[0] = 0
    assert int(bank.addresses(tail)[0].min()) >= 48
    assert int(bank.addresses(tail)[0].max()) <= 79


def test_an_id_takes_nine_bytes_in_int4() -> None:
    tables = [TableSpec(name="t", rows=10_001, dim=16, ids="rank")]
    stats = {"t": TableStats(table="t", histogram=((5, 10_000),))}
    sizing = size(tables, 8 + 36 * 500, "head_tail", stats=stats, storage="int4", share=1.0)
    assert sizing.serve_bytes == 8 + 36 * 500
    assert sizing.of("t").told_apart == 1999, "one block at least is left to the others"


def test_a_frequent_id_is_learned_alone() -> None:
    sizing = size(TABLES, 8 + 4 * 8 * 10, "head_tail", stats=STATS, storage="float32", share=0.6)
    bank = build(sizing, seed=0)
    others = torch.tensor([[i, j] for i in range(2, 14) for j in range(7)])
    before = bank(others).detach().clone()
    bank.discard()
    (bank(torch.tensor([[1, 1]]))[:, 0] * 3).sum().backward()
    bank.step()
    assert torch.equal(bank(others).detach(), before)
    bank.discard()
    assert torch.isfinite(freeze(bank)(others)).all()


@pytest.mark.parametrize("options", [{"block": 0}, {"share": 1.1}, {"share": -0.1}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="head_tail: "):
        METHOD(**options)
