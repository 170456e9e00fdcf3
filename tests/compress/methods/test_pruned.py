from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from pocketrec.compress import METHODS, Bank, attach, build, freeze, of, size
from pocketrec.compress.methods.pruned import METHOD
from pocketrec.compress.plain import PlainBank
from pocketrec.native import use_backend
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import IdSpace, TableSpec
from pocketrec.testing.cases import random_batch
from pocketrec.testing.method_contract import MethodContract

TABLES = [TableSpec(name="a", rows=300, dim=16), TableSpec(name="b", rows=60, dim=16)]


class TestPruned(MethodContract):
    method = METHOD
    variants = ({}, {"base": "quotient_remainder", "keep": 0.25}, {"base": "min_count"})

    def test_freezing_stays_within_a_step(self, variant: Mapping[str, Any], storage: str) -> None:
        """Rows are what they were, in float16, or zero; nothing of larger magnitude is."""
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        bank = self.bank(sizing, steps=2).eval()
        exact, ids = bank.tensors()["0.rows"].detach().clone(), random_batch(sizing, 5).ids
        size, served = sizing.groups[0].settings, freeze(bank)
        kept = exact.abs() >= exact.abs().flatten().sort(descending=True).values[size["nonzeros"] - 1]
        bank.tensors()["0.rows"].data.copy_((exact * kept).half().float())
        assert torch.allclose(bank(ids), served(ids), rtol=1e-5, atol=1e-7)
        assert int((~kept).sum()) > 0, "something is pruned at all"


def sized(budget: str | int = "4x", tables: list[TableSpec] = TABLES, **options: Any) -> Sizing:
    return size(tables, budget, "pruned", **options)


def rows_held(sizing: Sizing) -> int:
    return next(t for t in sizing.groups[0].train if t.name == "rows").shape[0]


def rows_of(bank: Bank) -> torch.Tensor:
    return bank.tensors()["0.rows"]


# -- bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("base", ["hash_rows", "min_count", "multi_hash", "quotient_remainder"])
def test_the_most_rows_of_which_the_share_fits(base: str, keep: float) -> None:
    tables = [TableSpec(name=n, rows=r, dim=16, ids="rank") for n, r in (("a", 30_000), ("b", 60))]
    sizing = sized("20x", tables, base=base, keep=keep)
    rows, nonzeros = rows_held(sizing), sizing.groups[0].settings["nonzeros"]
    assert nonzeros >= int(keep * rows * 16)
    if base in ("min_count", "quotient_remainder"):  # which take rows in steps: a count's, a divisor's
        return
    assert nonzeros <= min(1.0, keep * 1.02) * rows * 16
    # three bytes a number of which so many are kept, and an index, against four
    assert rows == pytest.approx(rows_held(size(tables, "20x", base)) * 4 / (3 * keep + 0.25 / 16), rel=0.02)
    assert sizing.unused_bytes < 64


def test_a_quarter_takes_what_int4_takes() -> None:
    table = [TableSpec(name="a", rows=100_000, dim=16)]
    rows = {
        name: rows_held(size(table, "20x", name, **options))
        for name, options in (("pruned", {"keep": 0.25}), ("hash_rows", {"storage": "int4"}))
    }
    assert rows["pruned"] == pytest.approx(rows["hash_rows"], rel=0.03)


def test_where_all_rows_fit_more_of_their_numbers_stay() -> None:
    assert sized("2x", base="full").groups[0].settings["nonzeros"] == pytest.approx(360 * 16 * 2 / 3, rel=0.02)
    assert sized("1x", base="full", keep=0.01).groups[0].settings["nonzeros"] == 360 * 16, "three bytes are below four"
    with pytest.raises(BudgetTooSmall):
        sized("4x", base="full")


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", ["4x", "20x"])
def test_the_largest_numbers_serve(budget: str) -> None:
    bank = build(sized(budget), seed=3)
    rows_of(bank).data.normal_(generator=torch.Generator().manual_seed(1))
    nonzeros = bank.sizing.groups[0].settings["nonzeros"]
    limit = rows_of(bank).abs().flatten().sort(descending=True).values[nonzeros - 1]
    assert (rows_of(bank).abs() >= limit).sum() == nonzeros
    ids = torch.stack([torch.arange(60), torch.arange(60)], dim=1)
    exact = bank(ids).detach()
    wanted = torch.where(exact.abs() >= limit, exact, 0.0).half().float()
    for backend in ("compiled", "reference"):
        with use_backend(backend):
            served = freeze(bank)
            assert torch.equal(served(ids), wanted)
    again = attach(bank.sizing, served.tensors())
    assert torch.equal(again(ids), wanted)
    assert torch.equal(PlainBank(served)(ids), wanted)


def test_values_and_steps_are_those_of_the_other_method() -> None:
    """Of as many rows: nothing is pruned before it is frozen."""
    mine = build(sized(base="hash_rows", init=0.5), seed=7)
    rows = len(rows_of(mine))
    other = build(size(TABLES, rows * 64 + 8, "hash_rows", init=0.5), seed=7)
    assert torch.equal(rows_of(mine), rows_of(other))
    for bank in (mine, other):
        bank(torch.tensor([[3, 4], [5, 3]])).square().sum().backward()
        bank.step()
    assert torch.equal(rows_of(mine), rows_of(other))


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base": "deeplight"}, "base cannot be deeplight: it trains in stages"),
        ({"base": "cafe"}, "base cannot be cafe: it moves rows while it trains"),
        ({"base": "coded"}, "base cannot be coded: it has a serving form of its own"),
        ({"base": "mixed"}, "let a part of it be pruned instead"),
        ({"base": "pruned"}, "it is this method"),
        ({"base_options": {"storage": "int8"}}, "base_options name a storage"),
        ({"base_options": {"level": 3}}, "hash_rows has no option 'level'"),
        ({"keep": 0.0}, "keep must be above 0"),
        ({"storage": "int8"}, "storage must be 'float16'"),
    ],
)
def test_what_cannot_be_pruned_is_refused_with_the_reason(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        of("pruned", options)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("robe", "robe holds no rows"), ("memcom", "in 2 groups"), ("random_projection", "holds no rows"),
        ("tt_rec", "in 2 groups|makes vectors of parts of its rows"),
    ],
)  # fmt: skip
def test_what_holds_no_rows_is_refused_when_it_is_sized(base: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        build(sized(base=base), seed=0)


def test_every_method_is_taken_or_refused_with_a_reason() -> None:
    reasons = {name: _refusal(name) for name in METHODS.names() if name != "full"}
    assert all(reason.startswith("pruned") for reason in reasons.values() if reason)
    taken = [name for name, reason in reasons.items() if not reason]
    assert taken == ["binary_code", "hash_rows", "min_count", "multi_hash", "narrow", "quotient_remainder"]


def _refusal(base: str) -> str:
    try:
        freeze(
            build(
                sized(
                    "10x",
                    [TableSpec(name=n, rows=r, dim=16, ids="rank") for n, r in (("a", 3000), ("b", 60))],
                    base=base,
                ),
                seed=0,
            )
        )
    except OptionError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("ids", ["hash63"])
def test_ids_are_those_of_the_other_method(ids: IdSpace) -> None:
    tables = [TableSpec(name="a", rows=300, dim=8, ids=ids)]
    assert size(tables, "4x", "pruned").groups[0].tables[0].ids == ids
    with pytest.raises(OptionError, match="pruned takes ids of space rank"):
        size(tables, "4x", "pruned", base="min_count")
