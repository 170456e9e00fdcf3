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
    """Reads the columns that the schema names, in blocks of rows of one row group; a place's offset counts rows."""

    def accepts(self, name: str) -> bool:
        return name.endswith((".parquet", ".pq"))

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        row = 0
        try:
            with pq.ParquetFile(file, memory_map=True) as source:
                names = _columns(source, file, schema)
                for group in range(source.metadata.num_row_groups):
                    rows = source.metadata.row_group(group).num_rows
                    if row + rows <= start.row:  # read before
                        row += rows
                        continue
                    # One group at a time: a block must not depend on where reading began.
                    for batch in source.iter_batches(_BLOCK_ROWS, row_groups=[group], columns=names, use_threads=False):
                        row += batch.num_rows
                        if row > start.row:
                            numbers = np.arange(row - batch.num_rows, row, dtype=np.int64) + 1
                            table = pa.Table.from_batches([batch]).select(names)
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


READER = ParquetReader()
