"""The one pass over the text: check rows, number tokens as they are first seen, write chunks to the journal.

Memory is bounded by a block of rows and the distinct tokens (12 bytes each), never by the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.data.bad_rows import BadRows, BadRowsMode
from pocketrec.data.columns import Columns, Tokens, read_columns
from pocketrec.data.dense import transformed
from pocketrec.data.jagged import rows_of_values
from pocketrec.data.journal import Journal
from pocketrec.data.readers import READERS, Block, Place
from pocketrec.data.split import Split
from pocketrec.data.vocabulary import FirstSeen
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Schema

__all__ = ["Progress", "ReadPass", "silent"]

Progress = Callable[[str, int, int], None]
"""Called with the stage (``read``, ``rank``, ``write``), what is done, and the whole of it (0: not known)."""


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


class ReadPass:
    """Reads files into a journal, from wherever the journal ends.

    A chunk of the journal holds ``dense`` float32 [n, D] before standardising, ``absent`` (bits of which dense fields
    are missing), ``ids<j>`` per categorical field (int32 numbers as first seen, or int64 plain ids), ``lengths<j>``
    int32 [n] per field of bags (whose ``ids<j>`` are those of all rows in order), ``new<t>`` the hashes of the tokens
    that table t saw first, and where they apply ``label``, ``weight``, ``time``, ``part``.

    Args:
        journal: empty, or of an earlier pass over the same files.
        schema: of the files.
        split: a split by hash is decided here, row by row.
        known: per table, hashes of tokens that have their numbers already, in order.
    """

    def __init__(self, journal: Journal, schema: Schema, split: Split, known: Mapping[str, np.ndarray]) -> None:
        self.journal, self.schema, self.split = journal, schema, split
        self.first_seen = {f.table_name: FirstSeen() for f in schema.tables if f.ids != "plain"}
        for table, tokens in known.items():
            self.first_seen[table].add(tokens)
        for chunk in range(journal.chunks):
            for t, table in enumerate(self.first_seen):
                self.first_seen[table].add(journal.array(chunk, f"new{t}"))
        self._last: dict[str, Any] = journal.meta(journal.chunks - 1) if journal.chunks else {}
        if split.key is not None and split.key not in _keys(schema):
            raise OptionError(f"The split's key {split.key!r} is not a field of tokens, one per row, in the schema.")
        if split.cuts is not None and schema.time is None:
            raise OptionError("A split with cuts needs a field of kind time in the schema.")
        self._files = 0

    def run(self, files: Sequence[Path], bad_rows: BadRowsMode, progress: Progress) -> dict[str, int]:
        """Read what has not been read; what was skipped is returned, counts by reason."""
        bad = BadRows(bad_rows, self._last.get("skipped"))
        rows = int(self._last.get("rows_before", 0)) + int(self._last.get("rows", 0))
        at = int(self._last.get("file", 0))
        place = Place(offset=int(self._last.get("offset", 0)), row=int(self._last.get("row", 0)))
        reader, self._files = READERS.get(self.schema.format), len(files)
        if self.split.by == "files":
            self.split.part_of_file(0, len(files))  # refuses a wrong number of files before the first is read
        for number in range(at, len(files)):
            for block in reader.blocks(files[number], self.schema, bad, place if number == at else Place()):
                columns = read_columns(block.table, self.schema, file=str(files[number]), rows=block.rows, bad=bad)
                self._append(columns, block, number, rows, bad)
                rows += columns.n
                progress("read", rows, 0)
        return bad.counts

    def _append(self, columns: Columns, block: Block, file: int, rows_before: int, bad: BadRows) -> None:
        arrays = {
            "dense": transformed(columns.dense, self.schema, columns.n),
            "absent": _absent(columns, self.schema),
            **{f"ids{j}": columns.plain[f.name] for j, f in enumerate(self.schema.categorical) if f.ids == "plain"},
        }
        for j, f in enumerate(self.schema.categorical):
            if f.many:
                arrays[f"lengths{j}"] = columns.lengths[f.name].astype(np.int32)
        for t, table in enumerate(self.first_seen):
            arrays.update(self._numbered(columns, t, table))
        for name, values in (("label", columns.label), ("weight", columns.weight), ("time", columns.time)):
            if values is not None:
                arrays[name] = values
        if self.split.by_row:
            arrays["part"] = self._parts(columns, file, rows_before)
        meta = {"file": file, "offset": block.after.offset, "row": block.after.row, "rows": columns.n}
        self.journal.append(arrays, {**meta, "rows_before": rows_before, "skipped": bad.counts})

    def _numbered(self, columns: Columns, t: int, table: str) -> dict[str, np.ndarray]:
        """The numbers of one table's tokens, for all fields that share it."""
        fields = [(j, f.name) for j, f in enumerate(self.schema.categorical) if f.table_name == table]
        met = [columns.tokens[name] for _, name in fields]
        lengths = [columns.lengths.get(name) for _, name in fields]
        hashes = met[0].hashes if len(met) == 1 else _in_order_of_appearance(met, lengths)
        numbers, new = self.first_seen[table].add(hashes)
        out = {f"new{t}": new}
        order = np.argsort(hashes, kind="stable")
        for (j, _), tokens in zip(fields, met, strict=True):
            of_token = (
                numbers if len(met) == 1 else numbers[order[np.searchsorted(hashes, tokens.hashes, sorter=order)]]
            )
            out[f"ids{j}"] = of_token[tokens.codes] if len(tokens.codes) else np.zeros(0, dtype=np.int32)
        return out

    def _parts(self, columns: Columns, file: int, rows_before: int) -> np.ndarray:
        """int8 [n]: the part of each row."""
        if self.split.by == "hash":
            return self.split.parts_of(self._split_keys(columns, rows_before))
        if self.split.by == "files":
            return np.full(columns.n, self.split.part_of_file(file, self._files), dtype=np.int8)
        assert columns.time is not None
        assert self.schema.time is not None
        return self.split.parts_by_time(columns.time, self.schema.time.clock)

    def _split_keys(self, columns: Columns, rows_before: int) -> np.ndarray:
        if self.split.key is not None:
            return columns.tokens[self.split.key].row_hashes
        return np.arange(rows_before, rows_before + columns.n, dtype=np.int64)


def _keys(schema: Schema) -> set[str]:
    """The fields by which rows can be divided."""
    return {f.name for f in schema.categorical if f.ids != "plain" and not f.many}


def _absent(columns: Columns, schema: Schema) -> np.ndarray:
    """Bits [ceil(fields / 8), n] of which dense fields are missing."""
    missing = [np.isnan(columns.dense[f.name]) for f in schema.dense]
    return np.packbits(np.stack(missing), axis=0) if missing else np.zeros((0, columns.n), dtype=np.uint8)


def _in_order_of_appearance(met: Sequence[Tokens], lengths: Sequence[np.ndarray | None]) -> np.ndarray:
    """Distinct hashes of several fields, by row of first appearance, then by field, then by place in the bag: the same
    for all block sizes."""
    hashes, places, rows, fields = [], [], [], []
    for field, (tokens, bags) in enumerate(zip(met, lengths, strict=True)):
        first = np.zeros(len(tokens.hashes), dtype=np.int64)
        first[tokens.codes[::-1]] = np.arange(len(tokens.codes))[::-1]
        hashes.append(tokens.hashes)
        places.append(first)
        rows.append(first if bags is None else rows_of_values(bags)[first])
        fields.append(np.full(len(first), field))
    order = np.lexsort((np.concatenate(places), np.concatenate(fields), np.concatenate(rows)))
    every = np.concatenate(hashes)[order]
    _, at = np.unique(every, return_index=True)
    return every[np.sort(at)]
