"""Split lines into columns of bytes; pyarrow parses. Shared by the readers of delimited text."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.line_blocks import Parsed, line_blocks
from pocketrec.data.readers import Block, Place

__all__ = ["Form", "delimited_blocks"]

# Takes the place of a delimiter of several characters, of which pyarrow knows none. It has no other use in text.
_UNIT_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How lines are written.

    Attributes:
        names: of all columns of the file, from left to right.
        delimiter: one or more ASCII characters.
        quotes: whether double quotes may surround a value.
    """

    names: tuple[str, ...]
    delimiter: str
    quotes: bool


def delimited_blocks(file: Path, wanted: Sequence[str], form: Form, bad: BadRows, start: Place) -> Iterator[Block]:
    """Blocks of rows as columns of bytes. Rows with too few or too many columns go to `bad`, by their number.

    Args:
        file: text of this form.
        wanted: which of the columns to give, in this order.
        form: how its lines are written.
        bad: takes bad rows.
        start: where to begin.

    Raises:
        BadRow: naming file and row.
        BadFile: for an empty file, or packed data that is truncated or damaged.
    """
    return line_blocks(file, functools.partial(_split, form=form, wanted=list(wanted)), bad, start)


def _split(text: bytes, form: Form, wanted: list[str]) -> Parsed:
    """Columns of the well-formed lines."""
    delimiter = form.delimiter
    if len(delimiter) > 1:
        text, delimiter = text.replace(delimiter.encode(), _UNIT_SEPARATOR.encode()), _UNIT_SEPARATOR
    if _is_utf8(text):
        got = _parsed(text, form, delimiter, wanted)
    else:  # pyarrow cannot hand us a row that is no UTF-8; every byte becomes a character, and one byte again
        text = text.decode("latin-1").encode()
        got = _parsed(text, form, delimiter, wanted)
        got = replace(got, table=_as_bytes(got.table))
    empty = _empty_lines(text) if len(form.names) > 1 else []
    if not empty:
        return got
    # pyarrow makes a row of empty values of an empty line, but a row with no delimiter has too few columns.
    few = [(line, f"1 columns instead of {len(form.names)}", None) for line in np.intersect1d(got.good, empty).tolist()]
    full = ~np.isin(got.good, empty)
    wrong = sorted([*got.wrong, *few], key=lambda fault: fault[0])
    return Parsed(table=got.table.filter(pa.array(full)), good=got.good[full], wrong=wrong)


def _is_utf8(text: bytes) -> bool:
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False


def _as_bytes(table: pa.Table) -> pa.Table:
    """Characters up to 255 as the bytes that they were."""
    for at, name in enumerate(table.column_names):
        column = [value.decode().encode("latin-1") for value in table.column(at).to_pylist()]
        table = table.set_column(at, name, pa.array(column, pa.binary()))
    return table


def _parsed(text: bytes, form: Form, delimiter: str, wanted: list[str]) -> Parsed:
    """As pyarrow sees it; what it refuses is cut in halves until the lines are found that it refuses."""
    wrong: list[tuple[int, str, str | None]] = []

    def note(row: Any) -> str:
        wrong.append((row.number - 1, f"{row.actual_columns} columns instead of {row.expected_columns}", None))
        return "skip"

    quoted = form.quotes and b'"' in text
    if quoted:  # a value that begins with a quote goes on over line breaks, into this row too
        text = text + (b"" if text.endswith((b"\n", b"\r")) else b"\n")
        guarded = text + delimiter.encode() * (len(form.names) - 1) + b"\n"
    try:
        table = _read(guarded if quoted else text, form, delimiter, wanted, note)
    except pa.ArrowInvalid as refused:
        return _halves(text, form, delimiter, wanted, ("cannot be split", " ".join(str(refused).split())))
    lines = table.num_rows + len(wrong)
    if quoted:
        lines, table = lines - 1, table.slice(0, table.num_rows - 1)
        if lines != len(text.splitlines()):
            return _halves(text, form, delimiter, wanted, ("a quote that does not end in its line", None))
    good = np.setdiff1d(np.arange(lines), [line for line, *_ in wrong], assume_unique=True)
    return Parsed(table=table, good=good.astype(np.int64), wrong=wrong)


def _read(text: bytes, form: Form, delimiter: str, wanted: list[str], note: Callable[[Any], str]) -> pa.Table:
    return pa_csv.read_csv(
        pa.BufferReader(text),
        # One thread: only then does pyarrow number the rows. Header-less, so numbers count lines of text from 1.
        read_options=pa_csv.ReadOptions(use_threads=False, column_names=list(form.names), block_size=len(text) + 1),
        parse_options=pa_csv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if form.quotes else False,
            invalid_row_handler=note,
            ignore_empty_lines=False,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.binary() for name in wanted}, include_columns=wanted, strings_can_be_null=False
        ),
    )


def _halves(text: bytes, form: Form, delimiter: str, wanted: list[str], why: tuple[str, str | None]) -> Parsed:
    """Each half by itself; a single line is wrong."""
    every = text.splitlines(keepends=True)
    if len(every) == 1:
        none = pa.table({name: pa.array([], pa.binary()) for name in wanted})
        return Parsed(table=none, good=np.zeros(0, dtype=np.int64), wrong=[(0, *why)])
    halves = every[: len(every) // 2], every[len(every) // 2 :]
    first, second = (_parsed(b"".join(half), form, delimiter, wanted) for half in halves)
    lines = len(first.good) + len(first.wrong)
    return Parsed(
        table=pa.concat_tables([first.table, second.table]),
        good=np.concatenate([first.good, second.good + lines]),
        wrong=first.wrong + [(line + lines, why, of) for line, why, of in second.wrong],
    )


def _empty_lines(text: bytes) -> list[int]:
    """Numbers of the lines, from 0, that hold nothing; found fast when there are none."""
    if b"\r" not in text and not text.startswith(b"\n") and b"\n\n" not in text:
        return []
    lines = text.splitlines()
    return [i for i, line in enumerate(lines) if not line] if b"" in lines else []
