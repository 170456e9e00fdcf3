"""What a practitioner would want to know about a log before training on it: one function per suspicion."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pocketrec.data.check.column import ColumnCheck
from pocketrec.data.check.sample import CheckSample
from pocketrec.spec.schema import Field, Schema

__all__ = ["LEAK_AUC", "Finding", "separator_of", "suspicions", "threshold_of"]

LEAK_AUC = 0.95
_HUGE = 1_000_000
_LEAST_ROWS = 100
_REPEATED = 0.001  # rows of few columns are equal by chance now and then
_NUMBER = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?|[+-]?\d+\.\d*")
_SEPARATORS = ("|", ";", ",", "^", "\t", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that may be wrong with a column, or with the whole log.

    Attributes:
        kind: a word for programs: leak, constant, row_id, no_values, number_as_text, number_as_token, label_values,
            one_class, time_order, list, huge_vocabulary, repeated_rows.
        column: its name; None for the whole log.
        text: what was seen, a sentence.
        next_step: what to do, a sentence.
    """

    kind: str
    column: str | None
    text: str
    next_step: str


def suspicions(
    schema: Schema, columns: Mapping[str, ColumnCheck], sample: CheckSample, *, rows: int, time_rises: bool
) -> tuple[Finding, ...]:
    """Everything suspicious, in the order of the columns.

    Args:
        schema: of the log.
        columns: what was found in all rows.
        sample: the first rows.
        rows: how many good rows there were.
        time_rises: whether no row is older than the one before it.
    """
    found: list[Finding] = [*_labels(schema, columns, sample, rows)]
    for field in schema.fields:
        found += _column(schema, field, columns[field.name], sample, rows)
    if not time_rises and schema.time is not None:
        found.append(Finding(
            kind="time_order", column=schema.time.name, text="Rows are not in order of time.",
            next_step="A split by time sorts them by this column first, rows of equal time as in the file.",
        ))  # fmt: skip
    if (repeated := sample.repeated_rows()) > _REPEATED * sample.rows:
        share = f"{repeated:,} of the first {sample.rows:,} rows ({repeated / sample.rows:.1%})"
        found.append(Finding(
            kind="repeated_rows", column=None, text=f"{share} are equal to an earlier one.",
            next_step="If they are copies, remove them: a copy in train and test flatters the test.",
        ))  # fmt: skip
    return tuple(found)


def _labels(schema: Schema, columns: Mapping[str, ColumnCheck], sample: CheckSample, rows: int) -> Iterator[Finding]:
    label = schema.label
    if label is None:
        return
    met = sample.label_values()
    if label.threshold is None and len(met) and not np.isin(met, (0, 1)).all():
        some = ", ".join(f"{v:g}" for v in met[:6]) + (", ..." if len(met) > 6 else "")
        yield Finding(
            kind="label_values", column=label.name, text=f"The label holds other numbers than 0 and 1: {some}.",
            next_step=f"Give it a threshold, for example threshold: {threshold_of(met):g} (1 from there on, 0 below).",
        )  # fmt: skip
    elif rows and (mean := columns[label.name].mean) in (0.0, 1.0):
        yield Finding(
            kind="one_class", column=label.name, text=f"Every label is {mean:g}.",
            next_step="Nothing can be learned from one class: take other files"
            + ("." if label.threshold is None else ", or another threshold."),
        )  # fmt: skip


def _column(schema: Schema, field: Field, found: ColumnCheck, sample: CheckSample, rows: int) -> Iterator[Finding]:
    if rows and found.missing_fraction == 1.0:
        yield Finding(
            kind="no_values", column=field.name, text="Every value is missing.", next_step="Leave the column out."
        )
        return
    if field.kind == "categorical":
        yield from _tokens(field, found, sample, rows)
    same_number = field.kind == "dense" and found.low is not None and found.low == found.high
    if rows > 1 and found.missing_fraction == 0.0 and (same_number or (found.distinct == 1 and not field.many)):
        yield Finding(
            kind="constant", column=field.name, text="Every row has the same value.",
            next_step="It tells nothing: leave the column out.",
        )  # fmt: skip
    kind = sample.type(field.name)
    if field.kind == "dense" and kind is not None and _is_text_in_typed_file(kind, schema):
        yield Finding(
            kind="number_as_text", column=field.name, text="Numbers are stored as text.",
            next_step="They are read right; a column of numbers is smaller and faster to read.",
        )  # fmt: skip
    if schema.label is not None and field.kind in ("dense", "categorical"):
        area = sample.label_auc(field.name)
        if area is not None and area > LEAK_AUC:
            yield Finding(
                kind="leak", column=field.name,
                text=f"This column alone tells the label with an AUC of {area:.3f} (first {sample.rows:,} rows).",
                next_step="If it is only known after the click, leave it out; else expect it to decide everything.",
            )  # fmt: skip


def _tokens(field: Field, found: ColumnCheck, sample: CheckSample, rows: int) -> Iterator[Finding]:
    assert found.distinct is not None
    present = round(rows * (1 - found.missing_fraction))
    of_its_own = 0.99 * present if found.distinct_error_fraction else present
    if not field.many and present >= _LEAST_ROWS and found.distinct >= of_its_own:
        yield Finding(
            kind="row_id", column=field.name, text="Nearly every row has a value of its own, as a row number has.",
            next_step="Leave the column out, or, if new values must be learned, make it ids: hash63.",
        )  # fmt: skip
    elif found.distinct >= _HUGE and field.ids == "rank":
        yield Finding(
            kind="huge_vocabulary", column=field.name,
            text=f"{found.distinct:,} distinct tokens: their vocabulary takes {12 * found.distinct:,} bytes, where a "
            "method tells them all apart.",
            next_step="ids: hash63 needs no vocabulary (budgets are then absolute, such as 64MiB).",
        )  # fmt: skip
    texts = sample.texts(field.name)
    if texts and not field.many and field.ids != "plain" and all(map(_NUMBER.fullmatch, texts)):
        yield Finding(
            kind="number_as_token", column=field.name, text=f"The tokens are fractional numbers, such as {texts[0]}.",
            next_step="Make it kind: dense, unless they are names.",
        )  # fmt: skip
    separator = None if field.many or field.ids == "plain" else separator_of(texts)
    if separator is not None:
        yield Finding(
            kind="list", column=field.name, text=f"The tokens look like lists, such as {texts[0][:60]!r}.",
            next_step=f"Make it many: true with separator: {separator!r}.",
        )  # fmt: skip


def separator_of(texts: list[str]) -> str | None:
    """What stands between the elements, where texts look like lists: most have several elements, which recur.

    >>> separator_of(["Comedy|Drama", "Drama", "Action|Comedy|War", "War|Drama"])
    '|'
    >>> separator_of(["2014-10-21 00:00", "2014-10-21 01:00"]) is None
    True
    """
    distinct = set(texts)
    if len(distinct) < 3:
        return None
    for separator in _SEPARATORS:
        parts = [text.split(separator) for text in distinct]
        lengths = {len(p) for p in parts}
        elements = {element for p in parts for element in p}
        several = sum(len(p) > 1 for p in parts) / len(parts)
        # Words of a sentence are not elements: a blank must separate in lists of many lengths, nearly everywhere.
        wanted = (several >= 0.9 and len(lengths) >= 3) if separator == " " else several >= 0.3
        recur = len(elements) < 0.7 * sum(map(len, parts)) and len(elements) <= 2 * len(distinct)
        if wanted and recur and len(lengths) > 1:
            return separator
    return None


def threshold_of(met: np.ndarray) -> float:
    """Where to cut numbers into 0 and 1, for a start.

    Args:
        met: rising distinct numbers.

    >>> threshold_of(np.array([1.0, 2, 3, 4, 5]))
    4.0
    """
    at = met[min(len(met) - 1, (3 * len(met)) // 5)] if len(met) <= 20 else np.median(met)
    return float(at)


def _is_text_in_typed_file(kind: pa.DataType, schema: Schema) -> bool:
    return schema.format == "parquet" and (pa.types.is_string(kind) or pa.types.is_large_string(kind))
