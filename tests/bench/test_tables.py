from __future__ import annotations

from dataclasses import replace

from pocketrec.bench.grouping import scenes
from pocketrec.bench.tables import (
    bytes_table,
    frequency_table,
    kept_its_word,
    quality_table,
    skipped_table,
    warnings_table,
)
from pocketrec.spec.metrics import Progressive

DASH = "\N{EN DASH}"


def texts(block) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in block.rows]


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
    best = [
        (row.cells[0].text, cell.text[:6])
        for b in table.blocks
        for row in b.rows
        for cell in row.cells
        if cell.tone == "best"
    ]
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
    assert {cell.tone for cell in block.rows[0].cells} == {""}


def test_bytes_that_differ_stand_out(make_run) -> None:
    runs = [make_run(), make_run(seed=1, file_bytes=20_240)]
    (block,) = bytes_table(scenes(runs)[0]).blocks
    assert [cell.tone for cell in block.rows[0].cells] == ["", "bad", "bad", "bad", "", "", "", "", "", ""]
    assert block.rows[0].cells[3].text == "20,232 to 20,240"


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


def test_columns_of_users_and_progressive_losses_come_with_runs_that_have_them(make_run) -> None:
    plain = quality_table(scenes([make_run()])[0])
    titles = [column.title for column in plain.columns]
    assert not {"GAUC", "user AUC", "rows in GAUC", "progressive"} & set(titles)
    progressive = Progressive(
        rows=9, logloss=0.4567, normalised_entropy=None, calibration=None, curve=((9, 0.4567),), rates=(0.2,)
    )
    runs = [
        make_run(seed=s, test=replace(make_run().test, gauc=0.66 + s / 100, user_auc=0.6, gauc_rows_fraction=0.875))
        for s in (0, 1)
    ]
    (scene,) = scenes([*(replace(r, progressive=progressive) for r in runs), make_run(method="full")])
    table = quality_table(scene)
    titles = [column.title for column in table.columns]
    cells = [row.cells for row in table.blocks[0].rows]
    rows = {row[0].text: dict(zip(titles, (cell.text for cell in row), strict=True)) for row in cells}
    assert rows["robe"]["GAUC"] == "0.6650 \N{PLUS-MINUS SIGN} 0.0071"
    assert rows["robe"]["rows in GAUC"] == "0.875 \N{PLUS-MINUS SIGN} 0.000"
    assert rows["robe"]["progressive"] == "0.4567 \N{PLUS-MINUS SIGN} 0.0000"
    assert {rows["full"][name] for name in ("GAUC", "user AUC", "progressive")} == {DASH}


def test_warnings_stand_once_for_all_their_seeds(make_run) -> None:
    off = replace(make_run().test, rows=100_000, positives=20_000, calibration=1.2)
    runs = [make_run(seed=s, test=replace(off, calibration=1.2 + s / 100), validation=None) for s in (0, 1)]
    fine = [make_run(seed=2, validation=None), make_run(method="full", validation=None)]
    table = warnings_table(scenes([*runs, *fine])[0])
    assert table is not None
    ((run, seeds, text),) = [row.cells for row in table.blocks[0].rows]
    assert (run.text, seeds.text) == ("robe, 16x", "0, 1")
    assert table.blocks[0].rows[0].groups == (0,)
    assert text.text.startswith("Predictions are 20.0 % too high on test rows")
    assert table.words
    assert warnings_table(scenes(fine)[0]) is None


def test_rows_say_which_group_they_are_of_and_what_they_are_sorted_by(study) -> None:
    (scene,) = scenes(study)
    for table in (quality_table(scene), bytes_table(scene)):
        assert [row.groups for block in table.blocks for row in block.rows] == [(n,) for n in range(6)]
        assert table.blocks[0].rows[0].cells[0].method == "full"
    assert quality_table(scene).blocks[0].rows[0].cells[1].value == scene.groups[0].metric("auc").mean
    assert bytes_table(scene).blocks[0].rows[0].cells[1].value == 399_996


def test_times_have_columns_where_somebody_measured_them(make_run) -> None:
    assert "ns/look-up" not in [c.title for c in bytes_table(scenes([make_run()])[0]).columns]
    table = bytes_table(scenes([make_run(ns_per_lookup=12.0), make_run(seed=1, ns_per_lookup=13.0)])[0])
    (cells,) = [row.cells for row in table.blocks[0].rows]
    told = dict(zip([c.title for c in table.columns], [cell.text for cell in cells], strict=True))
    assert told["ns/look-up"] == "12.5"
    assert "ms/batch" not in told
