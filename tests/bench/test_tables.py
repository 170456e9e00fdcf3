from __future__ import annotations

from pocketrec.bench.grouping import scenes
from pocketrec.bench.tables import (
    bytes_table,
    frequency_table,
    kept_its_word,
    quality_table,
    skipped_table,
)

DASH = "\N{EN DASH}"


def texts(block) -> list[list[str]]:
    return [[cell.text for cell in row] for row in block.rows]


def test_quality_by_budget_with_the_best_marked(study) -> None:
    table = quality_table(scenes(study)[0])
    assert [c.title for c in table.columns] == [
        "method",
        "AUC",
        "log-loss",
        "normalised entropy",
        "calibration",
        "calibration error",
        "epochs",
        "runs",
    ]
    assert [b.heading for b in table.blocks] == [
        "1x: 400,000 bytes allowed",
        "10x: 40,000 bytes allowed",
        "100x: 4,000 bytes allowed",
    ]
    assert texts(table.blocks[2])[1] == [
        "robe",
        "0.7490 \N{PLUS-MINUS SIGN} 0.0010",
        "0.5000 \N{PLUS-MINUS SIGN} 0.0000",
        "0.9500 \N{PLUS-MINUS SIGN} 0.0000",
        "1.010 \N{PLUS-MINUS SIGN} 0.000",
        "0.0123 \N{PLUS-MINUS SIGN} 0.0000",
        "2",
        "3",
    ]
    best = [(row[0].text, cell.text[:6]) for b in table.blocks for row in b.rows for cell in row if cell.tone == "best"]
    assert best == [("min_count", "0.7590"), ("min_count", "0.7540")]  # full has nobody to be better than


def test_quality_of_runs_without_test_rows_or_metrics(make_run) -> None:
    runs = [make_run(test=None), make_run(method="full", test=None, validation=None), make_run(method="x", epochs=None)]
    (block,) = quality_table(scenes(runs)[0]).blocks
    rows = texts(block)
    assert rows[0][:2] == ["robe (validation)", "0.7400"]
    assert rows[1][:3] == ["full", DASH, DASH]
    assert rows[2][6] == DASH


def test_a_measure_that_this_version_does_not_know_keeps_its_name(make_run) -> None:
    run = make_run()
    run.test.extra["lift_at_7"] = 0.5
    assert "lift_at_7" in [c.title for c in quality_table(scenes([run])[0]).columns]


def test_bytes_to_the_last_one(make_run) -> None:
    runs = [make_run(seed=0), make_run(seed=1, train_bytes=50_000, peak_rss_bytes=None, rows_per_s=63_000.0)]
    (block,) = bytes_table(scenes(runs)[0]).blocks
    assert texts(block) == [
        ["robe", "20,232", "20,232", "20,232", "40,472 to 50,000", "1,200", "43,110", "62,000", "41.5", "812 MB"]
    ]
    assert {cell.tone for cell in block.rows[0]} == {""}


def test_bytes_that_differ_stand_out(make_run) -> None:
    runs = [make_run(), make_run(seed=1, file_bytes=20_240)]
    (block,) = bytes_table(scenes(runs)[0]).blocks
    assert [cell.tone for cell in block.rows[0]] == ["", "bad", "bad", "bad", "", "", "", "", "", ""]
    assert block.rows[0][3].text == "20,232 to 20,240"


def test_what_keeping_ones_word_is(make_run) -> None:
    assert kept_its_word(make_run())
    assert kept_its_word(make_run(held_bytes=None, file_bytes=None))
    assert not kept_its_word(make_run(held_bytes=5))
    assert not kept_its_word(make_run(promised_bytes=None, file_bytes=0))


def test_auc_by_frequency_says_how_many_rows(study, make_run) -> None:
    table = frequency_table(scenes(study)[0])
    assert table is not None
    assert [c.title for c in table.columns] == ["method", "head (30 % of rows)", "unseen (70 % of rows)"]
    assert texts(table.blocks[0]) == [["full", "0.7670 \N{PLUS-MINUS SIGN} 0.0010", DASH]]
    assert frequency_table(scenes([make_run(by_frequency={})])[0]) is None


def test_skipped_runs_of_one_reason_share_a_row(study, make_run) -> None:
    other = make_run(method="robe", seed=4, auc=None, skipped="no room")
    table = skipped_table([*study, other])
    assert table is not None
    assert table.words
    assert texts(table.blocks[0]) == [
        [
            "quotient_remainder, float32",
            "100x",
            "sample, dlrm",
            "0, 1",
            "quotient_remainder needs at least 9,000 serve bytes for these tables, the budget is 4,000.",
        ],
        ["robe, float32", "16x", "sample, dlrm", "4", "no room"],
    ]
    assert skipped_table([make_run()]) is None
