from __future__ import annotations

import pytest

from pocketrec.bench.figures import bytes_against_auc
from pocketrec.bench.grouping import scenes
from pocketrec.bench.svg import svg_of


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_bytes_against_auc_draws_means_and_every_seed(study) -> None:
    figure = bytes_against_auc(scenes(study)[0])
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert legend_of(figure) == ["full", "min_count", "min_count, int8", "robe"]
    means = {c.get_label(): c.lines[0].get_xydata().tolist() for c in axes.containers}
    assert means["robe"] == [[3_996, pytest.approx(0.749)], [39_996, pytest.approx(0.756)]]
    seeds = [line for line in axes.lines if line.get_marker() == "."]
    assert len(seeds) == 18
    low, high = axes.get_xlim()
    assert low < 3_996 < 399_996 < high


def test_bars_are_one_standard_deviation(study) -> None:
    axes = bytes_against_auc(scenes(study)[0]).axes[0]
    robe = next(c for c in axes.containers if c.get_label() == "robe")
    (bars,) = robe.lines[2]
    assert [s[:, 1].tolist() for s in bars.get_segments()] == [
        pytest.approx([0.748, 0.750]),
        pytest.approx([0.755, 0.757]),
    ]


def test_budgets_are_marked_and_a_budget_of_its_own_is_carried_across(study) -> None:
    axes = bytes_against_auc(scenes(study)[0]).axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["100x", "10x", "1x"]
    level = [line for line in axes.lines if line.get_linestyle() == "--" and list(line.get_xdata()) == [0, 1]]
    assert [line.get_ydata()[0] for line in level] == [pytest.approx(0.757)]


def test_one_run_alone_can_be_drawn(make_run) -> None:
    (scene,) = scenes([make_run(budget="20236")])
    axes = bytes_against_auc(scene).axes[0]
    assert [text.get_text() for text in axes.texts] == [""]  # bytes need no second name
    assert axes.get_xlim()[0] < 20_232 < axes.get_xlim()[1]
    assert svg_of(bytes_against_auc(scene), "x")


def test_nothing_to_draw_is_no_figure(make_run) -> None:
    (scene,) = scenes([make_run(auc=None, curve=())])
    assert bytes_against_auc(scene) is None
