"""What can be said about a file without reading its rows: bytes, compression, names of its columns."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pocketrec.data.text_blocks import Truncated, first_line
from pocketrec.spec.schema import Schema

__all__ = ["FileFacts", "column_names", "file_facts"]

_PACKED = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """One file of a log.

    Attributes:
        path: of the file.
        bytes: on disk.
        compression: ``none``, ``gzip``, ``zstd``, or what a Parquet file says of its columns (``snappy``, ...).
        rows: that were read of it, good and bad.
    """

    path: str
    bytes: int
    compression: str
    rows: int


def file_facts(file: Path, *, rows: int) -> FileFacts:
    """The facts about an existing file of which so many rows were read."""
    return FileFacts(path=str(file), bytes=file.stat().st_size, compression=_compression(file), rows=rows)


def column_names(file: Path, schema: Schema) -> tuple[str, ...] | None:
    """The names of a file's columns as the file itself says them; None where it does not, or cannot be read."""
    try:
        if schema.format == "parquet":
            with pq.ParquetFile(file, memory_map=True) as source:
                return tuple(source.schema_arrow.names)
        if schema.format == "csv" and schema.header:
            text = first_line(file)[0].decode("utf-8", "replace")
            return tuple(next(csv.reader([text], delimiter=schema.delimiter), ()))
    except (pa.ArrowException, OSError, Truncated, csv.Error):
        return None
    return None


def _compression(file: Path) -> str:
    if file.suffix in _PACKED:
        return _PACKED[file.suffix]
    if file.suffix not in (".parquet", ".pq"):
        return "none"
    try:
        with pq.ParquetFile(file, memory_map=True) as source:
            about = source.metadata
            found = {about.row_group(0).column(i).compression.lower() for i in range(about.num_columns)}
            return ", ".join(sorted(found)).replace("uncompressed", "none")
    except (pa.ArrowException, OSError, IndexError, RuntimeError):
        return "none"
