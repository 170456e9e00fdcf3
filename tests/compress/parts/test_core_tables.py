from __future__ import annotations

import pytest
import torch

from pocketrec.compress import build, freeze, size
from pocketrec.spec.budget import Budget
from pocketrec.spec.cardinalities import CARDINALITIES
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec

KAGGLE = [TableSpec(name=f"C{i}", rows=n + 1, dim=16) for i, n in enumerate(CARDINALITIES["kaggle"])]


@pytest.mark.parametrize("method", ["tt_rec", "tensor_ring"])
@pytest.mark.parametrize("budget", ["10x", "100x", "1000x", "5000x"])
def test_what_a_rank_leaves_makes_tables_exact(method: str, budget: str) -> None:
    allowed = Budget.parse(budget).resolve(KAGGLE)
    without, filled = (size(KAGGLE, budget, method, fill=fill) for fill in (False, True))
    assert filled.groups[-1].settings["rank"] == without.groups[-1].settings["rank"]
    exact = [{t.table.name for t in s.groups[0].tables if t.settings["rows"]} for s in (without, filled)]
    assert exact[0] <= exact[1]
    assert without.serve_bytes <= filled.serve_bytes <= allowed
    # no table that is left could be exact besides
    (cores,) = filled.groups[1:]
    left = allowed - filled.serve_bytes
    rank = cores.settings["rank"]
    for t in cores.tables:
        if t.settings["rows"]:
            assert t.table.closed_rows * t.table.dim * 4 - t.settings["rows"] * rank * 4 > left


def test_unused_bytes_of_the_criteo_tables() -> None:
    """Of 2,160,806 bytes at 1000x: the largest rank, 13, leaves 99,870, of which tables take all but 43,726."""
    unused = [2_160_806 - size(KAGGLE, 2_160_806, "tt_rec", fill=fill).serve_bytes for fill in (False, True)]
    assert unused == [99_870, 43_726]


def test_a_rank_that_is_given_fills_nothing() -> None:
    tables = [TableSpec(name="t", rows=1000, dim=16)]
    (group,) = size(tables, "1x", "tt_rec", rank=2).groups
    assert group.settings["part"] == "cores"
    (group,) = size(tables, "1x", "tt_rec").groups
    assert group.settings["part"] == "rows", "cores of the largest rank would be no smaller"


def test_filled_tables_are_looked_up_and_learn() -> None:
    tables = [TableSpec(name=n, rows=rows, dim=16) for n, rows in (("a", 3_000_000), ("b", 2000), ("c", 200))]
    without, filled = (size(tables, 230_000, "tt_rec", fill=fill) for fill in (False, True))
    assert [bool(t.settings["rows"]) for t in without.groups[-1].tables] == [True, True, True]
    assert [bool(t.settings["rows"]) for t in filled.groups[-1].tables] == [True, True, False]
    bank = build(filled, seed=0)
    ids = torch.tensor([[5, 1999, 3]])
    bank(ids).square().sum().backward()
    bank.step()
    torch.testing.assert_close(freeze(bank)(ids), bank.eval()(ids))


def test_what_is_refused() -> None:
    with pytest.raises(OptionError, match=r"cores must lie in 2\.\.4, got 5"):
        size(KAGGLE, "10x", "tensor_ring", cores=5)
    with pytest.raises(OptionError, match=r"rank must lie in 1\.\.4096, got 0"):
        size(KAGGLE, "10x", "tensor_ring", rank=0)
