"""Drawings as SVG text that can stand inside a page: one look, no script, nothing from elsewhere, always the same."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pocketrec.bench.grouping import Scene, Series

__all__ = ["GREY", "INK", "PALETTE", "drawing", "look_of", "short", "svg_of", "tidy"]

INK, GREY, FAINT = "#1f2933", "#7b8794", "#e4e7eb"

# Dark enough on white for lines, and apart from each other for the colour-blind (after Paul Tol's schemes).
PALETTE = ("#0077bb", "#e0701a", "#009988", "#cc3311", "#7b4fa3", "#8c6d1f", "#d4508e", "#3d3f9c", "#5a9e1b", "#4fb3d9")

_MARKERS = "osD^vPX*"
_LINES = ("-", "--", "-.", ":")

# The page's own letters; matplotlib lays out with DejaVu Sans, which is wider than any of these.
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"

_STYLE: dict[Any, Any] = {  # matplotlib types its keys one by one
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.07,
    "figure.constrained_layout.w_pad": 0.1,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "svg.fonttype": "none",  # text stays text: it can be searched, and prints sharply
    "svg.hashsalt": "pocketrec",
    "text.color": INK,
    "text.parse_math": False,  # a "$" in somebody's method name is a "$"
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
}


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """An empty figure in our look, in inches. Settings of matplotlib are as they were afterwards."""
    with matplotlib.rc_context(_STYLE):
        yield Figure(figsize=(width, height))


def svg_of(figure: Figure, name: str) -> str:
    """The ``<svg>`` element alone. `name` must be unique within the page: it sets the names inside apart."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # matplotlib makes names from numbers of the layout, whose last bit is not the same every time: count them instead.
    numbers = {old: number for number, old in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]*)"', text)), start=1)}
    text = re.sub(
        r'(\bid="|href="#|url\(#)([^")]*)', lambda found: f"{found[1]}{name}-{numbers.get(found[2], found[2])}", text
    )
    return re.sub(r"'DejaVu Sans'(?:, '[^']*')*(?:, sans-serif)?", _FONTS, text)


def short(text: str, most: int = 32) -> str:
    """At most so many characters: a label must leave room for the drawing.

    >>> short("quotient_remainder, block 32", 12)
    'quotient_re…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def look_of(series: Series, scene: Scene) -> dict[str, Any]:
    """Colour by method, marker and line by what sets series of one method apart; the same in every drawing."""
    methods = list(dict.fromkeys(s.method for s in scene.series))
    number = methods.index(series.method)
    return {
        "color": PALETTE[number % len(PALETTE)],
        "marker": _MARKERS[(number + 3 * series.place) % len(_MARKERS)],
        "linestyle": _LINES[series.place % len(_LINES)],
    }


def tidy(axes: Axes, *, grid: str) -> None:
    """Grid lines along one axis only: "x" or "y"."""
    axes.grid(visible=False, axis="x" if grid == "y" else "y")
    axes.tick_params(length=0)
