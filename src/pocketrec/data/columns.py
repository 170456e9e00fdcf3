"""Check the raw columns of some rows and bring them into the few forms that encoding knows.

Training (from files) and serving (from frames) both pass through here, so they cannot read a value differently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pocketrec.data import values
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.jagged import rows_of_values
from pocketrec.data.readers import origin_of
from pocketrec.native.hash63 import hash_tokens
from pocketrec.spec.errors import SchemaError
from pocketrec.spec.schema import Field, Schema

__all__ = ["Columns", "Tokens", "read_columns"]

_HEX = re.compile(r"[0-9a-fA-F]{0,16}")
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of one field.

    Attributes:
        codes: int32 [n], which distinct token each row has; for bags int32 [values], those of all rows in order.
        hashes: int64 [distinct], hash63 of the distinct tokens, in order of first appearance; "" is the missing one.
        missing: the code of the missing token, or -1 where it does not occur.
    """

    codes: np.ndarray
    hashes: np.ndarray
    missing: int

    @property
    def row_hashes(self) -> np.ndarray:
        """int64 [n]: the hash63 of every row's token; for bags int64 [values]."""
        hashes: np.ndarray = self.hashes[self.codes]
        return hashes


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Some rows, checked.

    Attributes:
        n: number of rows.
        dense: float64 [n] per dense field; NaN is missing.
        tokens: per categorical field whose ids are ranks or hashes.
        plain: int64 [n] per categorical field with plain ids; for bags int64 [values].
        lengths: int64 [n] per field of bags, how many tokens or ids each row has.
        label: float32 [n] of 0 and 1, or None without a label.
        weight: float32 [n], or None.
        time: int64 or float64 [n] that orders rows, or None.
    """

    n: int
    dense: Mapping[str, np.ndarray]
    tokens: Mapping[str, Tokens]
    plain: Mapping[str, np.ndarray]
    lengths: Mapping[str, np.ndarray]
    label: np.ndarray | None
    weight: np.ndarray | None
    time: np.ndarray | None


class _Told(Protocol):
    """Takes what is wrong with values of a column: bool [values], and the raw values."""

    def mark(self, column: str, reason: str, wrong: np.ndarray, raw: pa.Array) -> None: ...


class _Faults:
    """The first fault of every row."""

    def __init__(self, n: int) -> None:
        self.which = np.zeros(n, dtype=np.int32)
        self.known: list[tuple[str, str, pa.Array]] = []

    def mark(self, column: str, reason: str, wrong: np.ndarray, raw: pa.Array) -> None:
        if wrong.any():
            self.known.append((column, reason, raw))
            self.which[wrong & (self.which == 0)] = len(self.known)

    def tell(self, file: str, rows: np.ndarray, bad: BadRows) -> None:
        for at in np.flatnonzero(self.which):
            column, reason, raw = self.known[self.which[at] - 1]
            bad.row(file, int(rows[at]), column, reason, raw[int(at)].as_py())


class _BagFaults:
    """Faults of the tokens of bags, told as those of their rows, with the first wrong token."""

    def __init__(self, faults: _Faults, lengths: np.ndarray) -> None:
        self._faults, self._lengths = faults, lengths

    def mark(self, column: str, reason: str, wrong: np.ndarray, raw: pa.Array) -> None:
        at = np.flatnonzero(wrong)
        if len(at):
            rows, first = np.unique(rows_of_values(self._lengths)[at], return_index=True)
            shown, bad = np.zeros(len(self._lengths), dtype=np.int64), np.zeros(len(self._lengths), dtype=bool)
            shown[rows], bad[rows] = at[first], True
            self._faults.mark(column, reason, bad, raw.take(pa.array(shown)))


def read_columns(table: pa.Table, schema: Schema, *, file: str, rows: np.ndarray, bad: BadRows) -> Columns:
    """Check some rows of raw values.

    Args:
        table: the columns of the schema; strings, bytes, numbers, booleans, dictionaries of them, and for bags lists. A
            null is missing.
        schema: what they should be. A label or weight that the schema has must be there.
        file: what to call the origin in errors.
        rows: int64 [n], the numbers of the rows in it, from 1.
        bad: takes bad rows; what is left when it skips them is returned.

    Raises:
        BadRow: naming file, row and column, where `bad` does not skip.
        SchemaError: for a column that is not there.
    """
    raw = {f.name: _whole(table, f, schema, file) for f in schema.fields}
    faults = _Faults(len(table))
    tokens, lengths = {}, {}
    numbers: dict[str, dict[str, np.ndarray]] = {"dense": {}, "categorical": {}, "label": {}, "weight": {}, "time": {}}
    for f in schema.fields:  # in the order of the columns, so that the first fault of a row is the leftmost
        column: pa.Array = raw[f.name]
        told: _Told = faults
        if f.many:
            bags = values.bags(column, f.separator, f.max_values)
            faults.mark(f.name, "not tokens (text in UTF-8, or a list)", bags.wrong, column)
            column, told, lengths[f.name] = bags.tokens, _BagFaults(faults, bags.lengths), bags.lengths
        if f.kind == "categorical" and f.ids != "plain":
            tokens[f.name] = _tokens(column, f, told)
        else:
            numbers[f.kind][f.name] = _CHECKS[f.kind](column, f, told)
    columns = Columns(
        n=len(table),
        dense=numbers["dense"],
        tokens=tokens,
        plain=numbers["categorical"],
        lengths=lengths,
        label=next(iter(numbers["label"].values()), None),
        weight=next(iter(numbers["weight"].values()), None),
        time=next(iter(numbers["time"].values()), None),
    )
    if not faults.which.any():
        return columns
    faults.tell(file, rows, bad)
    good = faults.which == 0
    return read_columns(table.filter(pa.array(good)), schema, file=file, rows=rows[good], bad=bad)


def _whole(table: pa.Table, field: Field, schema: Schema, file: str) -> pa.Array:
    at = table.schema.get_all_field_indices(field.name)
    if len(at) != 1:
        have = ", ".join(table.column_names)
        raise SchemaError(
            f"{file}: there must be one column {field.name!r}, there are {len(at)}. Columns: {have}. "
            + ("Leave one of them." if len(at) else _how_to_give(field, schema))
        )
    column = table.column(at[0]).combine_chunks()
    # Without rows, combine_chunks gives a ChunkedArray of no chunks in some versions of pyarrow.
    return (
        column
        if isinstance(column, pa.Array)
        else pa.concat_arrays(column.chunks)
        if column.num_chunks
        else pa.array([], column.type)
    )


def _how_to_give(field: Field, schema: Schema) -> str:
    made = origin_of(field.name, schema)
    if made is None:
        may_lack = field.kind == "dense" or (field.kind == "categorical" and field.ids != "plain")
        return f"Add it{', with nulls where it is missing' if may_lack else ''}."
    return (
        f"In files the reader {schema.format!r} makes it: {made}. Derive it so, or score files by "
        "`pocketrec predict RUN FILE`, which does."
    )


def _dense(raw: pa.Array, field: Field, faults: _Told) -> np.ndarray:
    got = _unread(values.numbers(raw), raw, field, "not a number", faults)
    present = ~got.missing
    faults.mark(field.name, "not a finite number", present & ~np.isfinite(got.values), raw)
    faults.mark(field.name, "beyond the range of float32", present & (np.abs(got.values) > _FLOAT32_MAX), raw)
    return np.where(got.missing, np.nan, got.values)


def _tokens(raw: pa.Array, field: Field, faults: _Told) -> Tokens:
    got, wrong = values.tokens(raw)
    faults.mark(field.name, "not a token (text, or a whole number)", wrong, raw)
    codes = got.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    if field.tokens == "hex":
        good = pc.match_substring_regex(got.dictionary, "^(?:" + _HEX.pattern + ")$")
        if not pc.all(good, min_count=0).as_py():
            faults.mark(field.name, "not a hexadecimal token", ~good.to_numpy(zero_copy_only=False)[codes], raw)
    missing = pc.index(got.dictionary, pa.scalar("", got.dictionary.type)).as_py()
    return Tokens(codes=codes, hashes=hash_tokens(got.dictionary), missing=missing)


def _plain(raw: pa.Array, field: Field, faults: _Told) -> np.ndarray:
    got = _unread(values.integers(raw), raw, field, "not a whole number", faults)
    assert field.rows is not None
    faults.mark(field.name, "missing, but plain ids cannot be", got.missing, raw)
    outside = (got.values < 0) | (got.values >= field.rows)
    faults.mark(field.name, f"not an id from 0 to {field.rows - 1}", outside & ~got.missing, raw)
    return got.values


def _label(raw: pa.Array, field: Field, faults: _Told) -> np.ndarray:
    got = _unread(values.numbers(raw), raw, field, "not a number", faults)
    faults.mark(field.name, "label missing", got.missing, raw)
    if field.threshold is not None:
        faults.mark(field.name, "label not a finite number", ~np.isfinite(got.values), raw)
        return (got.values >= field.threshold).astype(np.float32)
    faults.mark(field.name, "label not 0 or 1", (got.values != 0) & (got.values != 1), raw)
    return got.values.astype(np.float32)


def _weight(raw: pa.Array, field: Field, faults: _Told) -> np.ndarray:
    got = _unread(values.numbers(raw), raw, field, "not a number", faults)
    faults.mark(field.name, "weight missing", got.missing, raw)
    outside = ~((got.values >= 0) & (got.values <= _FLOAT32_MAX))
    faults.mark(field.name, "weight not a finite number of 0 or more", outside, raw)
    return np.where(outside, 0.0, got.values).astype(np.float32)


def _time(raw: pa.Array, field: Field, faults: _Told) -> np.ndarray:
    got = values.moments_in_time(raw) if field.clock == "iso8601" else values.numbers(raw)
    got = _unread(got, raw, field, "not a time" if field.clock == "iso8601" else "not a number", faults)
    faults.mark(field.name, "time missing", got.missing, raw)
    faults.mark(field.name, "not a finite number", ~np.isfinite(got.values), raw)
    return got.values


_CHECKS: dict[str, Callable[[pa.Array, Field, _Told], np.ndarray]] = {
    "dense": _dense,
    "categorical": _plain,
    "label": _label,
    "weight": _weight,
    "time": _time,
}


def _unread(got: values.Values, raw: pa.Array, field: Field, reason: str, faults: _Told) -> values.Values:
    faults.mark(field.name, reason, got.wrong, raw)
    return got
