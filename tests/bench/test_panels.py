from __future__ import annotations

from typing import Any

from pocketrec.bench.grouping import Group, scenes
from pocketrec.bench.panels import panels


def drawn(scene: Any, *, without: str = "") -> tuple[Any, list[tuple[str, str, float | None]]]:
    """The figure, and what was asked to be drawn: title of the panel, label of the runs, width of the line."""
    asked = []

    def draw(axes: Any, group: Group, look: dict[str, Any]) -> None:
        axes.plot([1, 2], [1, 2], label=group.series.label)
        asked.append((axes, group.series.label, look.get("linewidth")))

    figure = panels(
        scene, "height", has=lambda group: group.series.method != without, draw=draw,
        finish=lambda axes: axes.set_xlabel("across"),
    )  # fmt: skip
    return figure, [(axes.get_title(loc="left"), label, width) for axes, label, width in asked]


def test_a_panel_per_shared_budget_with_landmarks_thin_in_each(study) -> None:
    figure, asked = drawn(scenes(study)[0])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["10x (40 kB)", "100x (4 kB)"]
    assert asked == [
        ("10x (40 kB)", "full", 1.0), ("10x (40 kB)", "min_count", None), ("10x (40 kB)", "min_count, int8", None),
        ("10x (40 kB)", "robe", None), ("100x (4 kB)", "full", 1.0), ("100x (4 kB)", "min_count", None),
        ("100x (4 kB)", "robe", None),
    ]  # fmt: skip
    assert [axes.get_xlabel() for axes in figure.axes] == ["across"] * 2
    assert [axes.get_ylabel() for axes in figure.axes] == ["height", ""]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["full", "min_count", "min_count, int8", "robe"]


def test_groups_without_the_figure_are_left_out(study, make_run) -> None:
    _, asked = drawn(scenes(study)[0], without="min_count")
    assert {label for _, label, _ in asked} == {"full", "robe"}
    assert drawn(scenes([make_run()])[0], without="robe") == (None, [])


def test_many_budgets_take_several_rows(make_run) -> None:
    runs = [make_run(method=m, budget=f"{b}x", budget_bytes=40_000 // b) for b in (1, 2, 4, 8) for m in ("a", "b")]
    figure, _ = drawn(scenes(runs)[0])
    assert sum(axes.axison for axes in figure.axes) == 4
    assert len(figure.axes) == 6
