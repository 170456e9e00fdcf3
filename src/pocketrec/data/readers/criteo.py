"""Criteo logs: tab-separated lines without header and quotes; `.gz`, `.zst`; folders of parts; Terabyte day files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.delimited import Form, delimited_blocks
from pocketrec.data.fitting import fitting_by_number
from pocketrec.data.readers import Block, Place
from pocketrec.data.text_blocks import PACKED, Truncated, first_line
from pocketrec.spec.schema import Schema

__all__ = ["READER"]

# day_0 ... day_23 of Criteo Terabyte, part-00000 of Hadoop, and ordinary names.
_NAMES = re.compile(r"(day_\d+|part[-_]\d+\S*|.+\.(tsv|txt|csv))" + PACKED)


@final
class CriteoReader:
    """Reads what `pocketrec.spec.schema.criteo` describes; the fields of the schema are all columns of the file."""

    def accepts(self, name: str) -> bool:
        return _NAMES.fullmatch(name) is not None

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        names = tuple(f.name for f in schema.fields)
        return delimited_blocks(file, names, Form(names=names, delimiter="\t", quotes=False), bad, start)

    def fitting(self, file: Path, schema: Schema, forms: Sequence[Schema]) -> Schema:
        try:
            return fitting_by_number(first_line(file)[0].count(b"\t") + 1, schema)
        except Truncated:
            return schema

    def companions(self, file: Path, schema: Schema) -> tuple[Path, ...]:
        return ()


READER = CriteoReader()
