"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["complain", "say", "say_json", "table"]


def say(text: str = "") -> None:
    """A line of result."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """A JSON value on one line, for programs."""
    say(json.dumps(value, ensure_ascii=False, allow_nan=False))


def complain(text: str) -> None:
    """A line for people that is not the result."""
    sys.stderr.write(text + "\n")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: the first, and those without a heading, to the left; the others to the right.

    >>> print(table(["method", "bytes", ""], [["full", "1,000", ""], ["robe", "62", "fits"]]))
    method  bytes
    full    1,000
    robe       62  fits
    """
    lines = [headings, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    left = [i == 0 or not heading for i, heading in enumerate(headings)]

    def cell(i: int, text: str) -> str:
        return text.ljust(widths[i]) if left[i] else text.rjust(widths[i])

    return "\n".join("  ".join(cell(i, text) for i, text in enumerate(line)).rstrip() for line in lines)
