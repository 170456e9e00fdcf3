"""Lines of ``label index:value index:value ...`` (libsvm, libFM), or ``label field:index:value ...`` (libffm).

The form of a file is that of its first item. What the numbers mean is for the schema to say:

* Pairs, categorical fields of one token: the k-th pair of a row is the token of the k-th field, as factorisation
  machines are fed (Frappe). Every row has as many of these pairs as the schema has categorical fields.
* Pairs, one categorical field with ``many: true``: all indices of the row are one bag.
* Pairs, other fields (dense, time, weight): a field is called like its index and has that pair's value; such pairs
  count for nothing else. A row without the index has a missing number.
* Triples: all fields but the label are called like the file's field numbers. A categorical field has the index, a bag
  all its indices, any other field the value. A row without the field has a missing value.

A token has the value 1, since tokens have no weights here. -1 as a label is read as 0. A row may lack the label where
the schema has none. What stands after ``#`` is a comment.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.line_blocks import Parsed, line_blocks
from pocketrec.data.readers import Block, Place
from pocketrec.data.sparse_lines import SparseLines, parts_per_item, sparse_lines
from pocketrec.data.text_blocks import PACKED, Truncated, head_of
from pocketrec.spec.errors import SchemaError
from pocketrec.spec.schema import Field, Schema

__all__ = ["READER"]

_NAMES = re.compile(r".+\.(libsvm|svm|libfm|libffm|ffm|txt)" + PACKED)


@final
class LibsvmReader:
    """Reads pairs by position, as a bag or by index, and triples by field."""

    def accepts(self, name: str) -> bool:
        return _NAMES.fullmatch(name) is not None

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        try:
            parts = parts_per_item(head_of(file)) or _parts_of(schema)
        except Truncated as damage:
            bad.file(str(file), damage.reason, 0, str(damage))
            return
        _check(schema, parts, file)
        yield from line_blocks(file, functools.partial(_parse, schema=schema, parts=parts), bad, start)

    def fitting(self, file: Path, schema: Schema, forms: Sequence[Schema]) -> Schema:
        try:
            first = head_of(file).partition(b"\n")[0].split()
        except Truncated:
            return schema
        labelled = bool(first) and b":" not in first[0]
        return next((form for form in forms if form.label is None or labelled), forms[-1])

    def companions(self, file: Path, schema: Schema) -> tuple[Path, ...]:
        return ()


def _parts_of(schema: Schema) -> int:
    """What the schema expects, for files that begin with no item at all."""
    return 3 if all(re.fullmatch(r"\d+", f.name) for f in schema.fields if f.kind != "label") else 2


def _check(schema: Schema, parts: int, file: Path) -> None:
    """Refuse fields of which this form cannot tell what they are."""
    by_number = [f for f in schema.fields if f.kind != "label" and (parts == 3 or f.kind != "categorical")]
    for f in by_number:
        if not re.fullmatch(r"\d+", f.name):
            what = "field number" if parts == 3 else "index"
            raise SchemaError(
                f"{file}: the {f.kind} field {f.name!r} must be called like its {what} in the file, such as '3'. "
                f"The items of this file are {'field:index:value' if parts == 3 else 'index:value'}."
            )
    if parts == 2 and schema.bags and len(schema.categorical) > 1:
        raise SchemaError(
            f"{file}: a row of index:value is one bag, or one token for each categorical field, and the schema has "
            f"{len(schema.bags)} bags among {len(schema.categorical)} categorical fields. Leave one bag and nothing "
            "else, or no bag, or write field:index:value."
        )


def _parse(text: bytes, *, schema: Schema, parts: int) -> Parsed:
    """Columns of the rows that fit the schema."""
    lines = sparse_lines(text, parts)
    faults = _Faults(lines)
    columns = _of_triples(lines, schema, faults) if parts == 3 else _of_pairs(lines, schema, faults)
    if schema.label is not None:
        faults.mark(lines.label.is_null().to_numpy(zero_copy_only=False), "no label before the first item")
        columns[schema.label.name] = _label(lines.label, schema.label)
    table = pa.table({f.name: columns[f.name] for f in schema.fields})
    if faults.found:
        table = table.filter(pa.array(faults.good))
    wrong = sorted([*lines.wrong, *faults.found], key=lambda fault: fault[0])
    if wrong and b"\r" in text:
        wrong = _naming_breaks(wrong, text)
    return Parsed(table=table, good=lines.good[faults.good], wrong=wrong)


_BREAKS = {b"\n": "LF", b"\r\n": "CR LF", b"\r": "CR"}


def _naming_breaks(wrong: list[tuple[int, str, str | None]], text: bytes) -> list[tuple[int, str, str | None]]:
    """The faults of lines that begin or end with a line break of another kind than most lines: it may cut a row."""
    ends = [line[len(line.rstrip(b"\r\n")) :] for line in text.splitlines(keepends=True)]
    usual = max(_BREAKS, key=ends.count)
    found = []
    for at, why, shown in wrong:
        odd = next((end for end in ends[max(at - 1, 0) : at + 1] if end not in (usual, b"")), None)
        if odd is not None:
            why += f"; a line break {_BREAKS[odd]}, where most are {_BREAKS[usual]}, may stand inside the row"
        found.append((at, why, shown))
    return found


class _Faults:
    """The first fault of every row."""

    def __init__(self, lines: SparseLines) -> None:
        self.lines = lines
        self.good = np.ones(len(lines.good), dtype=bool)
        self.found: list[tuple[int, str, str | None]] = []

    def mark(self, wrong: np.ndarray, why: str, text: Sequence[str] | None = None) -> None:
        """Note rows, bool [n]; `text` says what is wrong in each of them."""
        for n, at in enumerate(np.flatnonzero(wrong)):
            if self.good[at]:
                self.found.append((int(self.lines.good[at]), why, None if text is None else text[n]))
        self.good &= ~wrong

    def mark_items(self, items: np.ndarray, why: str) -> None:
        """Note the rows of items, int64 positions, rising."""
        rows, first = np.unique(self.lines.row[items], return_index=True)
        wrong = np.zeros(len(self.good), dtype=bool)
        wrong[rows] = True
        columns = [part.take(pa.array(items[first])).to_pylist() for part in self.lines.parts]
        self.mark(wrong, why, [":".join(item) for item in zip(*columns, strict=True)])


def _of_pairs(lines: SparseLines, schema: Schema, faults: _Faults) -> dict[str, pa.Array]:
    index, value = lines.parts
    numbers = [f for f in schema.fields if f.kind not in ("label", "categorical")]
    by_index = _is_in(index, [f.name for f in numbers])
    columns = {f.name: _one(lines, np.flatnonzero(_is_in(index, [f.name])), value, faults) for f in numbers}
    tokens, fields = np.flatnonzero(~by_index), schema.categorical
    if fields:
        _check_tokens(tokens, value, faults)
    if len(fields) == 1 and fields[0].many:
        columns[fields[0].name] = _bag(lines, tokens, index)
    elif fields:
        count = np.bincount(lines.row[tokens], minlength=len(lines.good))
        for other in np.unique(count[count != len(fields)]).tolist():
            faults.mark(count == other, f"{other} tokens instead of {len(fields)}, one per categorical field")
        starts = np.cumsum(count) - count
        for k, f in enumerate(fields):
            at = np.minimum(starts + k, max(len(tokens) - 1, 0))
            columns[f.name] = index.take(pa.array(tokens[at])) if len(tokens) else pa.nulls(len(count), pa.string())
    return columns


def _of_triples(lines: SparseLines, schema: Schema, faults: _Faults) -> dict[str, pa.Array]:
    field, index, value = lines.parts
    columns = {}
    for f in schema.fields:
        if f.kind == "label":
            continue
        items = np.flatnonzero(_is_in(field, [f.name]))
        if f.kind == "categorical":
            _check_tokens(items, value, faults)
        part = index if f.kind == "categorical" else value
        columns[f.name] = _bag(lines, items, part) if f.many else _one(lines, items, part, faults)
    return columns


def _check_tokens(items: np.ndarray, value: pa.Array, faults: _Faults) -> None:
    if len(items):
        weights = pc.utf8_ltrim(value.take(pa.array(items)), "+").cast(pa.float64()).to_numpy(zero_copy_only=False)
        faults.mark_items(items[weights != 1], "a token must have the value 1, a number is for dense fields")


def _one(lines: SparseLines, items: np.ndarray, part: pa.Array, faults: _Faults) -> pa.Array:
    """One value per row, null where a row has no such item."""
    rows = lines.row[items]
    faults.mark_items(items[1:][rows[1:] == rows[:-1]], "stands twice in the row")
    at = np.full(len(lines.good), -1, dtype=np.int64)
    at[rows] = items
    return part.take(pa.array(at, mask=at < 0))


def _bag(lines: SparseLines, items: np.ndarray, part: pa.Array) -> pa.Array:
    counts = np.bincount(lines.row[items], minlength=len(lines.good))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), part.take(pa.array(items)))


def _label(raw: pa.Array, field: Field) -> pa.Array:
    """As written, but -1 as 0 where labels are 0 and 1."""
    number = pc.utf8_ltrim(raw, "+").cast(pa.float64())
    return raw if field.threshold is not None else pc.if_else(pc.equal(number, -1.0), "0", raw)


def _is_in(column: pa.Array, names: Sequence[str]) -> np.ndarray:
    found: np.ndarray = pc.is_in(column, pa.array(names, pa.string())).to_numpy(zero_copy_only=False)
    return found


READER = LibsvmReader()
