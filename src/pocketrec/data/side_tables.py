"""Side tables: what is known of a user or an item, joined to the rows of a log by a key.

A side table is held in memory as a whole; a log is not. Each block of the log costs one search in the sorted hashes of
the table's keys. A key that the table does not have, or a row without a key, gives missing values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pocketrec.data import values
from pocketrec.data.arrays import one_array
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.headers import header
from pocketrec.data.readers import Block
from pocketrec.data.text_blocks import Truncated
from pocketrec.native.hash63 import hash_tokens
from pocketrec.spec.errors import BadFile

__all__ = ["SideTable", "joined", "read_side_table", "side_header", "the_side_file"]

_MISSING = hash_tokens(pa.array([""]))[0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SideTable:
    """Columns by key.

    Attributes:
        key: name of the column of the log that holds the keys.
        hashes: int64 [m], rising: hash63 of the keys' texts, under which 7, 7.0 and "7" are one key.
        rows: int64 [m]: the row of the table that belongs to each of them.
        table: the columns, without the key.
    """

    key: str
    hashes: np.ndarray
    rows: np.ndarray
    table: pa.Table

    def find(self, keys: pa.Array) -> pa.Table:
        """The rows of these keys, null where there is none; [n] rows."""
        wanted, wrong = _hashes(keys)
        if not len(self.hashes):
            return self.table.take(pa.nulls(len(wanted), pa.int64()))
        at = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        absent = wrong | (self.hashes[at] != wanted)
        return self.table.take(pa.array(self.rows[at], mask=absent))


def read_side_table(
    blocks: Iterable[Block], *, key: str, name: str, columns: Sequence[str], file: Path, bad: BadRows
) -> SideTable:
    """Hold a side file in memory. Columns that are not UTF-8 are read as Latin-1, in which the older files are written.

    Args:
        blocks: of the side file, with the key and the columns.
        key: what the log calls the key.
        name: what the side file calls it.
        columns: those to keep.
        file: the side file, for errors.
        bad: takes rows whose key was there before; the first one counts.

    Raises:
        BadFile: for a key that stands twice, where `bad` does not skip.
    """
    kept: list[pa.Table] = []
    keys: list[np.ndarray] = []
    numbers: list[np.ndarray] = []
    for block in blocks:
        hashes, wrong = _hashes(one_array(block.table[name]))
        kept.append(block.table.select(columns).filter(pa.array(~wrong)))
        keys.append(hashes[~wrong])
        numbers.append(block.rows[~wrong])
    every = np.concatenate(keys) if keys else np.zeros(0, dtype=np.int64)
    hashes, first = np.unique(every, return_index=True)
    if len(hashes) < len(every):
        twice = np.setdiff1d(np.arange(len(every)), first)
        row = int(np.concatenate(numbers)[twice[0]])
        bad.file(str(file), "a key that stands twice", row - 1, f"{len(twice)} rows repeat a {name}, first row {row}")
    table = pa.concat_tables(kept) if kept else pa.table({name: pa.array([], pa.string()) for name in columns})
    return SideTable(key=key, hashes=hashes, rows=first.astype(np.int64), table=_as_text(table))


def the_side_file(folder: Path, pattern: str) -> Path | None:
    """The file of a folder whose name matches a regular expression; None: there is none.

    Raises:
        BadFile: for several.
    """
    found = sorted(f for f in folder.iterdir() if re.fullmatch(pattern, f.name) and f.is_file())
    if len(found) > 1:
        names = ", ".join(f.name for f in found)
        raise BadFile(str(folder), f"holds {names}, of which one is needed. Move the others away.")
    return found[0] if found else None


def side_header(file: Path, delimiter: str) -> tuple[tuple[str, ...], int]:
    """The names of the columns of a side file, and the offset after them.

    Raises:
        BadFile: for packed data that is damaged there.
    """
    try:
        return header(file, delimiter)
    except Truncated as damage:
        raise BadFile(str(file), f"{damage.reason} ({damage}). Get the file again.") from None


def joined(table: pa.Table, sides: Iterable[SideTable]) -> pa.Table:
    """The columns of a log with those of its side tables beside them."""
    for side in sides:
        found = side.find(one_array(table[side.key]))
        for name in found.column_names:
            table = table.append_column(name, found[name])
    return table


def _hashes(keys: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """int64 [n], the hash63 of every key, and bool [n], where there is none."""
    found, wrong = values.tokens(keys)
    hashes = hash_tokens(found.dictionary)[found.indices.to_numpy(zero_copy_only=False)]
    return hashes, wrong | (hashes == _MISSING)


def _as_text(table: pa.Table) -> pa.Table:
    """Bytes as strings."""
    for at, field in enumerate(table.schema):
        if pa.types.is_binary(field.type):
            try:
                text = table.column(at).cast(pa.string())
            except pa.ArrowInvalid:
                text = pa.chunked_array(
                    [[None if v is None else v.decode("latin-1") for v in chunk.to_pylist()] for chunk in
                     table.column(at).chunks], pa.string(),
                )  # fmt: skip
            table = table.set_column(at, field.name, text)
    return table
