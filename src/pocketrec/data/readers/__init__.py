"""Read one kind of file each: one file per reader, named after it, defining ``READER``.

A reader of another package becomes known by an entry point of the group ``pocketrec.readers``, and is proved by
`pocketrec.testing.reader_contract`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from pocketrec.data.bad_rows import BadRows
from pocketrec.spec.registry import Folder
from pocketrec.spec.schema import Schema

__all__ = ["READERS", "Block", "Deriving", "Place", "Reader", "origin_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a file reading goes on.

    Attributes:
        offset: the reader's own measure of what it has read (bytes of text, row groups), 0 at the start.
        row: rows read, good and bad, a header line not counted.
    """

    offset: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some consecutive rows of a file, not yet checked.

    Attributes:
        table: one column per field of the schema (others are left out): strings, bytes, numbers, or lists of them.
        rows: int64 [n], the number of each row in its file, from 1.
        after: where the next block begins.
    """

    table: pa.Table
    rows: np.ndarray
    after: Place


class Reader(Protocol):
    """The contract of a reader: whole blocks, bounded memory, the same blocks again from any place it named."""

    def accepts(self, name: str) -> bool:
        """Whether a file of this name inside a folder belongs to the log."""
        ...

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        """The rows of a file from a place on.

        Args:
            file: an existing file.
            schema: which columns to give.
            bad: takes rows that cannot even be split into columns.
            start: `Place()` or the `after` of an earlier block.

        Raises:
            BadRow, BadFile: through `bad`.
            SchemaError: when the file lacks a column of the schema.
        """
        ...

    def fitting(self, file: Path, schema: Schema, forms: Sequence[Schema]) -> Schema:
        """What to ask :meth:`blocks` for, so that it gives the columns of one of several forms of a schema.

        Args:
            file: an existing file.
            schema: of a file that has all columns.
            forms: the schema with fewer fields, the best one first.

        Returns:
            The first form that the file can give, else the last; where files do not name their columns, whatever
            names all columns of this one. For a file that cannot be read, any: `blocks` will say so.
        """
        ...

    def companions(self, file: Path, schema: Schema) -> tuple[Path, ...]:
        """The other files that the rows of this one depend on: features of users or items, joined by a key."""
        ...


@runtime_checkable
class Deriving(Protocol):
    """What a reader may say besides: where columns come from that its files themselves may lack."""

    def origin(self, name: str) -> str | None:
        """From what the reader makes this column, a phrase; None for one that stands in the file."""
        ...


READERS: Folder[Reader] = Folder("pocketrec.data.readers", "reader", "READER")


def origin_of(name: str, schema: Schema) -> str | None:
    """From what the schema's reader makes this column, a phrase; None where it does not, or is not installed."""
    reader: object = READERS.get(schema.format) if schema.format in READERS.names() else None
    return reader.origin(name) if isinstance(reader, Deriving) else None
