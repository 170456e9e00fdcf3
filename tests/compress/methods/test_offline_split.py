from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import pytest
import torch

from pocketrec.compress import build, of, size
from pocketrec.compress.methods.hash_rows import HashRows
from pocketrec.compress.methods.offline_split import METHOD
from pocketrec.compress.share import most_frequent
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.spec.errors import BudgetTooSmall, OptionError, UnknownName
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, Sizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of, public_tables, zipf_stats
from pocketrec.testing.method_contract import MethodContract
from pocketrec.testing.registered import registered

# A table of few ids that are all frequent, one of many rare ones, and one in between: counts fall with the rank.
COUNTS = {"few": [500, 400, 300], "many": [90, 80] + [1] * 200, "some": [250] + [40] * 30 + [2] * 20}
TABLES = [TableSpec(name=n, rows=len(c) + 1, dim=4, ids="rank") for n, c in COUNTS.items()]
STATS = {n: TableStats.of_counts(n, c) for n, c in COUNTS.items()}
ROW_BYTES = 16


class TestOfflineSplit(MethodContract):
    method = METHOD
    variants = (
        {}, {"cold": "robe", "cold_options": {"block": 2}}, {"cold": "quotient_remainder", "hot": 0.3},
        {"cold": "min_count"}, {"hot": 0.0}, {"cold": "robe", "cold_options": {"storage": "int8"}},
    )  # fmt: skip


def split(rows: int, cold_bytes: int = 400, **options: Any) -> Sizing:
    """A budget of which `hot` is just that many hot rows."""
    hot_bytes = rows * ROW_BYTES
    share = (hot_bytes + 0.5) / (hot_bytes + cold_bytes)
    return size(TABLES, hot_bytes + cold_bytes, "offline_split", stats=STATS, **{"hot": share, **options})


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 20, 36, 100])
def test_the_hot_ids_are_the_most_frequent_of_all_tables(rows: int) -> None:
    sizing = split(rows)
    kept, threshold = most_frequent([t.closed_rows - 1 for t in TABLES], list(STATS.values()), rows)
    assert [t.told_apart for t in sizing.groups[0].tables] == kept
    assert sum(kept) == rows
    assert sizing.groups[0].settings["min_count"] == threshold
    every = sorted((count for counts in COUNTS.values() for count in counts), reverse=True)
    hot = sorted((c for n, k in zip(COUNTS, kept, strict=True) for c in COUNTS[n][:k]), reverse=True)
    assert hot == every[:rows]


def test_small_tables_are_exempt_by_themselves() -> None:
    sizing = split(36)
    assert sizing.of("few").told_apart == 3
    bank = build(sizing, seed=0)
    assert (bank.addresses(torch.tensor([[1, 1, 1], [2, 9, 9], [3, 9, 9]]))[1][:, 0] == -1).all()


def test_the_rest_of_the_budget_is_the_cold_methods() -> None:
    for cold in ("hash_rows", "robe", "quotient_remainder"):
        sizing = size(TABLES, 3000, "offline_split", stats=STATS, hot=0.4, cold=cold)
        hot, rest = sizing.groups
        assert hot.serve_bytes == int(0.4 * 3000) // ROW_BYTES * ROW_BYTES
        assert rest.serve_bytes <= 3000 - hot.serve_bytes
        assert sizing.unused_bytes == 3000 - hot.serve_bytes - rest.serve_bytes
    hashed = size(TABLES, 3000, "offline_split", stats=STATS, hot=0.4)
    told = [
        TableSpec(name=t.name, rows=t.closed_rows - h.told_apart, dim=4, ids="hash63")
        for t, h in zip(TABLES, hashed.groups[0].tables, strict=True)
    ]
    alone = size(told, 3000 - hashed.groups[0].serve_bytes, "hash_rows")
    assert [t.settings for t in hashed.groups[1].tables] == [t.settings for t in alone.groups[0].tables]
    assert hashed.groups[1].serve_bytes == alone.serve_bytes


@pytest.mark.parametrize("cold", ["hash_rows", "robe", "quotient_remainder"])
def test_what_the_cold_method_needs_at_least_is_left_to_it(cold: str) -> None:
    method = of("offline_split", {"cold": cold, "hot": 1.0})
    floor = method.least_bytes(TABLES)
    for spare in (0, ROW_BYTES - 1, ROW_BYTES, 5 * ROW_BYTES):
        sizing = method.size(TABLES, floor + spare, stats=STATS)
        assert sizing.groups[0].serve_bytes == spare // ROW_BYTES * ROW_BYTES
    with pytest.raises(BudgetTooSmall, match=f"at least {floor:,} serve bytes"):
        method.size(TABLES, floor - 1, stats=STATS)


def test_a_vocabulary_holds_hot_ids_alone_where_the_others_are_hashed() -> None:
    assert split(20).vocabulary_bytes == 12 * 20
    assert split(20, cold="robe").vocabulary_bytes == 12 * 20
    everybody = sum(t.closed_rows - 1 for t in TABLES)
    assert split(20, 4000, cold="quotient_remainder").vocabulary_bytes == 12 * everybody
    assert split(20, 4000, cold="min_count").vocabulary_bytes < 12 * everybody
    assert split(20).of("many").ids == "head" or split(20).of("many").ids == "hash63"
    assert split(3).of("many").ids == "hash63", "a table without a hot id needs no vocabulary"


def test_tables_without_ranks_are_the_cold_methods_alone_and_this_is_said() -> None:
    tables = [*TABLES, TableSpec(name="plain", rows=90, dim=4), TableSpec(name="open", rows=None, dim=4, ids="hash63")]
    sizing = size(tables, 4000, "offline_split", stats=STATS)
    assert sizing.notes == ("2 tables without ranks have no hot rows, the cold method holds them alone: plain, open.",)
    assert [sizing.of(n).settings["rows"] for n in ("plain", "open")] == [0, 0]
    assert (sizing.of("plain").ids, sizing.of("open").ids) == ("plain", "hash63")
    bank = build(sizing, seed=0)
    found = bank(torch.tensor([[1, 1, 1, 89, 2**62]]))
    assert found.any(dim=2).all()
    assert bank.addresses(torch.tensor([[1, 1, 1, 89, 2**62]]))[0][0, 3:, 0].tolist() == [-1, -1]


def test_what_it_takes_depends_on_the_cold_method() -> None:
    taken = {cold: of("offline_split", {"cold": cold}).traits for cold in ("hash_rows", "narrow", "min_count", "robe")}
    assert taken["hash_rows"].ids == taken["robe"].ids == ("rank", "plain", "hash63")
    assert (taken["narrow"].ids, taken["min_count"].ids) == (("rank", "plain"), ("rank",))
    assert {cold: traits.from_dense for cold, traits in taken.items()} == {
        "hash_rows": True, "narrow": True, "min_count": True, "robe": False,
    }  # fmt: skip
    assert METHOD.traits.ids == ("rank", "plain", "hash63")
    with pytest.raises(OptionError, match="offline_split takes ids of space rank; table 't' has plain ids"):
        size([TableSpec(name="t", rows=9, dim=4)], "1x", "offline_split", cold="min_count")


def test_the_cold_method_keeps_its_numbers_as_this_one_does_unless_told() -> None:
    method = METHOD(storage="int8", init=0.2, cold="robe", cold_options={"block": 2})
    assert (method.cold_part.method.storage, method.cold_part.method.init) == ("int8", 0.2)
    other = METHOD(storage="int8", cold="robe", cold_options={"storage": "int4", "init": 0.5})
    assert (other.cold_part.method.storage, other.cold_part.method.init) == ("int4", 0.5)
    sizing = other.size(TABLES, 2000, stats=STATS)
    assert [g.options["storage"] for g in sizing.groups] == ["int8", "int4"]
    assert of("offline_split", json.loads(json.dumps(other.options()))) == other
    assert replace(other, hot=0.1).cold_part.method == other.cold_part.method


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"hot": -0.1}, OptionError, "hot must lie in 0..1, got -0.1"),
        ({"hot": 1.5}, OptionError, "hot must lie in 0..1"),
        ({"cold": "robbe"}, UnknownName, "robe"),
        ({"cold": "offline_split"}, OptionError, "cold must name another method"),
        ({"cold": "robe", "cold_options": {"blok": 3}}, OptionError, "robe has no option 'blok'"),
        ({"cold": "robe", "cold_options": {"block": 0}}, OptionError, "block must be 1 or more"),
        ({"cold": "robe", "cold_options": {"block": 1.5}}, OptionError, "robe: block: it should be a valid integer"),
        ({"cold": "coded", "cold_options": {"vocabulary": False}}, OptionError, "served on other ids"),
        ({"cold_options": 3}, OptionError, "cold_options: it should be an object, got 3"),
    ],
)
def test_options_are_checked(options: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        of("offline_split", options)


@final
@dataclass(frozen=True, kw_only=True)
class Factors(HashRows):  # type: ignore[misc]  # for a test
    """Rows, and a factor for each."""

    name = "factors"

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        (group,), notes = super().groups(tables, budget_bytes, stats, optimizer)
        return (group, replace(group, joins="factor")), notes


def test_a_method_of_several_parts_can_be_cold_only_if_all_are_rests() -> None:
    with (
        registered(Factors),
        pytest.raises(OptionError, match=r"factors with .* cannot be a part of another"),
    ):
        size(TABLES, 2000, "offline_split", stats=STATS, cold="factors")


def test_from_dense_copies_hot_rows_and_asks_the_cold_method_for_the_others() -> None:
    sizing = split(36, 6000, cold="full", storage="float32")
    bank, weights = build(sizing, seed=0), {t.name: torch.randn(t.closed_rows, 4) for t in TABLES}
    with torch.no_grad():
        for group in groups_of(bank):
            group.method.from_dense(group, weights)
    for table in TABLES:
        assert torch.equal(bank.rows(table.name, 0, table.closed_rows), weights[table.name])
    hashed = build(split(36), seed=0)
    with pytest.raises(OptionError, match="hash_rows reads table 'few' by hashes"):
        groups_of(hashed)[1].method.from_dense(groups_of(hashed)[1], weights)


def test_every_budget_of_a_public_set_is_used_to_the_last_row() -> None:
    tables = public_tables("rank", dim=16)
    for ratio in (10, 100, 1000):
        sizing = size(tables, f"{ratio}x", "offline_split", stats=zipf_stats(tables))
        budget_bytes = dense_float32_bytes(tables) // ratio
        assert 0 <= sizing.unused_bytes < 64
        assert 0.7 * budget_bytes - 64 <= sizing.groups[0].serve_bytes <= 0.7 * budget_bytes


def test_a_cold_method_that_needs_value_sets_says_which() -> None:
    method = of("offline_split", {"cold": "lma"})
    assert method.traits.needs_value_sets
    assert method.value_sets() == of("lma").value_sets()
