"""The line that names the columns of a text file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from pocketrec.data.text_blocks import first_line
from pocketrec.spec.errors import SchemaError

__all__ = ["header", "once", "the_only"]


def header(file: Path, delimiter: str) -> tuple[tuple[str, ...], int]:
    """The values of the first line, with quotes taken off, and the offset after it; no values where it is empty.

    Raises:
        Truncated: for packed data that is damaged there.
    """
    line, after = first_line(file)
    try:
        names = next(csv.reader([line.decode("utf-8", "replace")], delimiter=delimiter), [])
    except csv.Error:  # a line of more than 131,072 characters, which no header is
        names = []
    return tuple(names), after


def once(names: Sequence[str]) -> set[str]:
    """The names that stand for one column."""
    return {name for name in names if names.count(name) == 1}


def the_only(wanted: Sequence[str], names: Sequence[str], file: Path) -> None:
    """Refuse a header that does not name each of the wanted columns once.

    Raises:
        SchemaError: naming the first column that is absent or stands twice.
    """
    for name in wanted:
        if names.count(name) != 1:
            trouble = "stands twice in" if name in names else "is missing from"
            raise SchemaError(f"{file}: the column {name!r} {trouble} the header. Columns: {', '.join(names)}.")
