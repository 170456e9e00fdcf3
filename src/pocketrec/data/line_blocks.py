"""Rows of a text file, one per line, by any parser: numbers of the rows, bad lines, and places to go on from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.readers import Block, Place
from pocketrec.data.text_blocks import BOM, Truncated, text_blocks

__all__ = ["Parse", "Parsed", "line_blocks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Some whole lines as columns.

    Attributes:
        table: the good lines.
        good: int64 [rows of the table], rising: the number of each of them among the lines, from 0.
        wrong: each other line, rising: its number, its fault in a few words, and the wrong text if there is one.
    """

    table: pa.Table
    good: np.ndarray
    wrong: list[tuple[int, str, str | None]]


Parse = Callable[[bytes], Parsed]
"""From whole lines, the last perhaps without a line break. What becomes of a line depends on nothing but the line."""


def line_blocks(file: Path, parse: Parse, bad: BadRows, start: Place) -> Iterator[Block]:
    """Blocks of rows. Lines that cannot be parsed go to `bad`, by their number.

    Raises:
        BadRow: naming file and row.
        BadFile: for an empty file, or packed data that is truncated or damaged.
    """
    place = start
    try:
        for text, offset in text_blocks(file, start=start.offset):
            text = text if place.offset else text.removeprefix(BOM)
            got = parse(text)
            if got.wrong and bad.mode == "fail":
                yield from _rows_before(got.wrong[0][0], text, parse, place)
            for line, why, text_of_it in got.wrong:
                bad.row(str(file), place.row + line + 1, None, why, text_of_it)
            rows = got.good + (place.row + 1)
            place = Place(offset=offset, row=place.row + len(got.good) + len(got.wrong))
            yield Block(table=got.table, rows=rows, after=place)
    except Truncated as damage:
        bad.file(str(file), damage.reason, place.row, str(damage))
        return
    if place.row == 0:
        bad.file(str(file), "empty file", 0)


def _rows_before(line: int, text: bytes, parse: Parse, place: Place) -> Iterator[Block]:
    """The rows before a line of the block, so that a bad value among them is found before the bad line is told."""
    head = b"".join(text.splitlines(keepends=True)[:line])
    if head:
        got = parse(head)
        after = Place(offset=place.offset + len(head), row=place.row + line)
        yield Block(table=got.table, rows=got.good + (place.row + 1), after=after)
