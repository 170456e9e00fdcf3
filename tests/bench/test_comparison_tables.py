from __future__ import annotations

from pocketrec.bench.comparison import Difference
from pocketrec.bench.comparison_tables import (
    difference_text,
    differences,
    overview_table,
    references,
    standings_table,
)
from pocketrec.bench.grouping import scenes

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def texts(block) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in block.rows]


def test_every_series_over_all_budgets_with_its_mean_rank(study) -> None:
    table = overview_table(scenes(study)[0])
    assert table is not None
    assert [c.title for c in table.columns] == ["method", "10x", "100x", "mean rank"]
    assert texts(table.blocks[0]) == [
        ["min_count", "0.7590", "0.7540", "1.0 over 2"],
        ["min_count, int8", "0.7580", DASH, "2.0 over 1"],
        ["robe", "0.7560", "0.7490", "2.5 over 2"],
    ]
    tones = [[cell.tone for cell in row.cells] for row in table.blocks[0].rows]
    assert tones == [["", "best", "best", ""], [""] * 4, [""] * 4]
    assert [row.groups for row in table.blocks[0].rows] == [(1, 4), (2,), (3, 5)]


def test_one_budget_needs_no_overview(make_run) -> None:
    assert overview_table(scenes([make_run(), make_run(method="full")])[0]) is None


def test_standings_within_a_budget(study) -> None:
    table = standings_table(scenes(study)[0])
    assert [b.heading for b in table.blocks][1:] == ["10x: 40,000 bytes allowed", "100x: 4,000 bytes allowed"]
    (full,), (best, _, robe), _ = (texts(block) for block in table.blocks)
    assert full[-2:] == ["the reference", ""]
    assert best[:2] == ["min_count", "1"]
    assert best[4:] == ["front", "the reference", ""]
    # seeds differ in the same way under every method, so the differences have no spread
    assert robe == [
        "robe", "3", "0.7560 \N{PLUS-MINUS SIGN} 0.0010", "0.7535 to 0.7585", "",
        f"{MINUS}0.0030 ({MINUS}0.0030 to {MINUS}0.0030), 3", "behind",
    ]  # fmt: skip
    assert table.blocks[1].rows[2].cells[-1].tone == "bad"


def test_standings_of_runs_without_metrics(make_run) -> None:
    (block,) = standings_table(scenes([make_run(auc=None)])[0]).blocks
    assert texts(block) == [["robe", DASH, DASH, DASH, "", DASH, ""]]


def test_a_difference_to_any_other_reference(study) -> None:
    (scene,) = scenes(study)
    told = dict(references(scene))
    assert list(told) == ["min_count", "min_count, int8", "robe", "full at 1x"]
    assert told["robe"] == {1: 3, 2: 3, 3: 3, 4: 5, 5: 5}  # the full tables have a budget that robe has not
    assert told["min_count, int8"] == {1: 2, 2: 2, 3: 2}
    assert told["full at 1x"] == dict.fromkeys(range(6), 0)
    text, verdict, tone = differences(scene)[4][5]
    assert (text, verdict, tone) == ("+0.0050 (+0.0050 to +0.0050), 3", "ahead", "best")


def test_a_single_pair_has_no_interval() -> None:
    assert difference_text(Difference(mean=-0.01, half=None, count=1)) == f"{MINUS}0.0100, 1"
