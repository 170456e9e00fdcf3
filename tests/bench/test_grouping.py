from __future__ import annotations

import pytest

from pocketrec.bench.grouping import Spread, ratio_of, scenes


def test_a_spread_of_values() -> None:
    spread = Spread.of([0.7, None, 0.9, 0.8])
    assert spread is not None
    assert spread.mean == pytest.approx(0.8)
    assert spread.deviation == pytest.approx(0.1)
    assert (spread.low, spread.high, spread.count) == (0.7, 0.9, 3)
    assert Spread.of([5]) == Spread(mean=5, deviation=None, low=5, high=5, count=1)
    assert Spread.of([None]) is None


def test_runs_that_differ_by_seed_alone_are_one_group(study) -> None:
    (scene,) = scenes(study)
    assert (scene.data, scene.model) == ("sample", "dlrm")
    assert [s.label for s in scene.series] == ["full", "min_count", "min_count, int8", "robe"]
    assert [(g.budget, g.series.label) for g in scene.groups] == [
        ("1x", "full"),
        ("10x", "min_count"),
        ("10x", "min_count, int8"),
        ("10x", "robe"),
        ("100x", "min_count"),
        ("100x", "robe"),
    ]
    assert all([r.seed for r in g.results] == [0, 1, 2] for g in scene.groups)
    assert [g.number for g in scene.groups] == list(range(6))
    assert scene.groups[0].amount("train_bytes").mean == 800_000
    auc = scene.groups[0].metric("auc")
    assert auc is not None
    assert (auc.mean, auc.count) == (pytest.approx(0.757), 3)
    assert scene.groups[0].metric("calibration_error").mean == pytest.approx(0.0123)
    assert scene.groups[0].metric("no_such_measure") is None


def test_panels_are_the_budgets_that_several_share(study) -> None:
    (scene,) = scenes(study)
    assert [(b, text, [g.series.label for g in groups]) for b, text, groups in scene.panels()] == [
        (40_000, "10x", ["min_count", "min_count, int8", "robe"]),
        (4_000, "100x", ["min_count", "robe"]),
    ]
    assert [g.series.label for g in scene.landmarks()] == ["full"]


def test_every_budget_is_a_panel_when_none_is_shared(make_run) -> None:
    (scene,) = scenes([make_run(method="full", budget_bytes=900), make_run(budget_bytes=300)])
    assert [b for b, _, _ in scene.panels()] == [900, 300]
    assert scene.landmarks() == []


def test_data_sets_and_models_are_apart(make_run) -> None:
    found = scenes(
        [make_run(data="b"), make_run(data="a"), make_run(data="b", model="wide"), make_run(data="b", seed=1)]
    )
    assert [(s.data, s.model, len(s.groups[0].results)) for s in found] == [
        ("b", "dlrm", 2),
        ("a", "dlrm", 1),
        ("b", "wide", 1),
    ]
    assert [g.number for s in found for g in s.groups] == [0, 1, 2]  # over the whole page


def test_a_label_says_the_options_that_differ_and_no_more(make_run) -> None:
    runs = [
        make_run(options={"block": 8, "sign": True, "storage": "float32"}),
        make_run(options={"block": 32, "sign": True, "storage": "float32"}),
        make_run(options={"block": 32, "sign": True, "storage": "int8", "mode": "linear"}, storage="int8"),
        make_run(method="full", options={"storage": "float32"}),
    ]
    (scene,) = scenes(runs)
    assert [(s.label, s.place) for s in scene.series] == [
        ("robe, block 8", 0),
        ("robe, block 32", 1),
        ("robe, int8, block 32, mode linear", 2),
        ("full", 0),
    ]


def test_metrics_of_validation_stand_in_only_when_nothing_was_tested(make_run) -> None:
    (scene,) = scenes([make_run(test=None), make_run(test=None, seed=1)])
    (group,) = scene.groups
    assert not group.tested
    assert group.metric("auc").mean == pytest.approx(0.74)


def test_where_a_group_stands_on_an_axis_of_bytes(make_run) -> None:
    (scene,) = scenes(
        [
            make_run(method="a", budget_bytes=200, held_bytes=70, promised_bytes=80),
            make_run(method="b", budget_bytes=200, held_bytes=None, promised_bytes=80),
            make_run(method="c", budget_bytes=200, held_bytes=None, promised_bytes=None),
        ]
    )
    assert [g.bytes for g in scene.groups] == [70, 80, 200]


def test_skipped_runs_are_in_no_scene(make_run) -> None:
    assert scenes([make_run(auc=None, skipped="too small")]) == []


def test_a_budget_is_a_ratio_only_when_somebody_wrote_one(make_run) -> None:
    def ratio(*budgets: str) -> str:
        runs = [make_run(method=f"m{k}", budget=budget) for k, budget in enumerate(budgets)]
        return ratio_of(scenes(runs)[0].groups)

    assert ratio("20236", " 16x ") == "16x"
    assert ratio("5%") == "5%"
    assert ratio("20236", "20 kB", "9" * 20 + "x") == ""


def test_the_storage_of_a_cell_is_said_once(make_run) -> None:
    runs = [
        make_run(storage=storage, options={"cell": f"options.block=4 options.storage={storage}"})
        for storage in ("float32", "int8")
    ]
    runs.append(make_run(storage="int8", options={"cell": "options.storage=int8"}))
    assert [s.label for s in scenes(runs)[0].series] == [
        "robe, cell options.block=4", "robe, int8, cell options.block=4", "robe, int8",
    ]  # fmt: skip
