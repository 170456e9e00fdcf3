"""CSV files: any delimiter, with or without a header line, `.gz` or `.zst`. A quoted value holds no line break."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import final

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.delimited import Form, delimited_blocks
from pocketrec.data.readers import Block, Place
from pocketrec.data.text_blocks import PACKED, Truncated, first_line
from pocketrec.spec.errors import SchemaError
from pocketrec.spec.schema import Schema

__all__ = ["READER"]

_NAMES = re.compile(r".+\.(csv|tsv|txt)" + PACKED)


@final
class CsvReader:
    """Reads text with one row per line. With a header the columns are found by name, and others are left alone."""

    def accepts(self, name: str) -> bool:
        return _NAMES.fullmatch(name) is not None

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        names = tuple(f.name for f in schema.fields)
        if schema.header:
            try:
                line, after = first_line(file)
            except Truncated as damage:
                bad.file(str(file), damage.reason, 0, str(damage))
                return
            if not line:
                bad.file(str(file), "empty file", 0)
                return
            names = _header(line, file, schema)
            start = start if start.offset else Place(offset=after, row=0)
        yield from delimited_blocks(
            file, schema, Form(names=names, delimiter=schema.delimiter, quotes=True), bad, start
        )


def _header(line: bytes, file: Path, schema: Schema) -> tuple[str, ...]:
    names = tuple(next(csv.reader([line.decode("utf-8", "replace")], delimiter=schema.delimiter), ()))
    for wanted in (f.name for f in schema.fields):
        if names.count(wanted) != 1:
            trouble = "stands twice in" if wanted in names else "is missing from"
            raise SchemaError(f"{file}: the column {wanted!r} {trouble} the header. Columns: {', '.join(names)}.")
    return names


READER = CsvReader()
