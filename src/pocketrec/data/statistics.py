"""Statistics of training rows: counted per block or shard, merged exactly, summarised for people.

What is counted (:class:`Statistics`) holds one number per distinct token and merges; what is printed and saved
(:class:`Summary`) is a few numbers per field.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pocketrec.data.columns import Columns
from pocketrec.data.dense import Moments, fixed_steps
from pocketrec.native.hash63 import hash_tokens
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Schema
from pocketrec.spec.stats import TableStats

__all__ = [
    "MISSING_HASH",
    "DenseCounts",
    "DenseSummary",
    "Statistics",
    "Summary",
    "TableSummary",
    "TokenCounts",
    "stats_of_counts",
]

MISSING_HASH = int(hash_tokens(pa.array([""]))[0])
"""hash63 of the missing token."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenCounts:
    """How often each token of a table occurs.

    Attributes:
        tokens: int64 [n] hash63 (or the plain ids), rising.
        counts: int64 [n], above 0.
    """

    tokens: np.ndarray
    counts: np.ndarray

    @staticmethod
    def of(tokens: np.ndarray, counts: np.ndarray) -> TokenCounts:
        """From tokens in any order, the same one perhaps several times; counts of 0 are left out."""
        distinct, where = np.unique(tokens[counts > 0], return_inverse=True)
        sums = np.zeros(len(distinct), dtype=np.int64)
        np.add.at(sums, where, counts[counts > 0])
        return TokenCounts(tokens=distinct.astype(np.int64, copy=False), counts=sums)

    def merge(self, other: TokenCounts) -> TokenCounts:
        """Of both heaps of rows together."""
        return TokenCounts.of(np.concatenate([self.tokens, other.tokens]), np.concatenate([self.counts, other.counts]))

    @property
    def missing(self) -> int:
        """Occurrences of the missing token."""
        at = int(np.searchsorted(self.tokens, MISSING_HASH))
        return int(self.counts[at]) if at < len(self.tokens) and self.tokens[at] == MISSING_HASH else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseCounts:
    """Numbers of one dense field after its fixed steps (fill, clip, log1p), before standardising.

    Attributes:
        present: moments of the numbers that are there.
        missing: how many are not.
    """

    present: Moments = field(default_factory=Moments)
    missing: int = 0

    def merge(self, other: DenseCounts) -> DenseCounts:
        """Of both heaps of rows together."""
        return DenseCounts(present=self.present.merge(other.present), missing=self.missing + other.missing)

    def to_json(self) -> dict[str, float]:
        """Plain JSON values; :meth:`from_json` gives an equal value back."""
        numbers = asdict(self.present) if self.present.count else {}
        return {**numbers, "missing": self.missing}

    @staticmethod
    def from_json(data: Mapping[str, float]) -> DenseCounts:
        """The inverse of :meth:`to_json`."""
        numbers = {name: value for name, value in data.items() if name != "missing"}
        return DenseCounts(present=Moments(**numbers), missing=int(data["missing"]))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Statistics:
    """Everything that is counted about some rows.

    Attributes:
        rows: how many.
        positives: rows with label 1, None without labels.
        tables: per table, in the order of the schema.
        dense: per dense field, in the order of the schema.
    """

    rows: int
    positives: int | None
    tables: Mapping[str, TokenCounts]
    dense: Mapping[str, DenseCounts]

    @staticmethod
    def of(columns: Columns, schema: Schema) -> Statistics:
        """Of some checked rows."""
        tables: dict[str, TokenCounts] = {}
        for f in schema.categorical:
            if f.ids == "plain":
                tokens, counts = np.unique(columns.plain[f.name], return_counts=True)
            else:
                met = columns.tokens[f.name]
                tokens, counts = met.hashes, np.bincount(met.codes, minlength=len(met.hashes))
            mine = TokenCounts.of(tokens, counts)
            tables[f.table_name] = tables[f.table_name].merge(mine) if f.table_name in tables else mine
        dense = {}
        for f in schema.dense:
            absent = np.isnan(columns.dense[f.name])
            present = fixed_steps(columns.dense[f.name][~absent], f.transform)
            dense[f.name] = DenseCounts(present=Moments.of(present), missing=int(absent.sum()))
        positives = None if columns.label is None else int(columns.label.sum(dtype=np.float64))
        return Statistics(rows=columns.n, positives=positives, tables=tables, dense=dense)

    def merge(self, other: Statistics) -> Statistics:
        """Of both heaps of rows together; they must have the same fields."""
        if list(self.tables) != list(other.tables) or list(self.dense) != list(other.dense):
            raise OptionError("Statistics of different fields cannot be merged.")
        known = self.positives is not None and other.positives is not None
        return Statistics(
            rows=self.rows + other.rows,
            positives=(self.positives or 0) + (other.positives or 0) if known else None,
            tables={name: counts.merge(other.tables[name]) for name, counts in self.tables.items()},
            dense={name: counts.merge(other.dense[name]) for name, counts in self.dense.items()},
        )

    def table_stats(self) -> dict[str, TableStats]:
        """Per table, the histogram of counts that methods are sized with."""
        return {name: stats_of_counts(name, t.counts, t.missing) for name, t in self.tables.items()}

    def summary(self) -> Summary:
        """The few numbers per field that people look at."""
        stats = self.table_stats()
        return Summary(
            rows=self.rows,
            positives=self.positives,
            tables=tuple(TableSummary.of(stats[name]) for name in self.tables),
            dense=tuple(DenseSummary.of(name, counts, self.rows) for name, counts in self.dense.items()),
        )


def stats_of_counts(name: str, counts: np.ndarray, missing: int) -> TableStats:
    """The histogram of int64 [ids] counts, zeros left out."""
    values, ids = np.unique(counts[counts > 0], return_counts=True)
    pairs = zip(values[::-1].tolist(), ids[::-1].tolist(), strict=True)
    return TableStats(table=name, histogram=tuple(pairs), missing=missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSummary:
    """One table in a few numbers; shares are of its occurrences in these rows, 0..1.

    Attributes:
        name: of the table.
        distinct: different tokens, the missing one among them if it occurs.
        occurrences: of all tokens.
        singleton_fraction: share of the distinct tokens that occur once.
        top_fraction: share of the most frequent token.
        top_percent_fraction: share of the most frequent 1 % of the tokens (at least one).
        zipf_slope: exponent of Zipf's law fitted to the counts; None where there are too few different counts.
        missing_fraction: share of the missing token.
    """

    name: str
    distinct: int
    occurrences: int
    singleton_fraction: float
    top_fraction: float
    top_percent_fraction: float
    zipf_slope: float | None
    missing_fraction: float

    @staticmethod
    def of(stats: TableStats) -> TableSummary:
        """From a histogram of counts."""
        slope = stats.zipf_slope()
        return TableSummary(
            name=stats.table,
            distinct=stats.ids,
            occurrences=stats.occurrences,
            singleton_fraction=stats.singleton_fraction,
            top_fraction=stats.top_fraction(1),
            top_percent_fraction=stats.top_fraction(max(1, stats.ids // 100)),
            zipf_slope=None if math.isnan(slope) else slope,
            missing_fraction=stats.missing_fraction,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseSummary:
    """One dense field in a few numbers, after fill, clip and log1p, over the numbers that are there.

    Attributes:
        name: of the field.
        missing_fraction: share of the rows without a number, 0..1.
        mean: None where all are missing, as are the others.
        std: standard deviation.
        low: the lowest.
        high: the highest.
    """

    name: str
    missing_fraction: float
    mean: float | None
    std: float | None
    low: float | None
    high: float | None

    @staticmethod
    def of(name: str, counts: DenseCounts, rows: int) -> DenseSummary:
        """From what was counted in so many rows."""
        m, share = counts.present, counts.missing / rows if rows else 0.0
        if not m.count:
            return DenseSummary(name=name, missing_fraction=share, mean=None, std=None, low=None, high=None)
        return DenseSummary(name=name, missing_fraction=share, mean=m.mean, std=m.std, low=m.low, high=m.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is saved and printed about some rows.

    Attributes:
        rows: how many.
        positives: rows with label 1, None without labels.
        tables: one per table.
        dense: one per dense field.
    """

    rows: int
    positives: int | None
    tables: tuple[TableSummary, ...]
    dense: tuple[DenseSummary, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_json` gives an equal summary back."""
        return {**asdict(self), "tables": [asdict(t) for t in self.tables], "dense": [asdict(d) for d in self.dense]}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Summary:
        """The inverse of :meth:`to_json`.

        Raises:
            OptionError: for missing or unknown keys.
        """
        try:
            return Summary(
                rows=data["rows"],
                positives=data["positives"],
                tables=tuple(TableSummary(**t) for t in data["tables"]),
                dense=tuple(DenseSummary(**d) for d in data["dense"]),
            )
        except (KeyError, TypeError) as wrong:
            raise OptionError(f"This is not a summary of statistics: {wrong!r}.") from wrong

    def __str__(self) -> str:
        share = "" if self.positives is None or not self.rows else f", {self.positives / self.rows:.2%} positive"
        lines = [f"{self.rows:,} training rows{share}"]
        if self.tables:
            lines += [
                "",
                f"{'table':<16}{'distinct':>12}{'once':>8}{'top 1':>8}{'top 1 %':>9}{'Zipf':>7}{'missing':>9}",
            ]
        for t in self.tables:
            slope = "-" if t.zipf_slope is None else f"{t.zipf_slope:.2f}"
            lines.append(
                f"{t.name:<16}{t.distinct:>12,}{t.singleton_fraction:>8.1%}{t.top_fraction:>8.1%}"
                f"{t.top_percent_fraction:>9.1%}{slope:>7}{t.missing_fraction:>9.1%}"
            )
        if self.dense:
            lines += ["", f"{'dense':<16}{'mean':>12}{'std':>12}{'low':>12}{'high':>12}{'missing':>9}"]
        for d in self.dense:
            numbers = "".join(f"{'-' if x is None else format(x, '.4g'):>12}" for x in (d.mean, d.std, d.low, d.high))
            lines.append(f"{d.name:<16}{numbers}{d.missing_fraction:>9.1%}")
        return "\n".join(lines)
