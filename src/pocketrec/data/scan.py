"""Read a log row by row in bounded memory, without a cache: to predict it, or to count it."""

from __future__ import annotations

from collections.abc import Iterator

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.columns import Columns, read_columns
from pocketrec.data.readers import READERS, Place
from pocketrec.data.sources import Source, source_files
from pocketrec.spec.schema import Schema

__all__ = ["scan"]


def scan(source: Source, schema: Schema, bad: BadRows) -> Iterator[Columns]:
    """The checked rows of a log, block by block, in order.

    `Encoder.encode_columns` encodes a block, `Statistics.of` counts it.

    Args:
        source: a file, a folder of parts, or a list of files in order.
        schema: of the files; `Schema.unlabelled` for a log without label and weight.
        bad: what happens to bad rows; `bad.counts` tells what was skipped.

    Raises:
        BadRow, BadFile: through `bad`.
        SchemaError: when schema and files do not fit.
    """
    reader = READERS.get(schema.format)
    for file in source_files(source, schema):
        for block in reader.blocks(file, schema, bad, Place()):
            yield read_columns(block.table, schema, file=str(file), rows=block.rows, bad=bad)
