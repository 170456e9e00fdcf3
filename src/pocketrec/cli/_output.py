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
    """Columns aligned: the first to the left, the others to the right.

    >>> print(table(["method", "bytes"], [["full", "1,000"], ["robe", "62"]]))
    method  bytes
    full    1,000
    robe       62
    """
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    lines = []
    for row in [headings, *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
