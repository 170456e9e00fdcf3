from __future__ import annotations

from typing import Any

import pytest

from pocketrec.bench.charts import Trace
from pocketrec.bench.figures import bytes_against_auc, latency, serving_bytes, train_against_serve
from pocketrec.bench.grouping import scenes
from pocketrec.bench.look import colours_of
from pocketrec.metrics import paired_interval


def drawn(runs) -> Any:
    found = scenes(runs)
    return bytes_against_auc(found[0], colours_of(found), "auc-1")


def told(chart: Any) -> dict[str, Trace]:
    return {trace.plot["name"]: trace for trace in chart.traces if trace.told}


def test_bytes_against_auc_draws_means_and_every_seed(study) -> None:
    chart = drawn(study)
    assert chart.layout["xaxis"]["type"] == "log"
    assert chart.front
    assert chart.framed
    robe = told(chart)["robe"]
    assert list(told(chart)) == ["full", "min_count", "min_count, int8", "robe"]
    assert (robe.plot["x"], robe.plot["y"], robe.groups) == ([3_996, 39_996], [0.749, 0.756], [5, 3])
    seeds = [t for t in chart.traces if t.plot["mode"] == "markers"]
    assert sum(len(t.plot["x"]) for t in seeds) == 18
    assert seeds[-1].plot["y"] == [0.748, 0.749, 0.75, 0.755, 0.756, 0.757]
    assert seeds[-1].groups == [5, 5, 5, 3, 3, 3]


def test_bands_and_bars_are_intervals_of_the_mean_and_frame_nothing(study) -> None:
    chart = drawn(study)
    half = paired_interval([0.755, 0.756, 0.757]).half
    assert told(chart)["robe"].plot["error_y"]["array"] == pytest.approx([half, half])
    low, high = (t for t in chart.traces if t.plot["name"] == "robe" and t.plot["mode"] == "lines")
    assert low.plot["y"] == pytest.approx([0.749 - half, 0.756 - half])
    assert high.plot["y"] == pytest.approx([0.749 + half, 0.756 + half])
    assert (low.plot.get("fill"), high.plot["fill"]) == (None, "tonexty")
    assert chart.traces.index(high) == chart.traces.index(low) + 1  # plotly fills down to the trace before
    assert not low.framing
    assert not high.framing
    names = [t.plot["name"] for t in chart.traces if t.plot["mode"] == "lines"]
    assert names == ["min_count", "min_count", "robe", "robe"]  # one budget is a bar, no band


def test_many_bands_are_thin(make_run) -> None:
    def bands(methods: int) -> set[str]:
        runs = [
            make_run(method=f"m{k}", budget_bytes=b, seed=s, auc=0.7 + s / 100)
            for k in range(methods) for b in (4_000, 40_000) for s in range(3)
        ]  # fmt: skip
        return {t.plot["fillcolor"][-2:] for t in drawn(runs).traces if "fillcolor" in t.plot}

    assert [bands(4), bands(8), bands(9)] == [{"28"}, {"18"}, {"0d"}]


def test_two_seeds_have_no_interval(study) -> None:
    chart = drawn([run for run in study if run.seed < 2])
    assert all(trace.plot["error_y"]["array"] == [0] * len(trace.groups) for trace in told(chart).values())
    assert not [t for t in chart.traces if t.plot["mode"] == "lines"]


def test_budgets_are_marked_and_a_budget_of_its_own_is_carried_across(study) -> None:
    marks = drawn(study).marks
    assert [(m.at, m.text, list(m.groups)) for m in marks if m.axis == "x"] == [
        (400_000, "1x", [0]), (40_000, "10x", [1, 2, 3]), (4_000, "100x", [4, 5]),
    ]  # fmt: skip
    assert [(m.at, list(m.groups)) for m in marks if m.axis == "y"] == [(0.757, [0])]


def test_the_axis_can_count_the_vocabulary_and_the_nets(make_run) -> None:
    (scene,) = scenes([make_run(), make_run(seed=1, vocabulary_bytes=1400, dense_bytes=None)])
    assert serving_bytes(scene.groups[0]) == {"tables": 20_232, "vocabulary": 21_532, "all": 64_642}
    trace = told(drawn([make_run()]))["robe"]
    assert trace.plot["x"] == [20_232]
    assert trace.others == {"vocabulary": [21_432], "all": [64_542]}


def test_one_run_alone_can_be_drawn(make_run) -> None:
    chart = drawn([make_run(budget="20236", test=None)])
    assert [mark.text for mark in chart.marks] == [""]  # bytes need no second name
    assert chart.layout["yaxis"]["title"]["text"].startswith("AUC on validation rows")


def test_nothing_to_draw_is_no_figure(make_run) -> None:
    found = scenes([make_run(auc=None, curve=(), train_bytes=None)])
    colours = colours_of(found)
    assert bytes_against_auc(found[0], colours, "a") is None
    assert train_against_serve(found[0], colours, "a") is None
    assert latency(found[0], colours, "a") == []


def test_training_bytes_against_serving_bytes(study) -> None:
    found = scenes(study)
    chart = train_against_serve(found[0], colours_of(found), "train-1")
    assert chart is not None
    assert {t.plot["name"]: (t.plot["x"], t.plot["y"]) for t in chart.traces if t.told} == {
        "full": ([399_996], [800_000]),
        "min_count": ([39_996, 3_996], [80_000, 8_000]),
        "min_count, int8": ([39_996], [80_000]),
        "robe": ([39_996, 3_996], [80_000, 8_000]),
    }
    line = chart.traces[0]
    assert line.groups is None
    assert line.plot["x"] == line.plot["y"] == [1_998, 799_992]


def test_a_chart_per_kind_of_time_that_was_measured(make_run) -> None:
    runs = [make_run(seed=0, ns_per_lookup=10.0), make_run(seed=1, ns_per_lookup=14.0), make_run(method="full")]
    found = scenes(runs)
    (chart,) = latency(found[0], colours_of(found), "latency-1")
    (trace,) = chart.traces
    assert (chart.name, trace.plot["x"], trace.plot["y"]) == ("latency-1-ns", [12], [0.75])
    both = scenes([make_run(ns_per_lookup=10.0, ms_per_batch=2.5)])
    assert [c.name for c in latency(both[0], colours_of(both), "l")] == ["l-ns", "l-ms"]


def test_names_are_plain_text(make_run) -> None:
    chart = drawn([make_run(method="<a href='x'>y</a>", budget="<b>9x")])
    assert "<" not in next(iter(told(chart)))
    assert all("<" not in mark.text for mark in chart.marks)
