"""Avazu as Kaggle gave it: CSV with the header id, click, hour, C1, banner_pos ... C21; the test file has no click.

The header may be missing: 24 columns have the click, 23 have not. Beside the columns of the file there are
``hour_of_day`` (0 to 23) and ``weekday`` (0 is Monday), derived from ``hour`` (YYMMDDHH, in UTC).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa

from pocketrec.data import values
from pocketrec.data.arrays import one_array
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.delimited import Form, delimited_blocks
from pocketrec.data.fitting import fitting_by_name
from pocketrec.data.headers import header, once, the_only
from pocketrec.data.readers import Block, Place
from pocketrec.data.text_blocks import PACKED, Truncated
from pocketrec.spec.schema import Schema

__all__ = ["READER"]

_NAMES = re.compile(r".+\.csv" + PACKED)
_COLUMNS = (
    "id", "click", "hour", "C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain",
    "app_category", "device_id", "device_ip", "device_model", "device_type", "device_conn_type",
    *(f"C{number}" for number in range(14, 22)),
)  # fmt: skip
_DERIVED = {
    "hour_of_day": "the last two digits of hour (YYMMDDHH), 0 to 23",
    "weekday": "the date in hour (YYMMDDHH), 0 for Monday to 6",
}


@final
class AvazuReader:
    """Reads the columns that the schema names, and derives hour of day and weekday."""

    def accepts(self, name: str) -> bool:
        return _NAMES.fullmatch(name) is not None

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        wanted = [f.name for f in schema.fields]
        try:
            names, after = _columns(file)
        except Truncated as damage:
            bad.file(str(file), damage.reason, 0, str(damage))
            return
        if not names:
            bad.file(str(file), "empty file", 0)
            return
        derived = [name for name in _DERIVED if name in wanted]
        own = [name for name in wanted if name not in derived]
        own += ["hour"] if derived and "hour" not in own else []
        the_only(own, names, file)
        form = Form(names=names, delimiter=",", quotes=True)
        for block in delimited_blocks(file, own, form, bad, start if start.offset else Place(offset=after)):
            full = _with_derived(block, str(file), bad) if derived else block
            yield replace(full, table=full.table.select(wanted))

    def fitting(self, file: Path, schema: Schema, forms: Sequence[Schema]) -> Schema:
        try:
            names, _ = _columns(file)
        except Truncated:
            return schema
        return fitting_by_name(once(names) | (set(_DERIVED) if "hour" in names else set()), forms)

    def companions(self, file: Path, schema: Schema) -> tuple[Path, ...]:
        return ()

    def origin(self, name: str) -> str | None:
        return _DERIVED.get(name)


def _columns(file: Path) -> tuple[tuple[str, ...], int]:
    """Names of the columns, and the offset of the first row."""
    names, after = header(file, ",")
    if "hour" in names or not names:
        return names, after
    return tuple(name for name in _COLUMNS if name != "click" or len(names) != len(_COLUMNS) - 1), 0


def _with_derived(block: Block, file: str, bad: BadRows) -> Block:
    """Hour of the day and weekday of each row; rows whose hour is none go to `bad`."""
    raw = one_array(block.table["hour"])
    got = values.integers(raw)
    hour, day = got.values % 100, got.values // 100
    date = _dates(2000 + day // 10_000, day // 100 % 100, day % 100)
    wrong = got.wrong | got.missing | (got.values < 0) | (hour > 23) | (day > 991_231) | np.isnat(date)
    for at in np.flatnonzero(wrong):
        bad.row(file, int(block.rows[at]), "hour", "not an hour as YYMMDDHH", raw[int(at)].as_py())
    weekday = (date.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    table = block.table.append_column("hour_of_day", pa.array(hour)).append_column("weekday", pa.array(weekday))
    good = ~wrong
    return replace(block, table=table if good.all() else table.filter(pa.array(good)), rows=block.rows[good])


def _dates(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """datetime64[D] [n], NaT for days that no calendar has."""
    known = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1970) & (year < 2200)
    months = (np.where(known, year, 1970) - 1970) * 12 + np.where(known, month, 1) - 1
    first = months.astype("datetime64[M]")
    date = first.astype("datetime64[D]") + np.where(known, day, 1) - 1
    return np.where(known & (date.astype("datetime64[M]") == first), date, np.datetime64("NaT"))


READER = AvazuReader()
