"""How training went, drawn: by epoch on validation rows, and row by row in the first epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketrec.bench.charts import Chart, Trace, axis, plain, rounds
from pocketrec.bench.grouping import Group, Scene, Spread
from pocketrec.bench.look import Look
from pocketrec.bench.panels import panels
from pocketrec.spec.metrics import Progressive

__all__ = ["learning_curves", "loss_curves", "one_epoch", "progressive_curves"]

# Windows of the progressive curve are few rows each and jump: the line is the mean over a tenth of them.
_SMOOTHED = 10


def learning_curves(scene: Scene, colours: dict[str, str], name: str) -> list[Chart]:
    """Validation AUC by epoch, a chart per budget: mean and range over seeds. No chart when no run has a second epoch.

    A ring marks the epoch chosen.
    """
    if not _has_curve(scene, "validation_auc"):
        return []

    def draw(group: Group, look: Look, thin: bool) -> list[Trace]:
        return _curve_traces(group, look, thin, "validation_auc")

    return panels(scene, colours, name, "AUC on validation rows", draw=draw, across=_epochs(scene))


def loss_curves(scene: Scene, colours: dict[str, str], name: str) -> list[Chart]:
    """Training loss (dotted) against validation log-loss (line) by epoch, means over seeds. No chart for one epoch.

    A ring marks the epoch chosen. Where the line turns up while the dots go on falling, rows are learned by heart.
    """
    if not _has_curve(scene, "validation_logloss"):
        return []

    def draw(group: Group, look: Look, thin: bool) -> list[Trace]:
        drawn = _curve_traces(group, look, thin, "validation_logloss")
        curve = _curve(group, "train_loss")
        if not drawn or not curve:
            return drawn
        dots = _line(group, look, thin, [epoch for epoch, _ in curve], [s.mean for _, s in curve])
        dots |= {"line": {"color": look.colour, "width": 1.3, "dash": "dot"}, "showlegend": False}
        dots |= {"hovertemplate": "%{fullData.name}<br>training loss, epoch %{x}: %{y:.4f}<extra></extra>"}
        return [Trace(plot=dots, groups=group.number), *drawn]

    return panels(scene, colours, name, "log-loss", draw=draw, across=_epochs(scene))


def progressive_curves(scene: Scene, colours: dict[str, str], name: str) -> list[Chart]:
    """Log-loss of the first epoch's rows before they were learned from, by rows; none when no run has it.

    Every seed is a faint line, their mean over a tenth of the windows a strong one.
    """

    def draw(group: Group, look: Look, thin: bool) -> list[Trace]:
        told = [r.progressive for r in group.results if r.progressive is not None and r.progressive.curve]
        if not told:
            return []
        traces = []
        for one in told:
            rows, losses = _points(one)
            faint = _line(group, look, True, [float(row) for row in rows], [float(loss) for loss in losses])
            faint |= {"opacity": 0.18, "showlegend": False, "hoverinfo": "skip", "hovertemplate": None}
            # The first windows are far above all others; they may be cut off.
            traces.append(Trace(plot=faint, groups=group.number, framing=False))
        rows, losses = _mean(told)
        strong = _line(group, look, thin, [float(row) for row in rows], [float(loss) for loss in losses])
        strong |= {"hovertemplate": "%{fullData.name}<br>%{x:,.0f} rows: %{y:.4f}<extra></extra>"}
        return [*traces, Trace(plot=strong, groups=group.number)]

    return panels(scene, colours, name, "log-loss before learning", draw=draw, across=axis("rows", tickformat="~s"))


def one_epoch(scene: Scene) -> bool:
    """Whether there are validation rows but no run has a second epoch, so that there is no curve to draw."""
    names = ("validation_auc", "validation_logloss")
    judged = any(_curve(group, name) for group in scene.groups for name in names)
    return judged and not any(_has_curve(scene, name) for name in names)


def _has_curve(scene: Scene, name: str) -> bool:
    return any(len(_curve(group, name)) > 1 for group in scene.groups)


def _curve(group: Group, name: str) -> list[tuple[float, Spread]]:
    """(epoch, a figure over seeds), by epoch."""
    by_epoch: dict[float, list[float | None]] = {}
    for result in group.results:
        for k, point in enumerate(result.curve, start=1):
            by_epoch.setdefault(_epoch(point, k), []).append(point.get(name))
    return [(epoch, s) for epoch in sorted(by_epoch) if (s := Spread.of(by_epoch[epoch])) is not None]


def _epochs(scene: Scene) -> dict[str, Any]:
    """The axis, with whole numbers."""
    most = max(len(r.curve) for g in scene.groups for r in g.results)
    return axis("epoch", tick0=1, dtick=-(-most // 10))


def _epoch(point: Mapping[str, float | None], place: int) -> float:
    epoch = point.get("epoch")
    return place if epoch is None else epoch


def _curve_traces(group: Group, look: Look, thin: bool, name: str) -> list[Trace]:
    curve = _curve(group, name)
    if not curve:
        return []
    epochs = [epoch for epoch, _ in curve]
    traces = []
    if len(group.results) > 1 and not thin:
        around = [*epochs, *reversed(epochs)]
        edge = [*(s.high for _, s in curve), *(s.low for _, s in reversed(curve))]
        band = _line(group, look, thin, around, edge)
        band |= {"fill": "toself", "fillcolor": f"{look.colour}22", "line": {"width": 0}, "showlegend": False}
        traces.append(Trace(plot=band | {"hoverinfo": "skip", "hovertemplate": None}, groups=group.number))
    line = _line(group, look, thin, epochs, [s.mean for _, s in curve])
    if len(epochs) == 1:  # beside longer ones, a run of one epoch is a dot
        line |= {"mode": "markers", "marker": {"color": look.colour, "size": 7}}
    traces.append(Trace(plot=line, groups=group.number))
    chosen = {r.epochs for r in group.results if r.epochs is not None}
    rings = [(epoch, s.mean) for epoch, s in curve if epoch in chosen]
    if rings and len(epochs) > 1:
        ring = _line(group, look, thin, [epoch for epoch, _ in rings], [mean for _, mean in rings])
        ring |= {"mode": "markers", "marker": {"symbol": "circle-open", "size": 9, "color": look.colour,
                 "line": {"width": 2}}, "showlegend": False, "hoverinfo": "skip", "hovertemplate": None}  # fmt: skip
        traces.append(Trace(plot=ring, groups=group.number))
    return traces


def _line(group: Group, look: Look, thin: bool, x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    label = plain(group.series.label) + (f", {plain(group.budget)}" if thin else "")
    return {
        "type": "scatter", "mode": "lines", "name": label, "x": rounds(x), "y": rounds(y), "legendgroup": label,
        "line": {"color": look.colour, "width": 1 if thin else 2, "dash": look.dash},
        "opacity": 0.55 if thin else 1, "hovertemplate": "%{fullData.name}<br>epoch %{x}: %{y:.4f}<extra></extra>",
    }  # fmt: skip


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
