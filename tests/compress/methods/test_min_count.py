from __future__ import annotations

import itertools

import pytest
import torch

from pocketrec.compress import build, size
from pocketrec.compress.methods.min_count import METHOD
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import public_tables, zipf_stats
from pocketrec.testing.method_contract import MethodContract

# Counts per id (falling, as ranks are): two tables whose classes of counts interleave.
COUNTS = {"a": [50, 20, 7, 7, 7, 3, 2, 2, 1, 1, 1, 1, 1], "b": [30, 9, 7, 2, 2, 1]}
TABLES = [TableSpec(name=n, rows=len(c) + 1, dim=4, ids="rank") for n, c in COUNTS.items()]
STATS = {n: TableStats.of_counts(n, c) for n, c in COUNTS.items()}
ROW_BYTES = 16


class TestMinCount(MethodContract):
    method = METHOD


def rows_at(threshold: int) -> int:
    """Rows that keeping all ids with at least so many occurrences takes, a fold row per table included."""
    return sum(1 + sum(c >= threshold for c in counts) for counts in COUNTS.values())


@pytest.mark.parametrize("rows", range(2, 24))
def test_the_threshold_is_the_smallest_that_fits(rows: int) -> None:
    sizing = size(TABLES, rows * ROW_BYTES, "min_count", stats=STATS)
    threshold = sizing.groups[0].settings["min_count"]
    assert threshold == next(t for t in itertools.count(1) if rows_at(t) <= rows)


@pytest.mark.parametrize("rows", range(2, 24))
def test_no_row_is_left_over_while_a_class_just_below_wants_it(rows: int) -> None:
    sizing = size(TABLES, rows * ROW_BYTES, "min_count", stats=STATS)
    threshold = sizing.groups[0].settings["min_count"]
    kept = {t.table.name: t.told_apart for t in sizing.groups[0].tables}
    for name, counts in COUNTS.items():
        assert kept[name] >= sum(c >= threshold for c in counts), "no id at or above the threshold is folded"
    if sizing.unused_bytes >= ROW_BYTES:
        below = {name: next((c for c in counts if c < threshold), 0) for name, counts in COUNTS.items()}
        for name, counts in COUNTS.items():
            assert kept[name] == sum(c >= below[name] for c in counts if below[name]) or not below[name]


def test_folded_ids_share_one_row_and_kept_ids_have_their_own() -> None:
    sizing = size(TABLES, 10 * ROW_BYTES, "min_count", stats=STATS)
    bank = build(sizing, seed=0)
    for name, counts in COUNTS.items():
        kept, vectors = sizing.of(name).told_apart, bank.rows(name, 0, len(counts) + 1)
        assert 0 < kept < len(counts), "some of each table is folded"
        assert (vectors[kept + 1 :] == vectors[0]).all()
        assert len(vectors[: kept + 1].unique(dim=0)) == kept + 1


def test_a_step_on_a_folded_id_moves_the_row_of_all() -> None:
    bank = build(size(TABLES, 10 * ROW_BYTES, "min_count", stats=STATS), seed=0)
    before = bank.rows("a", 0, 14)
    (bank(torch.tensor([[13, 1]]))[:, 0]).sum().backward()
    bank.step()
    moved = (bank.rows("a", 0, 14) != before).any(dim=1)
    kept = bank.sizing.of("a").told_apart
    assert moved.tolist() == [True, *[False] * kept, *[True] * (13 - kept)]


def test_everything_is_kept_when_the_budget_is_the_dense_tables() -> None:
    tables = public_tables("rank")
    sizing = size(tables, "1x", "min_count", stats=zipf_stats(tables))
    assert sizing.serve_bytes == size(tables, "1x", "full").serve_bytes == dense_float32_bytes(tables)
    assert sizing.groups[0].settings["min_count"] == 1


def test_without_counts_zipf_is_assumed_and_said() -> None:
    sizing = size(TABLES, "2x", "min_count")
    assert sizing.notes == ("No counts were given for 2 tables: Zipf 1.05 assumed.",)
    assert size(TABLES, "2x", "min_count", stats=STATS).notes == ()


def test_only_kept_ids_need_a_vocabulary() -> None:
    sizing = size(TABLES, 10 * ROW_BYTES, "min_count", stats=STATS)
    assert sizing.vocabulary_bytes == 12 * (10 - 2)


def test_from_dense_folds_by_the_mean() -> None:
    sizing = size(TABLES, 10 * ROW_BYTES, "min_count", stats=STATS)
    bank, weights = build(sizing, seed=0), {t.name: torch.randn(t.closed_rows, 4) for t in TABLES}
    with torch.no_grad():
        METHOD().from_dense(bank.group_of("a"), weights)
    kept = sizing.of("a").told_apart
    assert torch.equal(bank.rows("a", 1, kept + 1), weights["a"][1 : kept + 1])
    folded = torch.cat([weights["a"][:1], weights["a"][kept + 1 :]]).mean(dim=0)
    torch.testing.assert_close(bank.rows("a", 0, 1)[0], folded)
