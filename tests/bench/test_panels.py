from __future__ import annotations

from typing import Any

from pocketrec.bench.charts import Chart, Trace
from pocketrec.bench.grouping import Group, scenes
from pocketrec.bench.look import Look, colours_of
from pocketrec.bench.panels import panels


def drawn(runs, *, without: str = "") -> list[Chart]:
    """Charts of traces that say the label of their runs, and whether they are thin."""
    found = scenes(runs)

    def draw(group: Group, look: Look, thin: bool) -> list[Trace]:
        plot = {"name": group.series.label, "thin": thin}
        return [] if group.series.method == without else [Trace(plot=plot, groups=group.number)]

    return panels(found[0], colours_of(found), "p", "height", draw=draw, across={"title": "across"})


def names(chart: Chart) -> list[tuple[Any, Any]]:
    return [(trace.plot["name"], trace.plot["thin"]) for trace in chart.traces]


def test_a_panel_per_shared_budget_with_landmarks_thin_in_each(study) -> None:
    charts = drawn(study)
    assert [(c.name, c.title) for c in charts] == [("p-0", "10x (40 kB)"), ("p-1", "100x (4 kB)")]
    assert names(charts[0]) == [("full", True), ("min_count", False), ("min_count, int8", False), ("robe", False)]
    assert names(charts[1]) == [("full", True), ("min_count", False), ("robe", False)]
    assert {c.shares for c in charts} == {"p"}  # one range
    assert [c.layout["yaxis"]["title"]["text"] for c in charts] == ["height", ""]
    assert all(c.layout["xaxis"] == {"title": "across"} for c in charts)


def test_groups_without_the_figure_are_left_out(study, make_run) -> None:
    assert {name for c in drawn(study, without="min_count") for name, _ in names(c)} == {"full", "robe"}
    assert drawn([make_run()], without="robe") == []


def test_one_panel_is_wide_and_has_a_legend(make_run) -> None:
    (chart,) = drawn([make_run()])
    assert chart.wide
    assert chart.layout["showlegend"]
