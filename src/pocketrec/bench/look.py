"""Colours, signs and lines: a method has one colour on the whole page, and its series differ by sign and line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pocketrec.bench.grouping import Scene, Series

__all__ = ["OTHERS", "PALETTE", "Look", "colours_of", "look_of"]

# Told apart on white and on dark grey, the first seven by the colour-blind too (after Paul Tol's schemes).
PALETTE = (
    "#0077bb", "#e0701a", "#009988", "#cc3311", "#9a6bc4", "#94781f", "#d4508e", "#6a6fd8", "#5a9e1b", "#3aa5cf",
    "#a0522d", "#7a8a99", "#b5a000", "#c23b9b", "#2e8b57", "#e3655b",
)  # fmt: skip
OTHERS = "#a3adb8"

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star")
_DASHES = ("solid", "dash", "dashdot", "dot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a series is drawn with, in the words of plotly."""

    colour: str
    symbol: str
    dash: str


def colours_of(scenes: Iterable[Scene]) -> dict[str, str]:
    """A colour for each method, in order of first appearance on the page; they come again after the last."""
    methods = dict.fromkeys(series.method for scene in scenes for series in scene.series)
    return {method: PALETTE[number % len(PALETTE)] for number, method in enumerate(methods)}


def look_of(series: Series, colours: dict[str, str]) -> Look:
    """The same in every drawing of the page. Signs of neighbouring methods differ, too."""
    number = list(colours).index(series.method)
    return Look(
        colour=colours[series.method],
        symbol=_SYMBOLS[(number + 3 * series.place) % len(_SYMBOLS)],
        dash=_DASHES[series.place % len(_DASHES)],
    )
