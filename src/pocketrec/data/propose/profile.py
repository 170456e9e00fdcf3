"""What the values of an unknown column look like: numbers, whole numbers, times, lists or text."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pocketrec.data import values
from pocketrec.data.arrays import one_array
from pocketrec.data.check.suspicions import separator_of

__all__ = ["ColumnProfile", "Look", "profile"]

Look = Literal["nothing", "number", "whole", "time", "list", "text", "other"]

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
_LEADING_ZERO = re.compile(r"0\d+")
_LONG = re.compile(r"\d{17,}")  # more digits than a float64 tells apart: a name
_PROBED = 200
_FEW = 20
_STRAY = 0.2
# What other programs write where a number is missing. Files are read with the empty text (in Parquet: null) alone.
_ABSENT = {"nan", "na", "n/a", "#n/a", "null", "none", "nil", "<na>", "\\n"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnProfile:
    """Some rows of a column.

    Attributes:
        name: of the column.
        look: ``whole`` and other ``number`` s, ISO 8601 ``time`` s, ``list`` s (nested, or text with a separator),
            ``text``, ``other`` nested values, or ``nothing``.
        rows: how many.
        missing_fraction: 0..1.
        tokens: the distinct texts that are there (elements, for lists).
        distinct: different values that are there.
        numbers: float64, those that are there, in order; empty for other looks.
        separator: of lists in text.
        stray: of text that is numbers but for a few words, one of them.
        absent: of numbers among which stand words for missing ones (such as NaN or NULL), one of them. They are counted
            as missing here, but rows that hold them cannot be read as numbers.
    """

    name: str
    look: Look
    rows: int
    missing_fraction: float
    tokens: frozenset[str]
    distinct: int
    numbers: np.ndarray
    separator: str | None = None
    stray: str | None = None
    absent: str | None = None

    @property
    def is_binary(self) -> bool:
        """Whether there are both 0 and 1, nothing else, and no gap."""
        return self.missing_fraction == 0 and self.distinct == 2 and bool(np.isin(self.numbers, (0, 1)).all())

    @property
    def rises(self) -> bool:
        """Whether no number is below the one before it."""
        return bool((np.diff(self.numbers) >= 0).all()) if len(self.numbers) else False

    @property
    def heavy_tailed(self) -> bool:
        """Numbers of 0 or more whose largest percent is far from the middle."""
        if not len(self.numbers) or self.numbers.min() < 0:
            return False
        middle, high = np.quantile(self.numbers, (0.5, 0.99))
        return bool(high > 10 * max(middle, 0.1))

    @property
    def one_each(self) -> bool:
        """Whether every row has a value of its own."""
        return self.rows >= 50 and self.missing_fraction == 0 and self.distinct == self.rows


def profile(name: str, column: pa.ChunkedArray) -> ColumnProfile:
    """Look at some rows of a raw column."""
    raw = one_array(column)
    if pa.types.is_dictionary(raw.type):
        raw = raw.dictionary_decode()
    if pa.types.is_list(raw.type) or pa.types.is_large_list(raw.type):
        return _of_lists(name, raw)
    if pa.types.is_nested(raw.type):
        return _made(name, "other", raw.null_count, len(raw), frozenset(), 0)
    if pa.types.is_temporal(raw.type):
        return _of_times(name, raw)
    return _of_values(name, raw)


def _of_values(name: str, raw: pa.Array) -> ColumnProfile:
    got = values.numbers(raw)
    odd = got.wrong | (~got.missing & ~np.isfinite(got.values))
    words = list(dict.fromkeys(_word(raw[int(at)].as_py()) for at in np.flatnonzero(odd)))
    if words and {word.lower() for word in words} <= _ABSENT and not (odd | got.missing).all():
        there = raw.take(pa.array(np.arange(len(raw)), mask=odd))
        return replace(_of_values(name, there), absent=words[0])
    if not got.wrong.any() and np.isfinite(got.values[~got.missing]).all():
        present = got.values[~got.missing]
        texts = frozenset(text for text in values.tokens(raw)[0].dictionary.to_pylist() if text)
        look: Look = "nothing"
        if len(present):
            names = any(_LEADING_ZERO.fullmatch(text) or _LONG.fullmatch(text) for text in texts)  # 007 is not seven
            look = "text" if names else "whole" if _are_whole(present, texts) else "number"
        distinct = len(texts) if look in ("whole", "text") else len(np.unique(present))
        return _made(name, look, int(got.missing.sum()), len(raw), texts, distinct, present)
    tokens, wrong = values.tokens(raw)
    texts = frozenset(text for text in tokens.dictionary.to_pylist() if text)
    missing = sum(text is None or text == "" for text in tokens.to_pylist()) - int(wrong.sum())
    if not texts:
        return _made(name, "other", missing, len(raw), frozenset(), 0)
    if all(_TIME.fullmatch(text) for text in list(texts)[:_PROBED]) and not values.moments_in_time(raw).wrong.any():
        return _of_times(name, raw)
    strays = np.flatnonzero(got.wrong)
    if 0 < len(strays) <= _STRAY * (len(raw) - missing):
        stray = str(tokens[int(strays[0])].as_py())
        return _made(name, "text", missing, len(raw), texts, len(texts), stray=stray)
    separator = separator_of(list(texts)[: 10 * _PROBED])
    if separator is None:
        return _made(name, "text", missing, len(raw), texts, len(texts))
    elements = frozenset(element for text in texts for element in text.split(separator) if element)
    return _made(name, "list", missing, len(raw), elements, len(texts), separator=separator)


def _word(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _are_whole(present: np.ndarray, texts: frozenset[str]) -> bool:
    """Whole numbers, and not amounts such as 12.00 of which few happen to have a fraction."""
    if not (np.floor(present) == present).all() or np.abs(present).max() >= 2.0**53:
        return False
    return len(texts) <= _FEW or not any("." in text for text in texts)


def _of_times(name: str, raw: pa.Array) -> ColumnProfile:
    got = values.moments_in_time(raw)
    present = got.values[~got.missing & ~got.wrong].astype(np.float64)
    look: Look = "other" if got.wrong.any() else "time" if len(present) else "nothing"
    return _made(name, look, int(got.missing.sum()), len(raw), frozenset(), len(np.unique(present)), present)


def _of_lists(name: str, raw: pa.Array) -> ColumnProfile:
    inner = pc.list_flatten(raw)
    if pa.types.is_nested(inner.type) or pa.types.is_temporal(inner.type):
        return _made(name, "other", raw.null_count, len(raw), frozenset(), 0)
    tokens, wrong = values.tokens(inner)
    texts = frozenset(text for text in tokens.dictionary.to_pylist() if text)
    lengths = pc.fill_null(pc.list_value_length(raw), 0).to_numpy(zero_copy_only=False)
    look: Look = "other" if wrong.any() else "list" if texts else "nothing"
    return _made(name, look, int((lengths == 0).sum()), len(raw), texts, len(texts))


def _made(
    name: str, look: Look, missing: int, rows: int, tokens: frozenset[str], distinct: int,
    numbers: np.ndarray | None = None, **more: Any,
) -> ColumnProfile:  # fmt: skip
    return ColumnProfile(
        name=name, look=look, rows=rows, missing_fraction=missing / rows if rows else 0.0, tokens=tokens,
        distinct=distinct, numbers=np.zeros(0) if numbers is None else numbers, **more,
    )  # fmt: skip
