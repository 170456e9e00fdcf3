"""How an unknown file is written: Parquet or delimited text, which delimiter, whether the first line names columns."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.check.files import column_names
from pocketrec.data.readers import READERS, Place
from pocketrec.data.text_blocks import BOM, Truncated, text_blocks
from pocketrec.spec.errors import BadFile
from pocketrec.spec.schema import Field, Schema

__all__ = ["Form", "head_lines", "sample_rows", "sniff"]

_HEAD_BYTES = 256 << 10
_LINES = 200
_DELIMITERS = ("\t", ",", ";", "|", " ")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a file is written.

    Attributes:
        format: ``parquet`` or ``csv``.
        delimiter: of csv.
        header: of csv, whether the first line names the columns.
        names: of the columns, from left to right; c1, c2, ... where the file does not say.
    """

    format: str
    delimiter: str
    header: bool
    names: tuple[str, ...]


def sniff(file: Path) -> Form:
    """How an existing file is written.

    Raises:
        BadFile: for an empty file, or one that is neither Parquet nor text.
    """
    with file.open("rb") as stream:
        magic = stream.read(4)
    if not magic:
        raise BadFile(str(file), "it is empty.")
    if magic == b"PAR1":
        names = column_names(file, Schema(format="parquet", fields=(Field(name="-", kind="categorical"),)))
        if not names:
            raise BadFile(str(file), "it begins like a Parquet file, but cannot be read as one. Get the file again.")
        return Form(format="parquet", delimiter=",", header=True, names=names)
    lines = head_lines(file)
    delimiter, rows = _split(lines)
    header = _is_header(rows)
    names = tuple(rows[0]) if header else tuple(f"c{i + 1}" for i in range(len(rows[0])))
    return Form(format="csv", delimiter=delimiter, header=header, names=names)


def head_lines(file: Path, most: int = _LINES) -> list[str]:
    """The first lines of a text file (packed or not) that are not empty, one at least.

    Raises:
        BadFile: for one that holds no text.
    """
    for suffix, name, magic in ((".gz", "gzip", b"\x1f\x8b"), (".zst", "zstd", b"\x28\xb5\x2f\xfd")):
        with file.open("rb") as stream:
            if stream.read(len(magic)) == magic and file.suffix != suffix:
                raise BadFile(str(file), f"it is {name}; let its name end in {suffix}.")
    try:
        block, _ = next(text_blocks(file, block_bytes=_HEAD_BYTES), (b"", 0))
    except Truncated as damage:
        raise BadFile(str(file), f"{damage.reason}. Get the file again.") from damage
    if b"\0" in block:
        raise BadFile(str(file), "it is neither Parquet nor text (CSV, TSV, ...): it holds zero bytes.")
    text = block.removeprefix(BOM).decode("utf-8", "replace")
    lines = [line.removesuffix("\r") for line in text.split("\n") if line.strip()]
    if not lines:
        raise BadFile(str(file), "it holds no text.")
    return lines[:most]


def sample_rows(file: Path, form: Form, most: int) -> pa.Table:
    """The first rows as the reader gives them; columns without a name of their own are left out.

    Raises:
        BadFile: where not one row can be read, or no column has a name of its own.
    """
    counts = Counter(form.names)
    names = [name for name in form.names if name and counts[name] == 1]
    if not names:
        raise BadFile(str(file), "no column has a name of its own.")
    schema = Schema(
        format=form.format, delimiter=form.delimiter, header=form.header,
        fields=tuple(Field(name=name, kind="categorical") for name in names),
    )  # fmt: skip
    for block in READERS.get(form.format).blocks(file, schema, BadRows("skip"), Place()):
        if len(block.table):
            return block.table.slice(0, most)
    form_of = f"{len(names)} columns{' and a header' if form.header else ''}"
    raise BadFile(
        str(file), f"not one row can be read as {form_of}. Give rows, or say with --schema how the file is written."
    )


def _split(lines: list[str]) -> tuple[str, list[list[str]]]:
    """The delimiter that cuts the lines most evenly, then into most columns; and the lines it cuts so."""
    best: tuple[tuple[float, int], str, list[list[str]]] = ((0.0, 0), ",", [[line] for line in lines])
    for delimiter in _DELIMITERS:
        try:
            rows = list(csv.reader(lines, delimiter=delimiter))
        except csv.Error:
            continue
        columns, often = Counter(map(len, rows)).most_common(1)[0]
        # Nine in ten lines must agree; a delimiter that cuts nothing agrees always.
        if columns > 1 and often >= 0.9 * len(rows) and (round(often / len(rows), 2), columns) > best[0]:
            even = [row for row in rows if len(row) == columns]
            best = ((round(often / len(rows), 2), columns), delimiter, even)
    return best[1], best[2]


def _is_header(rows: list[list[str]]) -> bool:
    """Whether the first line names the columns: no numbers in it, no name twice, and it differs from what is below."""
    first, below = rows[0], rows[1:]
    if any(_NUMBER.fullmatch(cell.strip()) for cell in first) or len(set(first)) < len(first) or not all(first):
        return False
    if not below:
        return True
    numeric = any(all(_NUMBER.fullmatch(row[i].strip() or "0") for row in below) for i in range(len(first)))
    return numeric or not any(first[i] in {row[i] for row in below} for i in range(len(first)))
