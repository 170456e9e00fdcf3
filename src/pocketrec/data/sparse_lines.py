"""Lines of ``label index:value ...`` or ``label field:index:value ...`` as flat columns of texts."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["SparseLines", "parts_per_item", "sparse_lines"]

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_ITEMS = {2: rf"\d+:{_NUMBER}", 3: rf"\d+:\d+:{_NUMBER}"}
_NAMES = {2: "index:value", 3: "field:index:value"}
# RE2, which pyarrow uses, needs time in proportion to the text for any pattern.
_LINES = {
    parts: rf"^[ \t]*(?:(?:{_NUMBER}|{item})(?:[ \t]+{item})*)[ \t]*$" for parts, item in _ITEMS.items()
}  # fmt: skip
_FIRST_ITEM = re.compile(rb"(?<!\S)\d+:(\d+:)?[\d.+-][^\s:]*(?!\S)")
_COMMENT = re.compile(rb"#[^\r\n]*")
_ASCII = bytes(c if c < 128 else ord("?") for c in range(256))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparseLines:
    """Some well-formed lines, and the others.

    Attributes:
        good: int64 [n], rising: the numbers of the well-formed lines, from 0.
        wrong: each other line: number, fault, and the text that is wrong.
        label: string [n], null where a line has none.
        row: int64 [items], rising: to which of the n lines an item belongs.
        parts: per part of an item (index, value or field, index, value) string [items].
    """

    good: np.ndarray
    wrong: list[tuple[int, str, str | None]]
    label: pa.Array
    row: np.ndarray
    parts: tuple[pa.Array, ...]


def parts_per_item(text: bytes) -> int:
    """Whether items are pairs (2) or triples (3), from the first of them in some lines; 0 where there is none."""
    item = _FIRST_ITEM.search(_COMMENT.sub(b"", text))
    return 0 if item is None else 2 if item[1] is None else 3


def sparse_lines(text: bytes, parts: int) -> SparseLines:
    """Split whole lines.

    Args:
        text: lines, the last perhaps without a line break.
        parts: 2 for pairs, 3 for triples.
    """
    every = _COMMENT.sub(b"", text) if b"#" in text else text
    lines = pa.array(every.translate(_ASCII).splitlines(), pa.binary()).cast(pa.string())
    fine = pc.match_substring_regex(lines, _LINES[parts])
    is_good = fine.to_numpy(zero_copy_only=False)
    wrong = [(int(at), *_fault(lines[int(at)].as_py(), parts)) for at in np.flatnonzero(~is_good)]
    words = pc.split_pattern_regex(pc.utf8_trim(lines.filter(fine), " \t"), "[ \t]+")
    starts, flat = words.offsets.to_numpy(), words.flatten()
    starts = starts - starts[0] if len(starts) else starts
    is_item = pc.match_substring(flat, ":").to_numpy(zero_copy_only=False)
    first = starts[:-1]
    label = flat.take(pa.array(first, mask=is_item[first]))
    row = np.repeat(np.arange(len(first)), np.diff(starts))[is_item]
    split = pc.split_pattern(flat.filter(pa.array(is_item)), ":").flatten()
    columns = tuple(split.take(pa.array(np.arange(part, len(split), parts))) for part in range(parts))
    return SparseLines(good=np.flatnonzero(is_good), wrong=wrong, label=label, row=row, parts=columns)


def _fault(line: str, parts: int) -> tuple[str, str | None]:
    """What is wrong with a line, and the word that is."""
    words = line.split()
    if not words:
        return "an empty line", None
    if ":" not in words[0] and not re.fullmatch(_NUMBER, words[0]):
        return "the label is not a number", words[0]
    items = words if ":" in words[0] else words[1:]
    odd = next((word for word in items if not re.fullmatch(_ITEMS[parts], word)), line)
    return f"not {_NAMES[parts]} of whole numbers and a number", odd
