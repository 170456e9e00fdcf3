"""KuaiRand logs: the original CSV (``log_standard_*.csv``, ``log_random_*.csv``) or Parquet, with the side files.

Columns are those of the log; of ``user_features*.csv`` and ``video_features_basic*.csv`` beside it, joined by
``user_id`` and ``video_id`` when the schema names them (a column that the log has itself is taken from there); and two
that are derived where the log lacks them: ``hour`` (0 to 23) from ``hourmin``, and ``freshness_days``, from the day of
the upload (``upload_dt``) to the day of the view (``date``). A user or video that its file does not know has missing
values. pandas wrote whole numbers with gaps as 9.0; they are read as 9.

Source: https://kuairand.com (C. Gao and others, "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly
Exposed Videos", CIKM 2022).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pocketrec.data import values
from pocketrec.data.arrays import one_array
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.delimited import Form, delimited_blocks
from pocketrec.data.fitting import fitting_by_name
from pocketrec.data.headers import header, once, the_only
from pocketrec.data.parquet_blocks import parquet_blocks, parquet_columns
from pocketrec.data.readers import Block, Place
from pocketrec.data.side_tables import SideTable, joined, read_side_table, side_header, the_side_file
from pocketrec.data.text_blocks import PACKED, Truncated
from pocketrec.spec.errors import SchemaError
from pocketrec.spec.schema import Schema

__all__ = ["READER"]

_NAMES = re.compile(r"log_[\w.-]+\.csv" + PACKED + r"|(log|train|val|valid|validation|test)[\w.-]*\.parquet")
_SIDES = {
    "user_id": ("user_features*.csv", r"user_features[\w.-]*\.csv" + PACKED),
    "video_id": ("video_features_basic*.csv", r"video_features_basic[\w.-]*\.csv" + PACKED),
}
# Columns of every log; outcomes, which are no inputs, not among them.
_OF_LOGS = ("user_id", "video_id", "date", "hourmin", "time_ms", "tab", "is_click")
_DERIVED = {"hour": ("hourmin",), "freshness_days": ("date", "upload_dt")}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where the columns of a log come from.

    Attributes:
        own: columns of the log.
        start: offset of the first row of a text.
        sides: per key the side file and its columns, where there is one.
    """

    own: tuple[str, ...]
    start: int
    sides: dict[str, tuple[Path, tuple[str, ...]]]

    def has(self, name: str) -> bool:
        """Whether the log or a side file has this column."""
        return name in once(self.own) or any(name in once(columns) for _, columns in self.sides.values())

    def offers(self, name: str) -> bool:
        """Whether the log gives this column, its side files and what is derived included."""
        return self.has(name) or (name in _DERIVED and all(map(self.has, _DERIVED[name])))


@final
class KuaiRandReader:
    """Reads logs, joins the columns of users and videos that the schema names, and derives hour and freshness."""

    def accepts(self, name: str) -> bool:
        return _NAMES.fullmatch(name) is not None

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        wanted = [f.name for f in schema.fields]
        try:
            layout = _layout(file)
        except Truncated as damage:
            bad.file(str(file), damage.reason, 0, str(damage))
            return
        if not layout.own and not _is_parquet(file):
            bad.file(str(file), "empty file", 0)
            return
        if layout.own:
            _check(wanted, layout, file)
        derived = [name for name in wanted if not layout.has(name) and name in _DERIVED]
        needed = dict.fromkeys(n for name in wanted for n in (_DERIVED[name] if name in derived else (name,)))
        # Faults of the side files are told once, at the beginning.
        tables = list(_side_tables(layout, needed, bad if start == Place() else BadRows(bad.mode)))
        own = [name for name in layout.own if name in needed or name in {side.key for side in tables}]
        for block in _log_blocks(file, own or wanted, layout, bad, start):
            full = replace(block, table=joined(block.table, tables))
            for name in derived:
                full = _DERIVE[name](full, str(file), bad)
            yield replace(full, table=full.table.select(wanted))

    def fitting(self, file: Path, schema: Schema, forms: Sequence[Schema]) -> Schema:
        try:
            layout = _layout(file)
        except Truncated:
            return schema
        return fitting_by_name({f.name for f in schema.fields if layout.offers(f.name)}, forms)

    def companions(self, file: Path, schema: Schema) -> tuple[Path, ...]:
        try:
            layout = _layout(file)
        except Truncated:
            return ()
        wanted = {f.name for f in schema.fields} - set(layout.own)
        wanted |= {needed for name in wanted for needed in _DERIVED.get(name, ())} - set(layout.own)
        return tuple(beside for beside, columns in layout.sides.values() if wanted & set(columns))

    def origin(self, name: str) -> str | None:
        derived = {"hour": "hourmin (HHMM), 0 to 23", "freshness_days": "the days from upload_dt to date"}
        beside = " or ".join(glob for glob, _ in _SIDES.values())
        return derived.get(name) or (None if name in _OF_LOGS else f"the column of {beside} beside the log")


def _is_parquet(file: Path) -> bool:
    return file.name.endswith(".parquet")


def _layout(file: Path) -> _Layout:
    own, start = (tuple(parquet_columns(file)), 0) if _is_parquet(file) else header(file, ",")
    sides = {}
    for key, (_, pattern) in _SIDES.items():
        beside = the_side_file(file.absolute().parent, pattern)
        if beside is not None and key in own:
            sides[key] = (beside, side_header(beside, ",")[0])
    return _Layout(own=own, start=start, sides=sides)


def _check(wanted: Sequence[str], layout: _Layout, file: Path) -> None:
    for name in wanted:
        if not layout.offers(name):
            beside = [f"{path.name}: {', '.join(columns)}" for path, columns in layout.sides.values()]
            absent = [glob for key, (glob, _) in _SIDES.items() if key not in layout.sides]
            raise SchemaError(
                f"{file}: there is no one column {name!r}. Columns: {', '.join([*layout.own, *beside])}."
                + (f" Beside this file there is no {' and no '.join(absent)}." if absent else "")
            )


def _log_blocks(file: Path, own: Sequence[str], layout: _Layout, bad: BadRows, start: Place) -> Iterator[Block]:
    if _is_parquet(file):
        return parquet_blocks(file, own, bad, start)
    form = Form(names=layout.own, delimiter=",", quotes=True)
    return delimited_blocks(file, own, form, bad, start if start.offset else Place(offset=layout.start))


def _side_tables(layout: _Layout, needed: dict[str, None], bad: BadRows) -> Iterator[SideTable]:
    for key, (beside, names) in layout.sides.items():
        columns = [name for name in names if name in needed and name not in layout.own]
        if not columns:
            continue
        the_only([key, *columns], names, beside)
        form = Form(names=names, delimiter=",", quotes=True)
        start = Place(offset=side_header(beside, ",")[1])
        read = delimited_blocks(beside, [key, *columns], form, bad, start)
        found = read_side_table(read, key=key, name=key, columns=columns, file=beside, bad=bad)
        yield replace(found, table=_whole_numbers(found.table))


def _whole_numbers(table: pa.Table) -> pa.Table:
    """9.0 as 9, in every column."""
    for at, name in enumerate(table.column_names):
        table = table.set_column(at, name, pc.replace_substring_regex(table.column(at), r"^(-?\d+)\.0$", r"\1"))
    return table


# ---------------------------------------------------------------- derived columns


def _with_hour(block: Block, file: str, bad: BadRows) -> Block:
    raw = one_array(block.table["hourmin"])
    got = values.integers(raw)
    wrong = got.wrong | ~got.missing & ((got.values < 0) | (got.values > 2359) | (got.values % 100 > 59))
    hour = pa.array(got.values // 100, mask=got.missing)
    return _with_column(block, "hour", hour, wrong, ("hourmin", "not a time of day as HHMM", raw, file, bad))


def _with_freshness(block: Block, file: str, bad: BadRows) -> Block:
    raw = one_array(block.table["date"])
    got = values.integers(raw)
    text = pc.utf8_lpad(pa.array(np.where(got.wrong | got.missing, 0, got.values)).cast(pa.string()), 8, "0")
    viewed = _days(pc.replace_substring_regex(text, r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3"))
    wrong = got.wrong | ~got.missing & viewed.is_null().to_numpy(zero_copy_only=False)
    uploaded = one_array(block.table["upload_dt"])
    days = pc.subtract(viewed, _days(uploaded.cast(pa.string())))
    return _with_column(block, "freshness_days", days, wrong, ("date", "not a day as YYYYMMDD", raw, file, bad))


def _days(text: pa.Array) -> pa.Array:
    """Days since 1970 of texts as YYYY-MM-DD, null for others."""
    moments = pc.strptime(text, format="%Y-%m-%d", unit="s", error_is_null=True)
    return pc.if_else(
        pc.match_substring_regex(text, r"^\d{4}-\d\d-\d\d$"), moments.cast(pa.date32()).cast(pa.int32()), None
    )


def _with_column(
    block: Block, name: str, column: pa.Array, wrong: np.ndarray, told: tuple[str, str, pa.Array, str, BadRows]
) -> Block:
    source, why, raw, file, bad = told
    for at in np.flatnonzero(wrong):
        bad.row(file, int(block.rows[at]), source, why, raw[int(at)].as_py())
    table = block.table.append_column(name, column)
    return replace(block, table=table.filter(pa.array(~wrong)), rows=block.rows[~wrong])


_DERIVE = {"hour": _with_hour, "freshness_days": _with_freshness}

READER = KuaiRandReader()
