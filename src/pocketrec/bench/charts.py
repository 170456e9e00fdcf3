"""A chart as data: what plotly is to draw, and which group each point is of, so that the page's filter can choose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pocketrec.bench.wording import bytes_text

__all__ = ["LEGEND", "Chart", "Mark", "Trace", "axis", "bytes_axis", "plain", "rounded", "rounds"]


LEGEND = {"orientation": "h", "y": -0.2, "yanchor": "top"}  # below, where it takes no width


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace of plotly.

    Attributes:
        plot: its attributes, JSON only. Text in it went through :func:`plain`.
        groups: the number of the group that each point is of; or one number, of all of them; None is always there.
        framing: whether the axes are to reach over its points. What is not framing may be cut off (intervals).
        told: whether to say all figures of the group when the pointer rests on a point.
        others: what may stand in the place of ``x``: lists as long as that one, by name.
    """

    plot: Mapping[str, Any]
    groups: Sequence[int] | int | None
    framing: bool = True
    told: bool = False
    others: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the page's script."""
        found: dict[str, Any] = {"plot": dict(self.plot), "groups": self.groups}
        found |= {"framing": True} if self.framing else {}
        found |= {"told": True} if self.told else {}
        return found | ({"others": dict(self.others)} if self.others else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A straight line across a chart at a value of one axis ("x" or "y"), there while one of its groups is."""

    axis: str
    at: float
    groups: Sequence[int]
    text: str = ""
    colour: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One drawing.

    Attributes:
        name: unique within the page, letters, digits and hyphens.
        title: stands over it.
        told: what it shows, for those who do not see it.
        traces: those that are drawn first come first.
        layout: plotly's, JSON only.
        marks: lines across.
        height: in CSS pixels; with `row_height` what is not rows.
        row_height: pixels per row, of a chart with bars.
        shares: charts of one name have one range of their upright axes; "" for a range of its own.
        framed: whether the page's script sets the ranges of the axes from the framing traces.
        front: whether to draw a line through the best points.
        wide: as wide as the page; otherwise three stand beside each other.
    """

    name: str
    title: str
    told: str
    traces: Sequence[Trace]
    layout: Mapping[str, Any]
    marks: Sequence[Mark] = ()
    height: int = 460
    row_height: int = 0
    shares: str = ""
    framed: bool = True
    front: bool = False
    wide: bool = True

    def to_json(self) -> dict[str, Any]:
        """For the page's script; what stands in the page's text already is left out."""
        return {
            "name": self.name,
            "traces": [trace.to_json() for trace in self.traces],
            "layout": dict(self.layout),
            "marks": [{"axis": m.axis, "at": m.at, "groups": m.groups, "text": m.text, "colour": m.colour}
                      for m in self.marks],
            "height": self.height, "rowHeight": self.row_height, "shares": self.shares or self.name,
            "framed": self.framed, "front": self.front,
        }  # fmt: skip


def plain(text: str) -> str:
    """Text that plotly shows as it is: it would take tags for formatting, and links for links.

    >>> plain('<a href="x">R&D</a>')
    '&lt;a href="x"&gt;R&amp;D&lt;/a&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def rounded(value: float) -> float:
    """Seven digits, more than a screen shows: they keep the page small.

    >>> rounded(0.75703984621), rounded(2009976), rounded(123456789)
    (0.7570398, 2009976, 123456789)
    """
    if float(value).is_integer():
        return int(value)  # bytes are exact
    return float(f"{value:.7g}")


def rounds(values: Iterable[float]) -> list[float]:
    """Each :func:`rounded`."""
    return [rounded(value) for value in values]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis of plotly in our look."""
    return {"title": {"text": title, "standoff": 8}, "zeroline": False, "automargin": True} | more


def bytes_axis(title: str, **more: Any) -> dict[str, Any]:
    """A logarithmic axis of bytes. Its numbers are told one by one: plotly would write 10kB, but 20k and 50k."""
    ticks = [step * 10**decade for decade in range(14) for step in (1, 2, 5)]
    return axis(title, type="log", tickvals=ticks, ticktext=[bytes_text(tick) for tick in ticks]) | more
