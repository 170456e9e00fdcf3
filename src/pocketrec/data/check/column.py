"""What one column of a log holds, gathered block by block in bounded memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from pocketrec.data.check.sketch import KEPT_TOKENS, TokenSketch
from pocketrec.data.columns import Columns
from pocketrec.data.dense import Moments
from pocketrec.spec.schema import Field

__all__ = ["ColumnCheck", "Gatherer", "token_counts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCheck:
    """One column in a few numbers; None where a number does not apply to its kind.

    Attributes:
        name: of the column.
        kind: of the field, as in the schema.
        ids: of categorical fields.
        missing_fraction: share of rows without a value (an empty bag is one), 0..1.
        distinct: different tokens, the missing one not counted.
        distinct_error_fraction: relative standard error of `distinct`, 0 where it was counted exactly.
        top_fraction: share of the most frequent token among all that are there.
        top_ten_fraction: share of the ten most frequent ones.
        singleton_fraction: share of the distinct tokens that occur once.
        values_low: shortest bag, in tokens; of bags that are not empty, as are the next two.
        values_mean: mean length of a bag.
        values_high: longest bag.
        low: lowest number (time in microseconds since 1970 where the clock is iso8601).
        mean: of numbers; the share of positives for a label.
        std: standard deviation of numbers.
        high: highest number.
    """

    name: str
    kind: str
    ids: str | None = None
    missing_fraction: float = 0.0
    distinct: int | None = None
    distinct_error_fraction: float | None = None
    top_fraction: float | None = None
    top_ten_fraction: float | None = None
    singleton_fraction: float | None = None
    values_low: int | None = None
    values_mean: float | None = None
    values_high: int | None = None
    low: float | int | None = None
    mean: float | None = None
    std: float | None = None
    high: float | int | None = None


@final
class Gatherer:
    """Takes the checked rows of one field.

    Args:
        field: of the schema.
        keep: tokens that are told apart exactly.
    """

    def __init__(self, field: Field, keep: int = KEPT_TOKENS) -> None:
        self.field, self.tokens = field, TokenSketch(keep)
        self._rows = self._missing = 0
        self._moments = Moments()
        self._edges: list[Any] = []
        self._lengths = (0, 0, 0, 0)  # bags that are not empty, their tokens, shortest, longest

    def take(self, columns: Columns) -> None:
        """The next rows."""
        self._rows += columns.n
        if self.field.kind == "categorical":
            self._take_tokens(columns)
            return
        numbers = _numbers(columns, self.field)
        present = numbers[~np.isnan(numbers)] if self.field.kind == "dense" else numbers
        self._missing += columns.n - len(present)
        if len(present):
            self._edges += [present.min().item(), present.max().item()]
            self._edges = [min(self._edges), max(self._edges)]
        if self.field.kind != "time":
            self._moments = self._moments.merge(Moments.of(present))

    def _take_tokens(self, columns: Columns) -> None:
        hashes, counts, missing, lengths = token_counts(columns, self.field)
        self.tokens.add(hashes, counts)
        self._missing += missing
        if lengths is not None and (filled := lengths[lengths > 0]).size:
            bags, values, low, high = self._lengths
            low = min(low or int(filled.min()), int(filled.min()))
            self._lengths = bags + len(filled), values + int(filled.sum()), low, max(high, int(filled.max()))

    def found(self) -> ColumnCheck:
        """All rows so far."""
        about: dict[str, Any] = {"name": self.field.name, "kind": self.field.kind}
        about["missing_fraction"] = self._missing / self._rows if self._rows else 0.0
        if self.field.kind == "categorical":
            about |= self._found_tokens()
        elif self._edges:
            about |= {"low": self._edges[0], "high": self._edges[1]}
            if self.field.kind != "time":
                spread = math.sqrt(self._moments.m2 / self._moments.count)
                about |= {"mean": self._moments.mean, "std": spread}
        return ColumnCheck(**about)

    def _found_tokens(self) -> dict[str, Any]:
        t = self.tokens
        about: dict[str, Any] = {
            "ids": self.field.ids, "distinct": t.distinct, "distinct_error_fraction": t.error_fraction,
            "top_fraction": t.top_fraction(1), "top_ten_fraction": t.top_fraction(10),
            "singleton_fraction": t.singleton_fraction,
        }  # fmt: skip
        bags, values, low, high = self._lengths
        if bags:
            about |= {"values_low": low, "values_mean": values / bags, "values_high": high}
        return about


def token_counts(columns: Columns, field: Field) -> tuple[np.ndarray, np.ndarray, int, np.ndarray | None]:
    """The tokens of a categorical field that are there.

    Returns:
        int64 [m] what tells tokens apart; int64 [m] how often each occurs; how many rows have none; and int64 [n] the
        lengths of the bags, None where a row holds one token.
    """
    lengths = columns.lengths.get(field.name)
    absent = 0 if lengths is None else int((lengths == 0).sum())
    if field.ids == "plain":
        ids, counts = np.unique(columns.plain[field.name], return_counts=True)
        return ids, counts, absent, lengths
    met = columns.tokens[field.name]
    counts = np.bincount(met.codes, minlength=len(met.hashes)).astype(np.int64)
    if met.missing >= 0:
        absent, counts[met.missing] = int(counts[met.missing]), 0
    return met.hashes, counts, absent, lengths


def _numbers(columns: Columns, field: Field) -> np.ndarray:
    if field.kind == "dense":
        return columns.dense[field.name]
    found = {"label": columns.label, "weight": columns.weight, "time": columns.time}[field.kind]
    assert found is not None
    return found
