from __future__ import annotations

from typing import Any

import pytest

from pocketrec.bench import training_figures
from pocketrec.bench.charts import Chart
from pocketrec.bench.grouping import Scene, scenes
from pocketrec.bench.look import colours_of
from pocketrec.bench.training_figures import one_epoch
from pocketrec.spec.metrics import Progressive


def learning_curves(scene: Scene) -> list[Chart]:
    return training_figures.learning_curves(scene, colours_of([scene]), "c")


def loss_curves(scene: Scene) -> list[Chart]:
    return training_figures.loss_curves(scene, colours_of([scene]), "c")


def progressive_curves(scene: Scene) -> list[Chart]:
    return training_figures.progressive_curves(scene, colours_of([scene]), "c")


def told(windows: int, *, of: int = 100, low: float = 0.5) -> Progressive:
    """A falling curve, a window every `of` rows; windows alternate around it."""
    curve = tuple((of * k, low + 0.1 / k + (0.01 if k % 2 else -0.01)) for k in range(1, windows + 1))
    return Progressive(
        rows=of * windows, logloss=low, normalised_entropy=None, calibration=None, curve=curve,
        rates=(0.25,) * windows,
    )  # fmt: skip


def lines(chart: Chart, name: str = "robe") -> list[Any]:
    """Strong lines of a series; neither bands nor rings nor dots, which have no place in a legend."""
    found = [t.plot for t in chart.traces if t.plot["name"] == name]
    return [plot for plot in found if plot.get("showlegend") is not False]


def rings(chart: Chart) -> list[tuple[float, float]]:
    open_ = [t.plot for t in chart.traces if t.plot.get("marker", {}).get("symbol") == "circle-open"]
    return [point for plot in open_ for point in zip(plot["x"], plot["y"], strict=True)]


def test_curves_have_a_panel_per_shared_budget_and_full_in_each(study) -> None:
    charts = learning_curves(scenes(study)[0])
    assert [chart.title for chart in charts] == ["10x (40 kB)", "100x (4 kB)"]
    for chart in charts:
        (full,) = lines(chart, "full, 1x")
        assert full["x"] == [1, 2, 3]
        assert full["y"][0] == pytest.approx(0.737)  # the mean over seeds
        assert full["line"]["width"] == 1
    (robe,) = lines(charts[0])
    assert robe["line"]["width"] == 2
    band = next(t.plot for t in charts[0].traces if t.plot["name"] == "robe" and t.plot.get("fill"))
    assert band["x"] == [1, 2, 3, 3, 2, 1]
    assert band["y"] == pytest.approx([0.737, 0.747, 0.75033333, 0.74833333, 0.745, 0.735], abs=1e-6)


def test_a_ring_marks_the_epochs_that_were_chosen(make_run) -> None:
    (scene,) = scenes([make_run(epochs=1), make_run(seed=1, epochs=3), make_run(seed=2, epochs=3)])
    (chart,) = learning_curves(scene)
    assert [epoch for epoch, _ in rings(chart)] == [1, 3]


def test_epochs_are_counted_where_a_curve_does_not_say(make_run) -> None:
    (scene,) = scenes([make_run(curve=({"validation_auc": 0.7}, {"validation_auc": None}, {"validation_auc": 0.8}))])
    (line,) = lines(learning_curves(scene)[0])
    assert (line["x"], line["y"]) == ([1, 3], [0.7, 0.8])


@pytest.mark.parametrize(("epochs", "step"), [(2, 1), (10, 1), (11, 2), (100, 10)])
def test_epochs_are_whole_numbers(make_run, epochs: int, step: int) -> None:
    (scene,) = scenes([make_run(curve=tuple({"epoch": k, "validation_auc": 0.7} for k in range(1, epochs + 1)))])
    across = learning_curves(scene)[0].layout["xaxis"]
    assert (across["tick0"], across["dtick"]) == (1, step)


def test_one_run_alone_can_be_drawn(make_run) -> None:
    (scene,) = scenes([make_run(budget="20236", progressive=told(1))])
    assert len(learning_curves(scene)) == len(progressive_curves(scene)) == 1


def test_nothing_to_draw_is_no_figure(make_run) -> None:
    (scene,) = scenes([make_run(auc=None, curve=())])
    assert learning_curves(scene) == loss_curves(scene) == progressive_curves(scene) == []


def test_one_epoch_is_no_curve(make_run) -> None:
    point = {"epoch": 1, "train_loss": 0.5, "validation_logloss": 0.6, "validation_auc": 0.7}
    (scene,) = scenes([make_run(epochs=1, curve=(point,)), make_run(epochs=1, seed=1, curve=(point,))])
    assert learning_curves(scene) == loss_curves(scene) == []
    assert one_epoch(scene)
    more = make_run(method="full", curve=(point, point | {"epoch": 2}))
    (longer,) = scenes([make_run(epochs=1, curve=(point,)), more])
    assert not one_epoch(longer)
    (dot,) = lines(learning_curves(longer)[0])
    assert (dot["mode"], dot["x"]) == ("markers", [1])
    assert not one_epoch(scenes([make_run(auc=None, curve=())])[0])


def test_training_loss_is_dotted_beside_validation_log_loss(make_run) -> None:
    def curve(seed: int) -> Any:
        return tuple(
            {"epoch": k, "train_loss": 0.5 - k / 10, "validation_logloss": 0.6 + (k - 2) ** 2 / 10 + seed / 100}
            for k in (1, 2, 3)
        )

    (scene,) = scenes([make_run(seed=s, epochs=2, curve=curve(s)) for s in (0, 1)])
    (chart,) = loss_curves(scene)
    assert chart.layout["yaxis"]["title"]["text"] == "log-loss"
    (train,) = [t.plot for t in chart.traces if t.plot["line"].get("dash") == "dot"]
    (valid,) = lines(chart)
    assert train["x"] == [1, 2, 3]
    assert train["y"] == pytest.approx([0.4, 0.3, 0.2])
    assert valid["y"] == pytest.approx([0.705, 0.605, 0.705])
    assert train["line"]["color"] == valid["line"]["color"]
    assert rings(chart) == [(2, pytest.approx(0.605))]


def test_progressive_curves_show_every_seed_and_a_smooth_mean(make_run) -> None:
    (scene,) = scenes([make_run(seed=0, progressive=told(40)), make_run(seed=1, progressive=told(40, low=0.52))])
    (chart,) = progressive_curves(scene)
    seeds = [t for t in chart.traces if t.plot["opacity"] == 0.18]
    (mean,) = lines(chart)
    assert [len(seed.plot["x"]) for seed in seeds] == [40, 40]
    assert not any(seed.framing for seed in seeds)
    assert seeds[0].plot["x"][:2] == [50, 150]  # in the middle of a window
    assert seeds[1].plot["y"][0] == pytest.approx(0.63)
    # over 4 windows the alternation is gone, and the curve falls
    assert len(mean["x"]) == 37
    assert mean["x"][0] == 200
    assert all(b < a for a, b in zip(mean["y"], mean["y"][1:], strict=False))
    assert mean["y"][-1] == pytest.approx(0.51 + 0.1 * (1 / 37 + 1 / 38 + 1 / 39 + 1 / 40) / 4)


def test_seeds_with_other_windows_are_averaged_over_rows(make_run) -> None:
    (scene,) = scenes([make_run(seed=0, progressive=told(4)), make_run(seed=1, progressive=told(2, of=200))])
    (mean,) = lines(progressive_curves(scene)[0])
    assert mean["x"] == [50, 150, 250, 350]
    assert mean["y"][0] == pytest.approx((0.61 + 0.61) / 2)
    assert mean["y"][1] == pytest.approx((0.54 + 0.61 + (0.54 - 0.61) / 4) / 2)
