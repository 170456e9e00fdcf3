"""Where the bytes went: by table, and what comes on top of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pocketrec.bench.charts import Chart, Trace, axis, plain, rounds
from pocketrec.bench.grouping import Group, Scene
from pocketrec.bench.look import OTHERS, PALETTE
from pocketrec.bench.wording import bytes_text, short

__all__ = ["where_bytes_went"]

_NAMED = 9  # tables with a colour of their own; the rest share a grey
_PARTS = (
    ("tables", "promised_bytes", "#4a6580"),
    ("vocabulary", "vocabulary_bytes", "#7fa8c9"),
    ("dense nets", "dense_bytes", "#d9b26f"),
)


def where_bytes_went(scene: Scene, name: str) -> list[Chart]:
    """A chart per budget: on the left each table's share of the promised bytes, on the right all that serving takes.

    None of them when no run says how its bytes divide.
    """
    panels = [(title, [g for g in groups if _known(g)]) for title, groups in _panels(scene)]
    panels = [panel for panel in panels if panel[1]]
    colours = _colours([g for _, groups in panels for g in groups])
    return [
        Chart(
            name=f"{name}-{number}", title=title, framed=False, height=120, row_height=26,
            told="A bar per group of runs: how its promised bytes divide among the tables, and all bytes of serving.",
            traces=[*_shares(groups, colours), *_totals(groups)],
            layout={
                "barmode": "stack", "bargap": 0.25,
                "legend": {"tracegroupgap": 8, "traceorder": "grouped", "font": {"size": 11}},
                "yaxis": axis("", autorange="reversed", type="category", showgrid=False),
                "xaxis": axis("share of the promised bytes", domain=[0, 0.5], range=[0, 1], tickformat=".0%"),
                "xaxis2": axis("bytes that serving takes", domain=[0.54, 1], tickformat="~s", ticksuffix="B"),
            },
        )
        for number, (title, groups) in enumerate(panels)
    ]  # fmt: skip


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
    spread = group.amount(name)
    return spread.mean if spread else 0.0


def _colours(groups: Sequence[Group]) -> dict[str, str]:
    """Colours of the tables with the largest share anywhere, largest first."""
    largest: dict[str, float] = {}
    for group in groups:
        total = sum(_table_bytes(group).values()) or 1
        for table, count in _table_bytes(group).items():
            largest[table] = max(largest.get(table, 0.0), count / total)
    names = sorted(largest, key=lambda name: -largest[name])
    named = names if len(names) <= _NAMED + 1 else names[:_NAMED]
    return {name: PALETTE[k % len(PALETTE)] for k, name in enumerate(named)}


def _shares(groups: Sequence[Group], colours: Mapping[str, str]) -> list[Trace]:
    """A trace per table that has a colour, and one for all others; every trace has every group, so that rows stay."""
    parts = [(name, colour, [_table_bytes(g).get(name, 0) for g in groups]) for name, colour in colours.items()]
    rest = [sum(_table_bytes(g).values()) - sum(p[2][k] for p in parts) for k, g in enumerate(groups)]
    if any(rest):
        known = dict.fromkeys(table for g in groups for table in _table_bytes(g))
        parts.append((f"{len(known.keys() - colours.keys())} other tables", OTHERS, rest))
    totals = [sum(_table_bytes(g).values()) or 1 for g in groups]
    return [
        _bars(
            groups, short(name, 20), colour, [count / total for count, total in zip(counts, totals, strict=True)],
            legend="tables", counts=counts,
        )
        for name, colour, counts in parts
        if any(counts)
    ]  # fmt: skip


def _totals(groups: Sequence[Group]) -> list[Trace]:
    traces = []
    for title, field, colour in _PARTS:
        counts = [_mean(g, field) for g in groups]
        if any(counts):
            traces.append(_bars(groups, title, colour, counts, legend="parts", counts=counts, right=True))
    return traces


def _bars(
    groups: Sequence[Group], name: str, colour: str, lengths: Sequence[float], *, legend: str,
    counts: Sequence[float], right: bool = False,
) -> Trace:  # fmt: skip
    plot: dict[str, Any] = {
        "type": "bar", "orientation": "h", "name": plain(name), "legendgroup": legend,
        "y": _rows(groups), "x": rounds(lengths), "marker": {"color": colour},
        "customdata": rounds(counts),
        "hovertemplate": "%{y}<br>%{fullData.name}: %{customdata:,.0f} bytes<extra></extra>",
    }  # fmt: skip
    return Trace(plot=plot | ({"xaxis": "x2"} if right else {}), groups=[g.number for g in groups])


def _rows(groups: Sequence[Group]) -> list[str]:
    """A name for each row; two of one name would be one row."""
    names: list[str] = []
    for group in groups:
        name = plain(short(group.series.label, 44))
        names.append(name if name not in names else f"{name} [{group.number}]")
    return names
