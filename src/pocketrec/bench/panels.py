"""Charts that stand beside each other, one per budget: what several methods did under the same number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pocketrec.bench.charts import LEGEND, Chart, Trace, axis
from pocketrec.bench.grouping import Group, Scene
from pocketrec.bench.look import Look, look_of
from pocketrec.bench.wording import bytes_text

__all__ = ["panels"]


def panels(
    scene: Scene, colours: dict[str, str], name: str, ylabel: str, *, draw: Callable[[Group, Look, bool], list[Trace]],
    across: Mapping[str, Any],
) -> list[Chart]:  # fmt: skip
    """A chart per budget that has something to draw; the upright axes of all have one range.

    Runs at a budget that nobody shares (full tables) are drawn thin in every panel.

    Args:
        scene: the runs.
        colours: of the methods.
        name: of the charts, with their number behind it.
        ylabel: what the upright axis shows.
        draw: traces of a group of runs, thin or not; none when it has not what is drawn.
        across: the other axis.
    """
    landmarks = [t for g in scene.landmarks() for t in draw(g, look_of(g.series, colours), True)]
    shown = []
    for budget_bytes, ratio, groups in scene.panels():
        traces = [t for g in groups for t in draw(g, look_of(g.series, colours), False)]
        if traces:
            size = bytes_text(budget_bytes)
            shown.append((f"{ratio} ({size})" if ratio else size, [*landmarks, *traces]))
    return [
        Chart(
            name=f"{name}-{number}", title=title, traces=traces, height=320, wide=len(shown) == 1, shares=name,
            told=f"{ylabel}, a line per method, at {title}.",
            layout={"showlegend": len(shown) == 1, "legend": LEGEND, "xaxis": dict(across),
                    "yaxis": axis(ylabel if number == 0 else "")},
        )
        for number, (title, traces) in enumerate(shown)
    ]  # fmt: skip
