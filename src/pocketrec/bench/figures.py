"""Bytes against AUC, drawn from the runs of one scene."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pocketrec.bench.grouping import Group, Scene, ratio_of
from pocketrec.bench.svg import GREY, drawing, look_of, short, tidy
from pocketrec.bench.wording import bytes_text

__all__ = ["bytes_against_auc"]


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
