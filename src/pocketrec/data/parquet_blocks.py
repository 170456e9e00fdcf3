"""Some columns of a Parquet file, in blocks of rows of one row group. Shared by the readers of Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.readers import Block, Place
from pocketrec.spec.errors import SchemaError

__all__ = ["parquet_blocks", "parquet_columns"]

# As many rows as a block of text holds.
BLOCK_ROWS = 32_768

_BUFFER_BYTES = 1 << 20


def parquet_columns(file: Path) -> list[str]:
    """Names of all columns; none for a file that cannot be read."""
    try:
        names: list[str] = pq.read_schema(file).names
    except (pa.ArrowException, OSError):
        return []
    return names


def parquet_blocks(file: Path, wanted: Sequence[str], bad: BadRows, start: Place) -> Iterator[Block]:
    """Blocks of rows with the wanted columns; a place's offset counts rows.

    Raises:
        BadFile: for a file that is empty or not whole.
        SchemaError: for a column that is not there.
    """
    row = 0
    try:
        # Read through small buffers: of a row group of any size only pages are held, and no pages of a map pile up.
        with pq.ParquetFile(file, memory_map=False, buffer_size=_BUFFER_BYTES) as source:
            _check(source, file, wanted)
            for group in range(source.metadata.num_row_groups):
                rows = source.metadata.row_group(group).num_rows
                if row + rows <= start.row:  # read before
                    row += rows
                    continue
                # One group at a time: a block must not depend on where reading began.
                for batch in source.iter_batches(BLOCK_ROWS, row_groups=[group], columns=wanted, use_threads=False):
                    row += batch.num_rows
                    if row > start.row:
                        numbers = np.arange(row - batch.num_rows, row, dtype=np.int64) + 1
                        table = pa.Table.from_batches([batch]).select(wanted)
                        yield Block(table=table, rows=numbers, after=Place(offset=row, row=row))
    except (pa.ArrowException, OSError) as wrong:
        bad.file(str(file), "not a whole Parquet file", row, " ".join(str(wrong).split()))
        return
    if row == 0:
        bad.file(str(file), "empty file", 0)


def _check(source: pq.ParquetFile, file: Path, wanted: Sequence[str]) -> None:
    known = source.schema_arrow.names
    for name in wanted:
        if known.count(name) != 1:
            trouble = f"there are {known.count(name)} columns" if name in known else "there is no column"
            raise SchemaError(f"{file}: {trouble} {name!r}. Columns: {', '.join(known)}.")
