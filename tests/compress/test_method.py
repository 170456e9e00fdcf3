"""What is the same for all methods. What every method must do is in the contract suite."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest
import torch

from pocketrec.compress import METHODS, build, size
from pocketrec.compress.method import Traits, of
from pocketrec.compress.methods.full import Full
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

TABLE = TableSpec(name="t", rows=100, dim=4, ids="rank")


@pytest.mark.parametrize("name", METHODS.names())
def test_a_method_is_a_frozen_value(name: str) -> None:
    method = of(name)
    assert method == of(name, method.options())
    assert hash(method) == hash(of(name))
    with pytest.raises(FrozenInstanceError):
        method.storage = "int8"  # type: ignore[misc]
    assert {f.name for f in fields(method)} >= {"storage", "init"}


@pytest.mark.parametrize("name", METHODS.names())
def test_traits_are_data(name: str) -> None:
    traits = of(name).traits
    assert isinstance(traits, Traits)
    assert set(traits.ids) <= {"rank", "plain", "hash63"}
    assert traits.staged == (name in ("autodim", "autosrh", "dedup", "deeplight", "optembed", "pep"))
    assert traits.settles == (name in ("autodim", "autosrh", "optembed", "pep"))
    assert traits.timed == (name in ("autodim", "optembed", "pep"))
    assert traits.scores == (name == "optembed")
    assert traits.moves == (("alpha",) if name == "autosrh" else ())
    assert traits.adaptive == (name in ("cafe", "cafe_plus", "ada_embed", "deeplight"))
    assert traits.storages == (("float16",) if name in ("autosrh", "deeplight", "pep", "pruned") else None)


@pytest.mark.parametrize(
    ("alias", "name", "preset"),
    [("compo", "quotient_remainder", {}), ("adapt_emb", "offline_split", {}), ("low_rank", "narrow", {"widen": True})],
)
def test_names_of_the_literature_are_other_names(alias: str, name: str, preset: dict[str, bool]) -> None:
    assert of(alias) == of(name, preset)
    assert of(alias, {"storage": "int8"}) == of(name, {**preset, "storage": "int8"})
    assert METHODS.get(alias) is METHODS.get(name)
    assert alias not in METHODS.names(), "a method is listed once"
    assert size([TABLE], "2x", alias) == size([TABLE], "2x", name, **preset)


def test_a_sizing_gives_its_method_back() -> None:
    sizing = size([TABLE], "4x", "robe", block=2, storage="int8")
    group = sizing.groups[0]
    assert of(group.method, group.options) == of("robe", {"block": 2, "storage": "int8"})


def test_the_optimizer_is_row_wise_adagrad_unless_told() -> None:
    assert size([TABLE], "1x").optimizer == OptimizerSpec(name="rowwise_adagrad")
    assert size([TABLE], "1x").train_bytes == 100 * 4 * 4 + 100 * 4
    assert size([TABLE], "1x", optimizer=OptimizerSpec(name="adam")).train_bytes == 100 * 4 * 4 * 3


def test_two_ceilings() -> None:
    budget = Budget.parse("1x", train=2000)
    assert size([TABLE], budget).train_bytes == 2000
    with pytest.raises(BudgetTooSmall, match="full needs at least 2,000 train bytes for these tables"):
        size([TABLE], Budget.parse("1x", train=1999))


def test_measured_counts_win_over_assumed_ones() -> None:
    measured = {"t": TableStats.of_counts("t", [5] * 99)}
    assert size([TABLE], "4x", "min_count", stats=measured).notes == ()
    other = TableSpec(name="u", rows=50, dim=4, ids="rank")
    assert size([TABLE, other], "4x", "min_count", stats=measured).notes == (
        "No counts were given for 1 tables: Zipf 1.05 assumed.",
    )
    assumed = {"t": TableStats.zipf("t", 99)}
    assert size([TABLE], "4x", "min_count", stats=assumed).notes == ("Zipf 1.05 assumed.",)


def test_what_a_method_cannot_do_it_says() -> None:
    group = build(size([TABLE], "4x", "robe"), seed=0).group_of("t")
    with pytest.raises(OptionError, match="robe cannot start from a dense table"):
        group.method.from_dense(group, {})
    nothing = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(NotImplementedError, match="has no after_step"):
        Full().after_step(group, step=1, ids=nothing, tables=nothing, importance=nothing.float())


def test_init_is_above_zero() -> None:
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(OptionError, match="init must be above 0"):
            Full(init=wrong)
