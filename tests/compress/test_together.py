"""Tables that were sized one by one, as one group."""

from __future__ import annotations

from itertools import chain

import pytest
import torch

from pocketrec.compress import METHODS, build, freeze
from pocketrec.compress.method import of
from pocketrec.compress.together import together
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.testing.cases import random_batch, small_tables, zipf_stats

TABLES = small_tables("rank")
SEPARABLE = [name for name in METHODS.names() if METHODS.get(name).traits.separable]


def sizings(name: str, nbytes: int) -> list[Sizing]:
    stats = zipf_stats(TABLES)
    return [of(name).size([t], max(nbytes, of(name).least_bytes([t])), stats=stats) for t in TABLES]


@pytest.mark.parametrize("name", SEPARABLE)
def test_the_group_of_all_holds_what_each_was_promised(name: str) -> None:
    """Look-ups read as many different vectors, train and freeze; seeds of hashes are held once."""
    each = sizings(name, 400)
    groups = together([s.groups for s in each], OptimizerSpec())
    assert len(groups) == len(each[0].groups)
    assert [t for g in groups for t in g.tables] == [
        t for k in range(len(groups)) for s in each for t in s.groups[k].tables
    ]
    promised = sum(s.serve_bytes for s in each)
    seeds = sum(t.nbytes for s in each[1:] for g in s.groups for t in g.serve if t.role == "fixed")
    whole = Sizing(groups=groups, order=tuple(t.name for t in TABLES), budget_bytes=promised, optimizer=OptimizerSpec())
    assert whole.serve_bytes == promised - seeds
    bank = build(whole, seed=0)
    batch = random_batch(whole, 1)
    before = bank(batch.ids).detach()
    (bank(batch.ids) * batch.factors).sum().backward()
    bank.step()
    assert not torch.equal(bank(batch.ids), before)
    served = freeze(bank)
    assert served.held_bytes() == whole.serve_bytes
    for column, (table, alone) in enumerate(zip(TABLES, each, strict=True)):
        ids = torch.arange(table.closed_rows)
        lone = build(alone, seed=0)
        own = len(lone(ids[:, None]).detach()[:, 0].unique(dim=0))
        everything = torch.zeros(len(ids), len(TABLES), dtype=torch.int64)
        everything[:, column] = ids
        held = len(served(everything).detach()[:, column].unique(dim=0))
        assert abs(held - own) <= 0.2 * own  # other hashes, as many rows


def test_other_options_are_other_groups() -> None:
    stats = zipf_stats(TABLES)
    storages = ("int8", "float32", "int8", "int4")
    each = [
        of("min_count", {"storage": s}).size([t], 300, stats=stats).groups
        for s, t in zip(storages, TABLES, strict=True)
    ]
    groups = together(each, OptimizerSpec())
    assert [[t.table.name for t in g.tables] for g in groups] == [["t0", "t2"], ["t1"], ["t3"]]
    assert sum(g.serve_bytes for g in groups) == sum(g.serve_bytes for g in chain.from_iterable(each))


def test_a_method_that_decides_for_all_is_refused() -> None:
    with pytest.raises(OptionError, match="robe decides for tables together"):
        together([s.groups for s in sizings("robe", 400)], OptimizerSpec())
