"""CSV files: any delimiter, with or without a header line, `.gz` or `.zst`. A quoted value holds no line break.

A column of a field with ``many: true`` holds texts with the field's separator between the tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.delimited import Form, delimited_blocks
from pocketrec.data.fitting import fitting_by_name, fitting_by_number
from pocketrec.data.headers import header, once, the_only
from pocketrec.data.readers import Block, Place
from pocketrec.data.text_blocks import PACKED, Truncated
from pocketrec.spec.schema import Schema

__all__ = ["READER"]

_NAMES = re.compile(r".+\.(csv|tsv|txt)" + PACKED)


@final
class CsvReader:
    """Reads text with one row per line. With a header the columns are found by name, and others are left alone."""

    def accepts(self, name: str) -> bool:
        return _NAMES.fullmatch(name) is not None

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        wanted = names = tuple(f.name for f in schema.fields)
        if schema.header:
            try:
                names, after = header(file, schema.delimiter)
            except Truncated as damage:
                bad.file(str(file), damage.reason, 0, str(damage))
                return
            if not names:
                bad.file(str(file), "empty file", 0)
                return
            the_only(wanted, names, file)
            start = start if start.offset else Place(offset=after, row=0)
        yield from delimited_blocks(
            file, wanted, Form(names=names, delimiter=schema.delimiter, quotes=True), bad, start
        )

    def fitting(self, file: Path, schema: Schema, forms: Sequence[Schema]) -> Schema:
        try:
            names, _ = header(file, schema.delimiter)
        except Truncated:
            return schema
        return fitting_by_name(once(names), forms) if schema.header else fitting_by_number(len(names), schema)

    def companions(self, file: Path, schema: Schema) -> tuple[Path, ...]:
        return ()


READER = CsvReader()
