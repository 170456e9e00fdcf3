"""Split blocks of lines into columns of bytes; pyarrow parses. Shared by the readers of delimited text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.readers import Block, Place
from pocketrec.data.text_blocks import BOM, Truncated, text_blocks
from pocketrec.spec.schema import Schema

__all__ = ["Form", "delimited_blocks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How lines are written.

    Attributes:
        names: of all columns of the file, from left to right.
        delimiter: one ASCII character.
        quotes: whether double quotes may surround a value.
    """

    names: tuple[str, ...]
    delimiter: str
    quotes: bool


def delimited_blocks(file: Path, schema: Schema, form: Form, bad: BadRows, start: Place) -> Iterator[Block]:
    """Blocks of rows as columns of bytes. Rows with too few or too many columns go to `bad`, by their number.

    Raises:
        BadRow: naming file and row.
        BadFile: for an empty file or truncated gzip.
    """
    place, wanted = start, [f.name for f in schema.fields]
    try:
        for text, offset in text_blocks(file, start=start.offset):
            text = text if place.offset else text.removeprefix(BOM)
            table, numbers, seen = _split(text, form, wanted, file, place.row, bad)
            place = Place(offset=offset, row=place.row + seen)
            yield Block(table=table, rows=numbers, after=place)
    except Truncated as damage:
        bad.file(str(file), "truncated gzip", place.row, str(damage))
        return
    if place.row == 0:
        bad.file(str(file), "empty file", 0)


def _split(
    text: bytes, form: Form, wanted: list[str], file: Path, before: int, bad: BadRows
) -> tuple[pa.Table, np.ndarray, int]:
    """Columns of the well-formed lines, their row numbers, and how many lines there were."""
    wrong: list[tuple[int, str]] = []

    def note(row: Any) -> str:
        wrong.append((row.number, f"{row.actual_columns} columns instead of {row.expected_columns}"))
        return "skip"

    table = pa_csv.read_csv(
        pa.BufferReader(text),
        # One thread: only then does pyarrow number the rows. Header-less, so numbers count lines of this block from 1.
        read_options=pa_csv.ReadOptions(use_threads=False, column_names=list(form.names), block_size=len(text) + 1),
        parse_options=pa_csv.ParseOptions(
            delimiter=form.delimiter,
            quote_char='"' if form.quotes else False,
            invalid_row_handler=note,
            ignore_empty_lines=False,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.binary() for name in wanted}, include_columns=wanted, strings_can_be_null=False
        ),
    )
    lines = table.num_rows + len(wrong)
    keep = np.ones(lines, dtype=bool)
    keep[[number - 1 for number, _ in wrong]] = False
    rows = np.flatnonzero(keep)
    empty = _empty_lines(text) if len(form.names) > 1 else []
    if empty:
        # pyarrow makes a row of empty values of an empty line, but a row with no delimiter has too few columns.
        wrong += [(line + 1, f"1 column instead of {len(form.names)}") for line in empty]
        full = ~np.isin(rows, empty)
        table, rows = table.filter(pa.array(full)), rows[full]
    for number, why in sorted(wrong):
        bad.row(str(file), before + number, None, why)
    return table, rows + before + 1, lines


def _empty_lines(text: bytes) -> list[int]:
    """Numbers of the lines, from 0, that hold nothing."""
    if not text.startswith((b"\n", b"\r\n")) and b"\n\n" not in text and b"\n\r\n" not in text:
        return []
    return [i for i, line in enumerate(text.removesuffix(b"\n").split(b"\n")) if not line.strip(b"\r")]
