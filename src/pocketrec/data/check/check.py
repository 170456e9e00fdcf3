"""Read a log once, in bounded memory, and say what is in it: rows, columns, faults, suspicions, bytes of its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.data.check.column import ColumnCheck, Gatherer
from pocketrec.data.check.faults import Fault, FaultLog
from pocketrec.data.check.files import FileFacts, column_names, file_facts
from pocketrec.data.check.sample import CheckSample
from pocketrec.data.check.sketch import KEPT_TOKENS, TokenSketch
from pocketrec.data.check.suspicions import Finding, suspicions
from pocketrec.data.columns import Columns, read_columns
from pocketrec.data.read_pass import Progress, silent
from pocketrec.data.readers import READERS, Place
from pocketrec.data.sources import Source, source_files
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Schema

__all__ = ["Check", "TableBytes", "check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableBytes:
    """What plain float32 vectors of one table would take.

    Attributes:
        name: of the table.
        rows: its distinct tokens, the missing one too, and one for unknown ids (as training on all these rows has it).
        bytes: rows x dim x 4.
    """

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was found in a log.

    Attributes:
        files: in order, as far as they were read.
        rows: good rows that were read.
        bad_rows: rows that could not be read.
        complete: whether all rows were read (not with a limit that was reached).
        columns: one per field of the schema.
        positives_fraction: share of label 1 among the good rows; None without a label or rows.
        clock: of the time column; None without one.
        faults: kinds of bad rows and damaged files, the most frequent first.
        unnamed: columns of the first file that the schema does not name.
        findings: what looks wrong.
        dim: numbers per vector that `tables` are computed for.
        tables: per table.
    """

    files: tuple[FileFacts, ...]
    rows: int
    bad_rows: int
    complete: bool
    columns: tuple[ColumnCheck, ...]
    positives_fraction: float | None
    clock: str | None
    faults: tuple[Fault, ...]
    unnamed: tuple[str, ...]
    findings: tuple[Finding, ...]
    dim: int
    tables: tuple[TableBytes, ...]

    @property
    def dense_float32_bytes(self) -> int:
        """All tables at 1x."""
        return sum(table.bytes for table in self.tables)

    @property
    def good(self) -> bool:
        """Whether every row could be read."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"good": self.good, **asdict(self), "dense_float32_bytes": self.dense_float32_bytes}


def check(
    source: Source, schema: Schema, *, rows: int | None = None, dim: int = 16, keep: int = KEPT_TOKENS,
    progress: Progress = silent,
) -> Check:  # fmt: skip
    """Read a log and say what is in it. Bad rows are counted, not raised.

    Args:
        source: a file, a folder of parts, or a list of files in order.
        schema: of the files.
        rows: read so many at most, 1 or more; None: all.
        dim: numbers per vector, for the bytes.
        keep: distinct tokens per column (and per table) that are counted exactly; more are estimated. 16 bytes each.
        progress: told how far reading is.

    Raises:
        BadFile: where there is no such file.
        SchemaError: when schema and files do not fit.
        OptionError: for numbers below 1.
    """
    if dim < 1 or (rows is not None and rows < 1):
        raise OptionError(f"rows and dim must be 1 or more, got {rows} and {dim}.")
    files = source_files(source, schema)
    seen = _Seen(schema, keep)
    left, facts = rows, []
    for file in files:
        if left == 0:
            break
        read = seen.read(file, left, lambda done: progress("read", done, rows or 0))
        facts.append(file_facts(file, rows=read))
        left = None if left is None else left - read
    return seen.check(tuple(facts), complete=left != 0, dim=dim, unnamed=_unnamed(files[0], schema))


def _unnamed(file: Path, schema: Schema) -> tuple[str, ...]:
    named = {f.name for f in schema.fields}
    return tuple(name for name in column_names(file, schema) or () if name not in named)


class _Seen:
    """Everything that is gathered while files are read."""

    def __init__(self, schema: Schema, keep: int) -> None:
        self.schema, self.keep, self.faults, self.rows = schema, keep, FaultLog(), 0
        self.columns = {f.name: Gatherer(f, keep) for f in schema.fields}
        self.sample = CheckSample(schema)
        self.time_rises = True
        self._latest: Any = None

    def read(self, file: Path, most: int | None, progress: Any) -> int:
        """The rows of a file, so many at most; how many there were, good and bad."""
        self.faults.last_row, done = most, 0
        for block in READERS.get(self.schema.format).blocks(file, self.schema, self.faults, Place()):
            within = slice(0, len(block.rows) if most is None else int(np.searchsorted(block.rows, most, side="right")))
            table, numbers = block.table.slice(0, within.stop), block.rows[within]
            columns = read_columns(table, self.schema, file=str(file), rows=numbers, bad=self.faults)
            self._take(columns)
            self.sample.take(columns, table)
            done = block.after.row if most is None else min(block.after.row, most)
            progress(self.rows)
            if most is not None and done == most:
                break
        return done

    def _take(self, columns: Columns) -> None:
        self.rows += columns.n
        for gatherer in self.columns.values():
            gatherer.take(columns)
        if columns.time is not None and columns.n:
            first = columns.time[0] if self._latest is None else self._latest
            self.time_rises &= bool(first <= columns.time[0]) and bool((np.diff(columns.time) >= 0).all())
            self._latest = columns.time[-1]

    def check(self, files: tuple[FileFacts, ...], *, complete: bool, dim: int, unnamed: Sequence[str]) -> Check:
        found = {name: gatherer.found() for name, gatherer in self.columns.items()}
        label, time = self.schema.label, self.schema.time
        return Check(
            files=files, rows=self.rows, bad_rows=self.faults.rows, complete=complete, columns=tuple(found.values()),
            positives_fraction=None if label is None else found[label.name].mean,
            clock=None if time is None else time.clock, faults=self.faults.faults, unnamed=tuple(unnamed),
            findings=suspicions(self.schema, found, self.sample, rows=self.rows, time_rises=self.time_rises),
            dim=dim, tables=self._tables(found, dim),
        )  # fmt: skip

    def _tables(self, found: Mapping[str, ColumnCheck], dim: int) -> tuple[TableBytes, ...]:
        tables = []
        for table in self.schema.tables:
            sharing = [f for f in self.schema.categorical if f.table_name == table.table_name]
            if table.rows is None:
                union = TokenSketch(self.keep)
                for f in sharing:
                    union.merge(self.columns[f.name].tokens)
                missing = any(found[f.name].missing_fraction and not f.many for f in sharing)
                rows = union.distinct + missing + 1
            else:
                rows = table.rows
            tables.append(TableBytes(name=table.table_name, rows=rows, bytes=rows * dim * 4))
        return tuple(tables)
