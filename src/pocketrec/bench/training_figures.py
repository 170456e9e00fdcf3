"""How training went, drawn: by epoch on validation rows, and row by row in the first epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from pocketrec.bench.grouping import Group, Scene, Spread
from pocketrec.bench.panels import Look, panels
from pocketrec.bench.svg import short
from pocketrec.spec.metrics import Progressive

__all__ = ["learning_curves", "loss_curves", "one_epoch", "progressive_curves"]

# Windows of the progressive curve are few rows each and jump: the line is the mean over a tenth of them.
_SMOOTHED = 10


def learning_curves(scene: Scene) -> Figure | None:
    """Validation AUC by epoch, a panel per budget: mean and range over seeds. None when no run has a second epoch.

    A ring marks the epoch chosen.
    """
    if not _has_curve(scene, "validation_auc"):
        return None
    return panels(
        scene, "AUC on validation rows", has=lambda group: bool(_curve(group, "validation_auc")),
        draw=lambda axes, group, look: _draw_curve(axes, group, look, "validation_auc"), finish=_epoch_axis,
    )  # fmt: skip


def loss_curves(scene: Scene) -> Figure | None:
    """Training loss (dotted) against validation log-loss (line) by epoch, means over seeds. None for one epoch.

    A ring marks the epoch chosen. Where the line turns up while the dots go on falling, rows are learned by heart.
    """
    if not _has_curve(scene, "validation_logloss"):
        return None

    def draw(axes: Axes, group: Group, look: Look) -> None:
        curve = _curve(group, "train_loss")
        axes.plot(
            [epoch for epoch, _ in curve], [s.mean for _, s in curve],
            **(look | {"marker": None, "linestyle": ":", "linewidth": 1.3}),
        )  # fmt: skip
        _draw_curve(axes, group, look, "validation_logloss")

    return panels(
        scene, "log-loss", has=lambda group: bool(_curve(group, "validation_logloss")), draw=draw, finish=_epoch_axis
    )


def progressive_curves(scene: Scene) -> Figure | None:
    """Log-loss of the first epoch's rows before they were learned from, by rows; None when no run has it.

    Every seed is a faint line, their mean over a tenth of the windows a strong one.
    """

    def draw(axes: Axes, group: Group, look: Look) -> None:
        told = _progressive(group)
        plain = look | {"marker": None}
        for one in told:
            rows, losses = _points(one)
            axes.plot(rows, losses, **(plain | {"alpha": 0.18, "linewidth": 0.8}))
        rows, losses = _mean(told)
        axes.plot(rows, losses, label=short(group.series.label), **plain)

    def finish(axes: Axes) -> None:
        axes.set_xlabel("rows")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))

    return panels(
        scene, "log-loss before learning", has=lambda group: bool(_progressive(group)), draw=draw, finish=finish
    )


def one_epoch(scene: Scene) -> bool:
    """Whether there are validation rows but no run has a second epoch, so that there is no curve to draw."""
    names = ("validation_auc", "validation_logloss")
    judged = any(_curve(group, name) for group in scene.groups for name in names)
    return judged and not any(_has_curve(scene, name) for name in names)


def _has_curve(scene: Scene, name: str) -> bool:
    return any(len(_curve(group, name)) > 1 for group in scene.groups)


def _epoch_axis(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _curve(group: Group, name: str) -> list[tuple[float, Spread]]:
    """(epoch, a figure over seeds), by epoch."""
    by_epoch: dict[float, list[float | None]] = {}
    for result in group.results:
        for k, point in enumerate(result.curve, start=1):
            by_epoch.setdefault(_epoch(point, k), []).append(point.get(name))
    return [(epoch, s) for epoch in sorted(by_epoch) if (s := Spread.of(by_epoch[epoch])) is not None]


def _epoch(point: Mapping[str, float | None], place: int) -> float:
    epoch = point.get("epoch")
    return place if epoch is None else epoch


def _draw_curve(axes: Axes, group: Group, look: Look, name: str) -> None:
    curve = _curve(group, name)
    epochs = [epoch for epoch, _ in curve]
    plain = look | {"marker": None if len(epochs) > 1 else "o"}  # beside longer ones, a run of one epoch is a dot
    axes.plot(epochs, [s.mean for _, s in curve], label=short(group.series.label), **plain)
    axes.fill_between(
        epochs, [s.low for _, s in curve], [s.high for _, s in curve], color=look["color"], alpha=0.13, linewidth=0
    )
    for chosen in sorted({r.epochs for r in group.results if r.epochs is not None}):
        for epoch, spread in curve:
            if epoch == chosen:
                axes.plot([epoch], [spread.mean], "o", color=look["color"], markerfacecolor="white", markersize=5)


def _progressive(group: Group) -> list[Progressive]:
    return [r.progressive for r in group.results if r.progressive is not None and r.progressive.curve]


def _points(told: Progressive) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The middle of each window in rows, and its log-loss."""
    ends, losses = np.array(told.curve, dtype=np.float64).T
    return (ends + np.concatenate([[0.0], ends[:-1]])) / 2, losses


def _mean(told: Sequence[Progressive]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean curve, smoothed; seeds that had other windows are read off between theirs."""
    rows, _ = _points(told[0])
    losses = np.mean([np.interp(rows, *_points(one)) for one in told], axis=0)
    width = max(1, len(rows) // _SMOOTHED)
    sums, counts = (np.convolve(values, np.ones(width), mode="valid") for values in (losses, np.ones(len(rows))))
    middle = np.convolve(rows, np.ones(width), mode="valid") / counts
    return middle, sums / counts
