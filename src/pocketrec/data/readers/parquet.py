"""Parquet files, and folders of them: strings, numbers, booleans and dictionaries; nested columns are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.readers import Block, Place
from pocketrec.spec.errors import SchemaError
from pocketrec.spec.schema import Schema

__all__ = ["READER"]

# As many rows as a block of text holds.
_BLOCK_ROWS = 32_768


@final
class ParquetReader:
    """Reads the columns that the schema names, in blocks of rows; a place's offset counts rows."""

    def accepts(self, name: str) -> bool:
        return name.endswith((".parquet", ".pq"))

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        row = start.row
        try:
            with pq.ParquetFile(file, memory_map=True) as source:
                names = _columns(source, file, schema)
                groups, row_in_group = _groups_from(source, start.offset)
                row -= row_in_group
                for batch in source.iter_batches(_BLOCK_ROWS, row_groups=groups, columns=names, use_threads=False):
                    table = pa.Table.from_batches([batch]).select(names)
                    first = row
                    row += len(table)
                    if row <= start.offset:
                        continue
                    table = table.slice(max(0, start.offset - first))
                    numbers = np.arange(row - len(table), row, dtype=np.int64) + 1
                    yield Block(table=table, rows=numbers, after=Place(offset=row, row=row))
        except (pa.ArrowException, OSError) as wrong:
            bad.file(str(file), "not a whole Parquet file", row, " ".join(str(wrong).split()))
            return
        if row == 0:
            bad.file(str(file), "empty file", 0)


def _columns(source: pq.ParquetFile, file: Path, schema: Schema) -> list[str]:
    known = source.schema_arrow.names
    for f in schema.fields:
        if f.name not in known:
            raise SchemaError(f"{file}: there is no column {f.name!r}. Columns: {', '.join(known)}.")
    return [f.name for f in schema.fields]


def _groups_from(source: pq.ParquetFile, row: int) -> tuple[list[int], int]:
    """The row groups from the one that holds this row (from 0) on, and how far into the first of them it lies."""
    first, total = 0, source.metadata.num_row_groups
    while first < total and row >= source.metadata.row_group(first).num_rows:
        row -= source.metadata.row_group(first).num_rows
        first += 1
    return list(range(first, total)), row


READER = ParquetReader()
