"""Turn one raw column (text, bytes, numbers, dictionaries) into numbers or tokens, and say what would not turn."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Bags", "Values", "bags", "integers", "moments_in_time", "numbers", "tokens"]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d+")
_VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """A column of numbers.

    Attributes:
        values: float64 or int64 [n]; without meaning where missing or wrong.
        missing: bool [n], null or the empty text.
        wrong: bool [n], values of the wrong form.
    """

    values: np.ndarray
    missing: np.ndarray
    wrong: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Bags:
    """A column of bags.

    Attributes:
        tokens: the raw tokens of all bags, one after the other, [values]; none is null or the empty text.
        lengths: int64 [n], how many of them each row has.
        wrong: bool [n], rows that no bag can be made of; they have none.
    """

    tokens: pa.Array
    lengths: np.ndarray
    wrong: np.ndarray


def bags(raw: pa.Array, separator: str, most: int | None) -> Bags:
    """Any number of tokens per row: lists, or texts with separators; anything else is a bag of one.

    Args:
        raw: lists of any kind, text, bytes, numbers. A null and an empty text are an empty bag.
        separator: stands between the tokens of a text; those of a list are taken as they are.
        most: of longer bags so many tokens are left, the first; None: all. Empty tokens do not count.
    """
    raw = _flat(raw)
    wrong = np.zeros(len(raw), dtype=bool)
    if _is_text(raw.type):
        text, wrong = _text(raw)
        raw = pc.split_pattern(text, separator)
    tokens, lengths = raw, np.ones(len(raw), dtype=np.int64)
    if _is_list(raw.type):
        tokens = _flat(raw.flatten())
        lengths = pc.fill_null(pc.list_value_length(raw), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    kept = np.flatnonzero(~_empty(tokens))
    rows = np.repeat(np.arange(len(raw)), lengths)[kept]
    lengths = np.bincount(rows, minlength=len(raw))
    if most is not None:
        kept = kept[np.arange(len(kept)) - np.repeat(np.cumsum(lengths) - lengths, lengths) < most]
        lengths = np.minimum(lengths, most)
    left = tokens if len(kept) == len(tokens) else tokens.take(pa.array(kept))
    return Bags(tokens=left, lengths=lengths, wrong=wrong)


def numbers(raw: pa.Array) -> Values:
    """As float64; NaN and infinities are numbers here."""
    raw = _flat(raw)
    if _is_text(raw.type):
        return _parsed(raw, pa.float64(), lambda text: float(text) if _NUMBER.fullmatch(text) else None)
    if pa.types.is_null(raw.type):
        return _all_missing(len(raw), np.float64)
    if pa.types.is_boolean(raw.type):
        raw = raw.cast(pa.uint8())
    if not (pa.types.is_integer(raw.type) or pa.types.is_floating(raw.type) or pa.types.is_decimal(raw.type)):
        return _all_wrong(len(raw), np.float64)
    return _typed(raw.cast(pa.float64(), safe=False))


def integers(raw: pa.Array) -> Values:
    """As int64, exactly: never through floats, except from a column of floats that are whole numbers."""
    raw = _flat(raw)
    if _is_text(raw.type):
        return _parsed(raw, pa.int64(), _integer)
    if pa.types.is_null(raw.type):
        return _all_missing(len(raw), np.int64)
    if pa.types.is_integer(raw.type):
        return _typed(raw.cast(pa.int64(), safe=False))  # uint64 above 2^63 turns negative, which no id may be
    if not pa.types.is_floating(raw.type):
        return _all_wrong(len(raw), np.int64)
    got = _typed(raw.cast(pa.float64()))
    whole = (np.floor(got.values) == got.values) & (np.abs(got.values) < 2.0**53)
    return Values(
        values=np.where(whole, got.values, 0).astype(np.int64), missing=got.missing, wrong=~whole & ~got.missing
    )


def moments_in_time(raw: pa.Array) -> Values:
    """ISO 8601 texts, dates and timestamps as int64 microseconds since 1970."""
    raw = _flat(raw)
    micro = pa.timestamp("us")
    if _is_text(raw.type):
        return _parsed(raw, micro, _micros)
    if pa.types.is_timestamp(raw.type) or pa.types.is_date(raw.type):
        return _typed(raw.cast(micro, safe=False).cast(pa.int64()))
    return _all_wrong(len(raw), np.int64)


def tokens(raw: pa.Array) -> tuple[pa.DictionaryArray, np.ndarray]:
    """As a dictionary of strings in order of first appearance; null and "" are the missing token "".

    Whole numbers become their decimal text, also when they come as floats (a frame with gaps holds 55 as
    55.0, a file holds it as 55).

    Returns:
        The tokens, with "" for wrong ones, and bool [n] of the wrong: broken UTF-8, fractions, nested values.
    """
    raw = _flat(raw)
    wrong = np.zeros(len(raw), dtype=bool)
    if _is_text(raw.type):
        text, wrong = _text(raw)
    elif pa.types.is_null(raw.type):
        text = pa.nulls(len(raw), pa.string())
    elif pa.types.is_integer(raw.type) or pa.types.is_boolean(raw.type):
        text = raw.cast(pa.string())
    elif pa.types.is_floating(raw.type):
        got = integers(raw)
        wrong = got.wrong
        text = pa.array(got.values, mask=got.missing | wrong).cast(pa.string())
    else:
        text, wrong = pa.nulls(len(raw), pa.string()), np.ones(len(raw), dtype=bool)
    return pc.fill_null(text, "").dictionary_encode(), wrong


def _flat(raw: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(raw.type):
        raw = raw.dictionary_decode()
    if raw.type in _VIEWS:  # pyarrow takes no elements out of them yet
        raw = raw.cast(_VIEWS[raw.type])
    if pa.types.is_floating(raw.type) and raw.type != pa.float64():
        raw = raw.cast(pa.float64())
    return raw


def _empty(raw: pa.Array) -> np.ndarray:
    """bool [n]: null, or the empty text."""
    there = raw.is_valid()
    if _is_text(raw.type):
        there = pc.fill_null(pc.greater(pc.binary_length(raw), 0), False)
    empty: np.ndarray = ~there.to_numpy(zero_copy_only=False)
    return empty


def _is_list(kind: pa.DataType) -> bool:
    t = pa.types
    lists = (t.is_list, t.is_large_list, t.is_fixed_size_list, t.is_list_view, t.is_large_list_view)
    return any(is_kind(kind) for is_kind in lists)


def _is_text(kind: pa.DataType) -> bool:
    t = pa.types
    return any(
        is_kind(kind)
        for is_kind in (
            t.is_string,
            t.is_large_string,
            t.is_string_view,
            t.is_binary,
            t.is_large_binary,
            t.is_binary_view,
        )
    )


def _text(raw: pa.Array) -> tuple[pa.StringArray, np.ndarray]:
    """As strings, with null for broken UTF-8, and where that was."""
    fine = np.zeros(len(raw), dtype=bool)
    try:
        return raw.cast(pa.string()), fine
    except pa.ArrowInvalid:
        decoded = [None if value is None else _utf8(value) for value in raw.to_pylist()]
        broken = [now is None and before is not None for now, before in zip(decoded, raw.to_pylist(), strict=True)]
        return pa.array(decoded, pa.string()), np.array(broken)


def _utf8(value: bytes) -> str | None:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _parsed(raw: pa.Array, kind: pa.DataType, one: Callable[[str], float | None]) -> Values:
    """Text to numbers: all at once by pyarrow, and one by one where that fails."""
    text, broken = _text(raw)
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    number = kind if pa.types.is_floating(kind) else pa.int64()
    try:
        # pyarrow would read 0x10 as sixteen.
        if pa.types.is_int64(kind) and pc.any(pc.match_substring(text, "x", ignore_case=True), min_count=0).as_py():
            raise pa.ArrowInvalid("hexadecimal")
        got = _typed(text.cast(kind).cast(number))
        return Values(values=got.values, missing=got.missing & ~broken, wrong=broken)
    except pa.ArrowInvalid:
        parsed = [None if value is None else one(value) for value in text.to_pylist()]
        missing = text.is_null().to_numpy(zero_copy_only=False) & ~broken
        got = _typed(pa.array(parsed, number))
        return Values(values=got.values, missing=missing, wrong=got.missing & ~missing)


def _integer(text: str) -> int | None:
    value = int(text) if _INTEGER.fullmatch(text) and len(text) < 25 else None
    return value if value is not None and -(2**63) <= value < 2**63 else None


def _micros(text: str) -> int | None:
    try:
        return pa.scalar(text).cast(pa.timestamp("us")).cast(pa.int64()).as_py()  # type: ignore[no-any-return]
    except pa.ArrowInvalid:
        return None


def _typed(array: pa.Array) -> Values:
    """An array of int64 or float64 with nulls."""
    missing = array.is_null().to_numpy(zero_copy_only=False)
    filled = pc.fill_null(array, 0 if pa.types.is_integer(array.type) else math.nan)
    return Values(values=filled.to_numpy(zero_copy_only=False), missing=missing, wrong=np.zeros(len(array), dtype=bool))


def _all_missing(n: int, dtype: type) -> Values:
    return Values(values=np.zeros(n, dtype), missing=np.ones(n, dtype=bool), wrong=np.zeros(n, dtype=bool))


def _all_wrong(n: int, dtype: type) -> Values:
    return Values(values=np.zeros(n, dtype), missing=np.zeros(n, dtype=bool), wrong=np.ones(n, dtype=bool))
