from __future__ import annotations

from typing import Any

import pytest
from matplotlib.colors import same_color

from pocketrec.bench.grouping import scenes
from pocketrec.bench.svg import svg_of
from pocketrec.bench.training_figures import learning_curves, loss_curves, one_epoch, progressive_curves
from pocketrec.spec.metrics import Progressive


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def told(windows: int, *, of: int = 100, low: float = 0.5) -> Progressive:
    """A falling curve, a window every `of` rows; windows alternate around it."""
    curve = tuple((of * k, low + 0.1 / k + (0.01 if k % 2 else -0.01)) for k in range(1, windows + 1))
    return Progressive(
        rows=of * windows, logloss=low, normalised_entropy=None, calibration=None, curve=curve,
        rates=(0.25,) * windows,
    )  # fmt: skip


def lines(axes, **wanted: Any) -> list[Any]:
    return [line for line in axes.lines if all(getattr(line, f"get_{k}")() == v for k, v in wanted.items())]


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


def test_one_run_alone_can_be_drawn(make_run) -> None:
    (scene,) = scenes([make_run(budget="20236", progressive=told(1))])
    assert svg_of(learning_curves(scene), "y")
    assert svg_of(progressive_curves(scene), "z")


def test_nothing_to_draw_is_no_figure(make_run) -> None:
    (scene,) = scenes([make_run(auc=None, curve=())])
    assert learning_curves(scene) is loss_curves(scene) is progressive_curves(scene) is None


def test_one_epoch_is_no_curve(make_run) -> None:
    point = {"epoch": 1, "train_loss": 0.5, "validation_logloss": 0.6, "validation_auc": 0.7}
    (scene,) = scenes([make_run(epochs=1, curve=(point,)), make_run(epochs=1, seed=1, curve=(point,))])
    assert learning_curves(scene) is loss_curves(scene) is None
    assert one_epoch(scene)
    more = make_run(method="full", curve=(point, point | {"epoch": 2}))
    (longer,) = scenes([make_run(epochs=1, curve=(point,)), more])
    assert not one_epoch(longer)
    axes = learning_curves(longer).axes[0]
    (dot,) = [line for line in axes.lines if line.get_label() == "robe"]
    assert (dot.get_marker(), dot.get_xdata().tolist()) == ("o", [1])
    assert not one_epoch(scenes([make_run(auc=None, curve=())])[0])


def test_training_loss_is_dotted_beside_validation_log_loss(make_run) -> None:
    def curve(seed: int) -> Any:
        return tuple(
            {"epoch": k, "train_loss": 0.5 - k / 10, "validation_logloss": 0.6 + (k - 2) ** 2 / 10 + seed / 100}
            for k in (1, 2, 3)
        )

    (scene,) = scenes([make_run(seed=s, epochs=2, curve=curve(s)) for s in (0, 1)])
    (axes,) = loss_curves(scene).axes
    assert axes.get_ylabel() == "log-loss"
    (train,), (valid,) = lines(axes, linestyle=":"), lines(axes, label="robe")
    assert train.get_xydata().tolist() == [[1, 0.4], [2, 0.3], [3, pytest.approx(0.2)]]
    assert valid.get_ydata().tolist() == pytest.approx([0.705, 0.605, 0.705])
    assert same_color(train.get_color(), valid.get_color())
    (ring,) = lines(axes, marker="o")
    assert ring.get_xydata().tolist() == [[2, pytest.approx(0.605)]]


def test_progressive_curves_show_every_seed_and_a_smooth_mean(make_run) -> None:
    (scene,) = scenes([make_run(seed=0, progressive=told(40)), make_run(seed=1, progressive=told(40, low=0.52))])
    (axes,) = progressive_curves(scene).axes
    seeds, (mean,) = [line for line in axes.lines if line.get_label() != "robe"], lines(axes, label="robe")
    assert [len(line.get_xdata()) for line in seeds] == [40, 40]
    assert seeds[0].get_xdata()[:2].tolist() == [50, 150]  # in the middle of a window
    assert seeds[1].get_ydata()[0] == pytest.approx(0.63)
    # over 4 windows the alternation is gone, and the curve falls
    assert len(mean.get_xdata()) == 37
    assert mean.get_xdata()[0] == 200
    assert all(b < a for a, b in zip(mean.get_ydata(), mean.get_ydata()[1:], strict=False))
    assert mean.get_ydata()[-1] == pytest.approx(0.51 + 0.1 * (1 / 37 + 1 / 38 + 1 / 39 + 1 / 40) / 4)


def test_seeds_with_other_windows_are_averaged_over_rows(make_run) -> None:
    (scene,) = scenes([make_run(seed=0, progressive=told(4)), make_run(seed=1, progressive=told(2, of=200))])
    (axes,) = progressive_curves(scene).axes
    (mean,) = lines(axes, label="robe")
    assert mean.get_xdata().tolist() == [50, 150, 250, 350]
    assert mean.get_ydata()[0] == pytest.approx((0.61 + 0.61) / 2)
    assert mean.get_ydata()[1] == pytest.approx((0.54 + 0.61 + (0.54 - 0.61) / 4) / 2)
