"""The choice per table: against all combinations, within every limit, to the byte."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from pocketrec.compress import size
from pocketrec.compress.fit import Limits, TableChoice, Tastes, choices_of, choose, topped_up
from pocketrec.compress.worth import TableWorth
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

SGD = OptimizerSpec(name="sgd")


def choice(table: str, nbytes: int, nats: float, train: int = 0, ns: float = 0.0) -> TableChoice:
    return TableChoice(
        table=table, method="full", options={"storage": "int8"}, nbytes=nbytes, train_bytes=train or 4 * nbytes,
        kept=1.0, nats=nats, ns=ns,
    )  # fmt: skip


def made_up(seed: int, tables: int = 4, each: int = 5) -> list[list[TableChoice]]:
    rng = np.random.default_rng(seed)
    return [
        [
            choice(f"t{t}", int(rng.integers(10, 5000)), float(rng.random()), int(rng.integers(10, 9000)), rng.random())
            for _ in range(each)
        ]
        for t in range(tables)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_the_choice_is_the_best_of_all_combinations(seed: int) -> None:
    offered = made_up(seed)
    least = [sum(min(getattr(c, k) for c in own) for own in offered) for k in ("nbytes", "train_bytes", "ns")]
    limits = Limits(serve_bytes=int(least[0] * 1.6), train_bytes=int(least[1] * 1.9), ns=least[2] * 2)
    within = [
        combo
        for combo in itertools.product(*offered)
        if sum(c.nbytes for c in combo) <= limits.serve_bytes
        and sum(c.train_bytes for c in combo) <= (limits.train_bytes or 0)
        and sum(c.ns for c in combo) <= (limits.ns or 0)
    ]
    if not within:
        with pytest.raises(OptionError, match="within all limits at once"):
            choose(offered, limits)
        return
    best = min(sum(c.nats for c in combo) for combo in within)
    found = choose(offered, limits)
    assert found.nats == pytest.approx(best, rel=1e-9)
    assert found.gap == pytest.approx(0, abs=1e-6)
    assert found.choices in within


def test_more_bytes_are_never_worse_and_the_price_says_by_how_much() -> None:
    offered = made_up(3, tables=20, each=12)
    least = sum(min(c.nbytes for c in own) for own in offered)
    budgets = [least + 500 * n for n in range(1, 30)]
    found = [choose(offered, Limits(serve_bytes=b)) for b in budgets]
    losses = [c.nats for c in found]
    assert losses == sorted(losses, reverse=True)
    prices = [c.price for c in found]
    assert prices == pytest.approx(sorted(prices, reverse=True), rel=1e-9)
    # the linear relaxation is convex in the budget, and close to the choice where there are many tables
    for before, after, chosen in zip(losses, losses[1:], found, strict=False):
        assert (before - after) / 500 == pytest.approx(chosen.price, abs=0.5 * max(prices))
    plenty = choose(offered, Limits(serve_bytes=10**9))
    assert plenty.price == 0.0
    assert plenty.nats == pytest.approx(sum(min(c.nats for c in own) for own in offered))


def test_limits_that_cannot_be_met_are_refused_in_numbers() -> None:
    offered = [[choice("a", 100, 0.1, ns=3.0)], [choice("b", 50, 0.1, ns=4.0), choice("b", 80, 0.0, ns=5.0)]]
    with pytest.raises(BudgetTooSmall, match="150"):
        choose(offered, Limits(serve_bytes=149))
    with pytest.raises(BudgetTooSmall, match="600") as refused:
        choose(offered, Limits(serve_bytes=200, train_bytes=599))
    assert refused.value.least_bytes == 600
    with pytest.raises(OptionError, match="7 ns"):
        choose(offered, Limits(serve_bytes=200, ns=6.0))


def test_what_is_next_saves_most_per_byte() -> None:
    own = [choice("a", 10, 1.0), choice("a", 20, 0.5), choice("a", 100, 0.4), choice("a", 15, 0.9)]
    found = choose([own], Limits(serve_bytes=12))
    assert found.choices == (own[0],)
    assert found.next == (own[1],)
    assert choose([own], Limits(serve_bytes=100)).next == (None,)


TABLES = [TableSpec(name=n, rows=rows, dim=8, ids="rank") for n, rows in (("big", 5001), ("small", 8), ("dull", 3001))]
WORTHS = {
    "big": TableWorth(stats=TableStats.zipf("big", 5000, occurrences=60_000), prior_rows=20.0),
    "small": TableWorth(stats=TableStats.zipf("small", 7, occurrences=60_000), prior_rows=40.0),
    "dull": TableWorth(stats=TableStats.zipf("dull", 3000, occurrences=60_000), scale=0.01),
}


def fitted(budget: int, **tastes: Any) -> Any:
    offered = [
        choices_of(t, WORTHS[t.name], Tastes(**tastes), budget_bytes=budget, optimizer=SGD) for t in TABLES
    ]  # fmt: skip
    return choose(offered, Limits(serve_bytes=budget))


def test_choices_are_sized_exactly_and_none_is_beaten() -> None:
    found = choices_of(TABLES[0], WORTHS["big"], Tastes(), budget_bytes=20_000, optimizer=SGD)
    assert [c.nats for c in found] == sorted(c.nats for c in found)
    for less, more in itertools.combinations(reversed(found), 2):  # who loses more must be smaller in something
        assert less.nbytes < more.nbytes or less.train_bytes < more.train_bytes
    for c in found:
        sizing = size([TABLES[0]], c.nbytes, c.method, stats={"big": WORTHS["big"].stats}, optimizer=SGD, **c.options)
        assert (sizing.serve_bytes, sizing.train_bytes) == (c.nbytes, c.train_bytes)
    assert {c.storage for c in found} & {"int8", "int4"}


def test_bytes_go_where_they_are_worth_most() -> None:
    found = {c.table: c for c in fitted(20_000).choices}
    assert found["small"].kept == 1.0
    assert found["big"].nbytes > 4 * found["dull"].nbytes
    assert fitted(20_000).serve_bytes <= 20_000


def test_the_parts_are_a_mixture_of_exactly_these_bytes() -> None:
    chosen = topped_up(fitted(20_000), TABLES, WORTHS, SGD)
    assert chosen.nats <= fitted(20_000).nats
    assert 20_000 - chosen.serve_bytes < 40  # less than a row
    sizing = size(
        TABLES, 20_000, "mixed", parts=chosen.parts(), stats={n: w.stats for n, w in WORTHS.items()}, optimizer=SGD
    )
    held = {t.table.name: t.settings for g in sizing.groups if g.joins == "alone" for t in g.tables}
    assert held == {c.table: c.held for c in chosen.choices}
    seeds = 8 * sum(c.method != "min_count" for c in chosen.choices)
    assert chosen.serve_bytes - seeds <= sizing.serve_bytes <= chosen.serve_bytes


@pytest.mark.parametrize(("rows", "ids"), [(None, "hash63"), (401, "plain")])
def test_tables_without_ranks_are_hashed_or_exact(rows: int | None, ids: Any) -> None:
    table = TableSpec(name="t", rows=rows, dim=8, ids=ids)
    worth = TableWorth(stats=TableStats.zipf("t", 400, occurrences=9000), prior_rows=20.0)
    found = choices_of(table, worth, Tastes(), budget_bytes=12_000, optimizer=SGD)
    assert {c.method for c in found} <= {"hash_rows", "offline_split"}
    assert max(c.kept for c in found) > 0.9
    assert (max(c.kept for c in found) == 1.0) == (rows is not None), "hashes of open tables may always meet"


def test_tastes_are_kept_to() -> None:
    chosen = fitted(20_000, methods=("hash_rows", "robe"), storages=("float16",))
    assert {(c.method, c.storage) for c in chosen.choices} == {("hash_rows", "float16")}
    slow = Tastes(
        ns={("min_count", "int4"): 50.0, ("min_count", "int8"): 1.0}, methods=("min_count",), storages=("int8", "int4")
    )
    offered = [choices_of(t, WORTHS[t.name], slow, budget_bytes=9000, optimizer=SGD, lookups=2.0) for t in TABLES]
    assert {c.storage for c in choose(offered, Limits(serve_bytes=9000, ns=10.0)).choices} == {"int8"}
    with pytest.raises(OptionError, match="robe"):
        fitted(20_000, methods=("robe",))


def test_training_bytes_are_a_limit_when_topping_up() -> None:
    offered = [choices_of(t, WORTHS[t.name], Tastes(), budget_bytes=20_000, optimizer=SGD) for t in TABLES]
    free = choose(offered, Limits(serve_bytes=20_000))
    train = sum(c.train_bytes for c in free.choices) // 2
    tight = topped_up(choose(offered, Limits(serve_bytes=20_000, train_bytes=train)), TABLES, WORTHS, SGD)
    assert sum(c.train_bytes for c in tight.choices) <= train
