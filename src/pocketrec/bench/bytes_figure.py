"""Where the bytes went: by table, and what comes on top of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pocketrec.bench.grouping import Group, Scene, Spread
from pocketrec.bench.svg import GREY, PALETTE, drawing, short, tidy
from pocketrec.bench.wording import bytes_text

__all__ = ["where_bytes_went"]

_NAMED = 9  # tables with a colour of their own; the rest share a grey
_OTHERS = "#c5ccd3"
_PARTS = (
    ("tables", "promised_bytes", "#33475b"),
    ("vocabulary", "vocabulary_bytes", "#7fa8c9"),
    ("dense nets", "dense_bytes", "#d9b26f"),
)


def where_bytes_went(scene: Scene) -> Figure | None:
    """A row per budget: on the left each table's share of the promised bytes, on the right all that serving takes.

    None when no run says how its bytes divide.
    """
    panels = [(title, [g for g in groups if _known(g)]) for title, groups in _panels(scene)]
    panels = [panel for panel in panels if panel[1]]
    if not panels:
        return None
    colours = _colours([g for _, groups in panels for g in groups])
    heights = [len(groups) + 1.3 for _, groups in panels]
    with drawing(9.4, 0.30 * sum(heights) + 1.0) as figure:
        grid = figure.subplots(len(panels), 2, squeeze=False, height_ratios=heights, width_ratios=(1.25, 1))
        for (left, right), (title, groups) in zip(grid, panels, strict=True):
            left.set_title(title)
            _shares(left, groups, colours)
            _totals(right, groups)
        grid[-1][0].set_xlabel("share of the promised bytes")
        grid[-1][1].set_xlabel("bytes that serving takes")
        tables = [Patch(color=colour, label=short(name, 16)) for name, colour in colours.items()]
        parts = [Patch(color=colour, label=name) for name, _, colour in _PARTS]
        figure.legend(handles=tables, loc="outside lower left", ncols=5)
        figure.legend(handles=parts, loc="outside lower right", ncols=3)
    return figure


def _panels(scene: Scene) -> list[tuple[str, list[Group]]]:
    panels = []
    for budget_bytes, ratio, groups in scene.panels():
        allowed = f"{bytes_text(budget_bytes)} allowed"
        panels.append((f"{allowed} ({ratio})" if ratio else allowed, groups))
    outside = scene.landmarks()
    return [("at a budget of their own", outside), *panels] if outside else panels


def _known(group: Group) -> bool:
    return bool(_table_bytes(group)) or _mean(group, "promised_bytes") > 0


def _table_bytes(group: Group) -> Mapping[str, int]:
    """Of the first seed; the division does not depend on the seed but for methods that search."""
    return group.results[0].table_bytes


def _mean(group: Group, name: str) -> float:
    spread = Spread.of(getattr(result, name) for result in group.results)
    return spread.mean if spread else 0.0


def _colours(groups: Sequence[Group]) -> dict[str, str]:
    """Colours of the tables with the largest share anywhere, largest first, and one for all others."""
    largest: dict[str, float] = {}
    for group in groups:
        total = sum(_table_bytes(group).values()) or 1
        for table, count in _table_bytes(group).items():
            largest[table] = max(largest.get(table, 0.0), count / total)
    names = sorted(largest, key=lambda name: -largest[name])
    named = names if len(names) <= _NAMED + 1 else names[:_NAMED]
    colours = {name: PALETTE[k % len(PALETTE)] for k, name in enumerate(named)}
    rest = len(names) - len(named)
    return colours | ({f"{rest} other tables": _OTHERS} if rest else {})


def _shares(axes: Axes, groups: Sequence[Group], colours: Mapping[str, str]) -> None:
    for place, group in enumerate(groups):
        tables = _table_bytes(group)
        total, left = sum(tables.values()), 0.0
        named = [(tables.get(name, 0), colour) for name, colour in colours.items() if name in tables]
        rest = total - sum(count for count, _ in named)
        for count, colour in [*named, (rest, _OTHERS)]:
            if count:
                axes.barh(place, count / total, left=left, color=colour, height=0.72, edgecolor="white", linewidth=0.6)
                left += count / total
    _bars(axes, [short(g.series.label, 24) for g in groups])
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))


def _totals(axes: Axes, groups: Sequence[Group]) -> None:
    totals = []
    for place, group in enumerate(groups):
        left = 0.0
        for _, name, colour in _PARTS:
            count = _mean(group, name)
            if count:
                axes.barh(place, count, left=left, color=colour, height=0.72, edgecolor="white", linewidth=0.6)
                left += count
        axes.annotate(
            bytes_text(left),
            (left, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=GREY,
            fontsize=8,
        )
        totals.append(left)
    _bars(axes, [""] * len(groups))
    axes.set_xlim(0, max(1.0, *totals) * 1.2)  # room for the number behind the longest bar
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: bytes_text(value)))


def _bars(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)  # the first on top
    tidy(axes, grid="x")
