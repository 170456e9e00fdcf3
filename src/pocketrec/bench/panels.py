"""Drawings with a panel per budget: what several methods did under the same number of bytes stands side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pocketrec.bench.grouping import Group, Scene
from pocketrec.bench.svg import drawing, look_of, tidy
from pocketrec.bench.wording import bytes_text

__all__ = ["panels"]

Look = dict[str, Any]


def panels(
    scene: Scene, ylabel: str, *, has: Callable[[Group], bool], draw: Callable[[Axes, Group, Look], None],
    finish: Callable[[Axes], object],
) -> Figure | None:  # fmt: skip
    """A panel per budget, three beside each other; None when no run has what is drawn.

    Runs at a budget that nobody shares (full tables) are drawn thin in every panel.

    Args:
        scene: the runs.
        ylabel: what the shared upright axis shows.
        has: whether a group of runs has what is drawn.
        draw: draws a group into a panel; labels of its lines come into the legend once.
        finish: labels the other axis.
    """
    shown = [(b, ratio, [g for g in groups if has(g)]) for b, ratio, groups in scene.panels()]
    shown = [panel for panel in shown if panel[2]]
    if not shown:
        return None
    landmarks = [g for g in scene.landmarks() if has(g)]
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    width = {1: 4.4, 2: 3.4, 3: 2.7}[columns]
    with drawing(width * columns + 1.9, 2.8 * rows + 0.3) as figure:
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for axes, (budget_bytes, ratio, groups) in zip(grid, shown, strict=False):
            for group in landmarks:
                draw(axes, group, look_of(group.series, scene) | {"linewidth": 1.0, "alpha": 0.55})
            for group in groups:
                draw(axes, group, look_of(group.series, scene))
            size = bytes_text(budget_bytes)
            axes.set_title(f"{ratio} ({size})" if ratio else size)
            finish(axes)
            tidy(axes, grid="y")
        for axes in grid[len(shown) :]:
            axes.set_axis_off()
        grid[0].set_ylabel(ylabel)
        handles = {h.get_label(): h for a in grid for h in a.get_legend_handles_labels()[0]}
        figure.legend(handles=list(handles.values()), loc="outside right upper")
    return figure
