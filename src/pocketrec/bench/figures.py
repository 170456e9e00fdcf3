"""The drawings of a report, each from the runs of one scene."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pocketrec.bench.grouping import Group, Scene, Spread, ratio_of
from pocketrec.bench.svg import GREY, drawing, look_of, short, tidy
from pocketrec.bench.wording import bytes_text

__all__ = ["bytes_against_auc", "learning_curves"]


def bytes_against_auc(scene: Scene) -> Figure | None:
    """Held bytes (log) against AUC: mean, standard deviation and every seed. None when no run has an AUC."""
    groups = [g for g in scene.groups if g.metric("auc") is not None]
    if not groups:
        return None
    with drawing(9.4, 4.6) as figure:
        axes = figure.add_subplot()
        for series in scene.series:
            _draw_series(axes, [g for g in groups if g.series == series], look_of(series, scene))
        for group in scene.landmarks():
            _carry_across(axes, group, look_of(group.series, scene))
        _bytes_axis(axes, [g.bytes for g in groups])
        _budget_marks(axes, groups)
        axes.set_xlabel("bytes held by the tables (log scale)")
        axes.set_ylabel("AUC on test rows" if all(g.tested for g in groups) else "AUC (validation where not tested)")
        tidy(axes, grid="y")
        figure.legend(loc="outside right upper")
    return figure


def learning_curves(scene: Scene) -> Figure | None:
    """Validation AUC by epoch, a panel per budget: mean and range over seeds. None when no run has a curve.

    Runs at a budget that nobody shares (full tables) are drawn thin in every panel. A ring marks the epoch chosen.
    """
    panels = [(b, ratio, [g for g in groups if _curve(g)]) for b, ratio, groups in scene.panels()]
    panels = [panel for panel in panels if panel[2]]
    if not panels:
        return None
    landmarks = [g for g in scene.landmarks() if _curve(g)]
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    width = {1: 4.4, 2: 3.4, 3: 2.7}[columns]
    with drawing(width * columns + 1.9, 2.8 * rows + 0.3) as figure:
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for axes, (budget_bytes, ratio, groups) in zip(grid, panels, strict=False):
            for group in landmarks:
                _draw_curve(axes, group, look_of(group.series, scene) | {"linewidth": 1.0, "alpha": 0.55})
            for group in groups:
                _draw_curve(axes, group, look_of(group.series, scene))
            size = bytes_text(budget_bytes)
            axes.set_title(f"{ratio} ({size})" if ratio else size)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
            tidy(axes, grid="y")
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        grid[0].set_ylabel("AUC on validation rows")
        handles = {h.get_label(): h for a in grid for h in a.get_legend_handles_labels()[0]}
        figure.legend(handles=list(handles.values()), loc="outside right upper")
    return figure


def _draw_series(axes: Axes, groups: Sequence[Group], look: dict[str, Any]) -> None:
    if not groups:
        return
    groups = sorted(groups, key=lambda g: g.bytes)
    spreads = [spread for g in groups if (spread := g.metric("auc")) is not None]
    for group in groups:
        for metrics in group.metrics():
            if metrics.auc is not None and len(group.results) > 1:
                axes.plot([group.bytes], [metrics.auc], ".", color=look["color"], alpha=0.35, markersize=4, zorder=1.5)
    axes.errorbar(
        [g.bytes for g in groups],
        [s.mean for s in spreads],
        yerr=[s.deviation or 0.0 for s in spreads],
        label=short(groups[0].series.label),
        capsize=3,
        elinewidth=1.1,
        **look,
    )


def _carry_across(axes: Axes, group: Group, look: Mapping[str, Any]) -> None:
    """A dashed line at its height, so that points at other bytes can be held against it."""
    auc = group.metric("auc")
    if auc is not None:
        axes.axhline(auc.mean, color=look["color"], linewidth=0.9, linestyle=(0, (4, 4)), alpha=0.6, zorder=1)


def _bytes_axis(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xscale("log")
    least, most = max(1.0, min(values)), max(1.0, max(values))
    room = max(1.5, (most / least) ** 0.06)  # a single place still gets an axis around it
    axes.set_xlim(least / room, most * room)
    decades = math.log10(most / least)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0,) if decades > 3 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: bytes_text(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _budget_marks(axes: Axes, groups: Sequence[Group]) -> None:
    """Upright lines at the budgets, with the budget above when it was written as a ratio or a share."""
    budgets = {g.budget_bytes: ratio_of([g]) for g in groups}
    low, high = axes.get_xlim()
    for budget_bytes, ratio in budgets.items():
        if low <= budget_bytes <= high:
            axes.axvline(budget_bytes, color=GREY, linewidth=0.7, alpha=0.5, zorder=0.5)
            axes.annotate(
                ratio,
                (budget_bytes, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                color=GREY,
            )


def _curve(group: Group) -> list[tuple[float, Spread]]:
    """(epoch, validation AUC over seeds), by epoch."""
    by_epoch: dict[float, list[float | None]] = {}
    for result in group.results:
        for k, point in enumerate(result.curve, start=1):
            by_epoch.setdefault(_epoch(point, k), []).append(point.get("validation_auc"))
    return [(epoch, s) for epoch in sorted(by_epoch) if (s := Spread.of(by_epoch[epoch])) is not None]


def _epoch(point: Mapping[str, float | None], place: int) -> float:
    epoch = point.get("epoch")
    return place if epoch is None else epoch


def _draw_curve(axes: Axes, group: Group, look: dict[str, Any]) -> None:
    curve = _curve(group)
    epochs = [epoch for epoch, _ in curve]
    plain = look | {"marker": None}
    axes.plot(epochs, [s.mean for _, s in curve], label=short(group.series.label), **plain)
    axes.fill_between(
        epochs, [s.low for _, s in curve], [s.high for _, s in curve], color=look["color"], alpha=0.13, linewidth=0
    )
    for chosen in sorted({r.epochs for r in group.results if r.epochs is not None}):
        for epoch, spread in curve:
            if epoch == chosen:
                axes.plot([epoch], [spread.mean], "o", color=look["color"], markerfacecolor="white", markersize=5)
