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
            table, good, wrong = _split(text, form, wanted)
            if wrong and bad.mode == "fail":
                yield from _rows_before(wrong[0][0], text, form, wanted, place)
            for line, why in wrong:
                bad.row(str(file), place.row + line + 1, None, why)
            rows = good + (place.row + 1)
            place = Place(offset=offset, row=place.row + len(good) + len(wrong))
            yield Block(table=table, rows=rows, after=place)
    except Truncated as damage:
        bad.file(str(file), damage.reason, place.row, str(damage))
        return
    if place.row == 0:
        bad.file(str(file), "empty file", 0)


def _rows_before(line: int, text: bytes, form: Form, wanted: list[str], place: Place) -> Iterator[Block]:
    """The rows before a line of the block, so that a bad value among them is found before the bad line is told."""
    head = b"".join(text.splitlines(keepends=True)[:line])
    if head:
        table, good, _ = _split(head, form, wanted)
        after = Place(offset=place.offset + len(head), row=place.row + line)
        yield Block(table=table, rows=good + (place.row + 1), after=after)


def _split(text: bytes, form: Form, wanted: list[str]) -> tuple[pa.Table, np.ndarray, list[tuple[int, str]]]:
    """Columns of the well-formed lines; their numbers, int64 from 0; and the other lines in order, with the reason."""
    wrong: list[tuple[int, str]] = []

    def note(row: Any) -> str:
        wrong.append((row.number - 1, f"{row.actual_columns} columns instead of {row.expected_columns}"))
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
    good = np.setdiff1d(np.arange(table.num_rows + len(wrong)), [line for line, _ in wrong], assume_unique=True)
    empty = _empty_lines(text) if len(form.names) > 1 else []
    if empty:
        # pyarrow makes a row of empty values of an empty line, but a row with no delimiter has too few columns.
        wrong += [(line, f"1 columns instead of {len(form.names)}") for line in empty]
        full = ~np.isin(good, empty)
        table, good = table.filter(pa.array(full)), good[full]
    return table, good.astype(np.int64), sorted(wrong)


def _empty_lines(text: bytes) -> list[int]:
    """Numbers of the lines, from 0, that hold nothing; found fast when there are none."""
    if not text.startswith((b"\n", b"\r\n")) and b"\n\n" not in text and b"\n\r\n" not in text:
        return []
    lines = text.removesuffix(b"\n").split(b"\n")
    return [i for i, line in enumerate(lines) if not line.strip(b"\r")]
