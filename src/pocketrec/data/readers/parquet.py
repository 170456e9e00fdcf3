"""Parquet files, and folders of them: strings, numbers, booleans, dictionaries, and lists of them for bags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.fitting import fitting_by_name
from pocketrec.data.headers import once
from pocketrec.data.parquet_blocks import parquet_blocks, parquet_columns
from pocketrec.data.readers import Block, Place
from pocketrec.spec.schema import Schema

__all__ = ["READER"]


@final
class ParquetReader:
    """Reads the columns that the schema names, in blocks of rows of one row group; a place's offset counts rows."""

    def accepts(self, name: str) -> bool:
        return name.endswith((".parquet", ".pq"))

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        return parquet_blocks(file, [f.name for f in schema.fields], bad, start)

    def fitting(self, file: Path, schema: Schema, forms: Sequence[Schema]) -> Schema:
        return fitting_by_name(once(parquet_columns(file)), forms)

    def companions(self, file: Path, schema: Schema) -> tuple[Path, ...]:
        return ()


READER = ParquetReader()
