from __future__ import annotations

import pytest
from matplotlib.colors import same_color

from pocketrec.bench.figures import bytes_against_auc, learning_curves
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
    assert svg_of(learning_curves(scene), "y")


def test_nothing_to_draw_is_no_figure(make_run) -> None:
    (scene,) = scenes([make_run(auc=None, curve=())])
    assert bytes_against_auc(scene) is None
    assert learning_curves(scene) is None


def test_curves_have_a_panel_per_shared_budget_and_full_in_each(study) -> None:
    figure = learning_curves(scenes(study)[0])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["10x (40 kB)", "100x (4 kB)"]
    assert legend_of(figure) == ["full", "min_count", "min_count, int8", "robe"]
    for axes in figure.axes:
        full = next(line for line in axes.lines if line.get_label() == "full")
        assert full.get_xydata()[:, 0].tolist() == [1, 2, 3]
        assert full.get_ydata()[0] == pytest.approx(0.737)  # the mean over seeds


def test_a_ring_marks_the_epochs_that_were_chosen(make_run) -> None:
    (scene,) = scenes([make_run(epochs=1), make_run(seed=1, epochs=3), make_run(seed=2, epochs=3)])
    (axes,) = learning_curves(scene).axes
    rings = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in rings] == [1, 3]
    assert all(same_color(line.get_markerfacecolor(), "white") for line in rings)


def test_epochs_are_counted_where_a_curve_does_not_say(make_run) -> None:
    (scene,) = scenes([make_run(curve=({"validation_auc": 0.7}, {"validation_auc": None}, {"validation_auc": 0.8}))])
    (axes,) = learning_curves(scene).axes
    assert axes.lines[0].get_xydata().tolist() == [[1, 0.7], [3, 0.8]]


def test_many_budgets_take_several_rows(make_run) -> None:
    runs = [make_run(method=m, budget=f"{b}x", budget_bytes=40_000 // b) for b in (1, 2, 4, 8) for m in ("a", "b")]
    figure = learning_curves(scenes(runs)[0])
    assert sum(axes.axison for axes in figure.axes) == 4
    assert len(figure.axes) == 6
