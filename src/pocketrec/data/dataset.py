"""Dataset: an encoded cache, opened. Statistics, table specs, encoders and batches come from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from pocketrec.data.batches import Batch, Order, Stored, StoredBags, batches, order_of
from pocketrec.data.cache import CacheFiles
from pocketrec.data.encoder import Encoder
from pocketrec.data.id_spaces import resolve_spaces
from pocketrec.data.split import PARTS, Part, Through, parts_through
from pocketrec.data.statistics import (
    MISSING_HASH,
    DenseCounts,
    DenseSummary,
    Statistics,
    Summary,
    TableSummary,
    TokenCounts,
    stats_of_counts,
)
from pocketrec.data.vocabulary import Vocabulary
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Field
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec, WantedIds

__all__ = ["Dataset"]


class Dataset:
    """Encoded rows on disk. Opening one reads a page of JSON; rows are mapped and read as batches ask for them.

    Args:
        path: the folder of one cache, as :func:`pocketrec.data.prepare.prepare` made it.

    Attributes:
        path: that folder.
        schema: of the raw files.
        split: how rows were divided.
        parts: rows of train, validation and test.
        rows: their sum.
        left_out_rows: good rows of no part.
        skipped_rows: rows and files that could not be read, by column and reason.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._files = CacheFiles(self.path)
        self._about = self._files.about()
        self.schema, self.split = self._about.schema, self._about.split
        self.parts: dict[Part, int] = dict(zip(PARTS, self._about.part_rows, strict=True))
        self.rows = sum(self._about.part_rows)
        self.left_out_rows = self._about.left_out
        self.skipped_rows: dict[str, int] = dict(self._about.skipped)

    @staticmethod
    def open(path: str | Path) -> Dataset:
        """An existing cache.

        Raises:
            BadFile: when it is none, of another version, or damaged.
        """
        dataset = Dataset(path)
        assert dataset._stored is not None  # maps every array, so that a damaged cache is refused here
        return dataset

    def table_specs(self, dim: int, through: Through = "train") -> tuple[TableSpec, ...]:
        """One spec per table, in the order of the schema.

        Args:
            dim: numbers per vector, 1 or more.
            through: ``train``: a table has one row per token of the training rows, and one for unknown;
                ``validation``: validation rows count as training rows.
        """
        part = len(parts_through(through)) - 1
        rows = self._about.table_rows
        return tuple(
            TableSpec(
                name=f.table_name, rows=None if f.ids == "hash63" else rows[f.table_name][part], dim=dim, ids=f.ids
            )
            for f in self.schema.tables
        )

    def counts(self, table: str, through: Through = "train") -> np.ndarray:
        """int64 [rows of the table]: how often each id occurs in the training rows; index 0 of ranks is unknown: 0.

        For a table of hashes: by the position in :meth:`tokens`.
        """
        t, used = self._table(table), len(parts_through(through))
        counts: np.ndarray = self._counts(t)[:used, : self._about.table_rows[table][used - 1]].sum(axis=0)
        return counts

    def tokens(self, table: str, through: Through = "train") -> np.ndarray:
        """int64 [rows]: hash63 of each token of a table of ranks or hashes, by encoded id; index 0, unknown, is 0."""
        t, used = self._table(table), len(parts_through(through))
        if self.schema.tables[t].ids == "plain":
            raise OptionError(f"Table {table!r} has plain ids and no tokens.")
        return self._all_tokens(t)[: self._about.table_rows[table][used - 1]]

    def statistics(self, through: Through = "train") -> Statistics:
        """What was counted in the training rows; merges with that of other data."""
        rows, positives, dense = self._row_counts(through)
        tables = {f.table_name: self._token_counts(f.table_name, through) for f in self.schema.tables}
        return Statistics(rows=rows, positives=positives, tables=tables, dense=dense)

    def table_stats(self, through: Through = "train") -> dict[str, TableStats]:
        """Per table, the histogram of counts that methods are sized with; one table in memory at a time."""
        return {f.table_name: self._table_stats(f, through) for f in self.schema.tables}

    def summary(self, through: Through = "train") -> Summary:
        """The few numbers per field that people look at: `statistics(through).summary()`, in less memory.

        That of the training rows is also saved in the cache, as `statistics.json`.
        """
        rows, positives, dense = self._row_counts(through)
        return Summary(
            rows=rows,
            positives=positives,
            tables=tuple(TableSummary.of(stats) for stats in self.table_stats(through).values()),
            dense=tuple(DenseSummary.of(name, counts, rows) for name, counts in dense.items()),
        )

    def encoder(self, through: Through = "train") -> Encoder:
        """Encodes raw rows as this cache was encoded; tokens of later parts are unknown to it."""
        vocabularies = {
            f.table_name: Vocabulary.of_tokens(np.array(self.tokens(f.table_name, through)[1:]))
            for f in self.schema.tables
            if f.ids == "rank"
        }
        return Encoder(schema=self.schema, fitted=dict(self._about.fitted), vocabularies=vocabularies)

    def batch_count(self, parts: Sequence[Part], batch_size: int) -> int:
        """Batches per epoch over these parts; the last one may be shorter."""
        first, last = self._span(parts)
        return -(-(last - first) // _checked_size(batch_size))

    def batches(
        self,
        parts: Sequence[Part],
        *,
        batch_size: int,
        order: Order = "time",
        seed: int = 0,
        epoch: int = 0,
        id_spaces: Mapping[str, WantedIds] | None = None,
        start: int = 0,
    ) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            parts: neighbouring parts, such as ("train",) or ("train", "validation").
            batch_size: rows per batch, 1 or more.
            order: ``time``, or ``shuffle`` (see `pocketrec.data.shuffle`).
            seed: of the run, 0 or more.
            epoch: 0 or more.
            id_spaces: per table, in which id space the ids are wanted; what is not named stays as the schema has it.
            start: number of the first batch to give.
        """
        span = self._span(parts)
        return batches(
            self._stored,
            span,
            resolve_spaces(self.schema, id_spaces),
            batch_size=_checked_size(batch_size),
            windows=order_of(order, span[1] - span[0], seed=seed, epoch=epoch),
            start=start,
        )

    def _span(self, parts: Sequence[Part]) -> tuple[int, int]:
        wanted = [part for part in PARTS if part in parts]
        first = PARTS.index(wanted[0]) if wanted else 0
        if not wanted or sorted(wanted) != sorted(parts) or tuple(wanted) != PARTS[first : first + len(wanted)]:
            raise OptionError(
                f"parts must be neighbours among {', '.join(PARTS)}, each once, got {', '.join(parts)!r}."
            )
        ends = np.cumsum([0, *self._about.part_rows])
        return int(ends[first]), int(ends[first + len(wanted)])

    def _table(self, name: str) -> int:
        names = [f.table_name for f in self.schema.tables]
        if name not in names:
            raise OptionError(f"No table called {name!r}. Tables: {', '.join(names)}.")
        return names.index(name)

    def _counts(self, t: int) -> np.ndarray:
        return self._files.map(f"counts-{t}", (len(PARTS), self._about.table_rows[self._name(t)][-1]), np.int64)

    def _all_tokens(self, t: int) -> np.ndarray:
        return self._files.map(f"tokens-{t}", (self._about.table_rows[self._name(t)][-1],), np.int64)

    def _name(self, t: int) -> str:
        return self.schema.tables[t].table_name

    def _row_counts(self, through: Through) -> tuple[int, int | None, dict[str, DenseCounts]]:
        used = len(parts_through(through))
        dense = {f.name: DenseCounts() for f in self.schema.dense}
        for part in self._about.dense[:used]:
            dense = {name: counts.merge(DenseCounts.from_json(part[name])) for name, counts in dense.items()}
        positives = None if self._about.positives is None else sum(self._about.positives[:used])
        return sum(self._about.part_rows[:used]), positives, dense

    def _table_stats(self, field: Field, through: Through) -> TableStats:
        name, counts = field.table_name, self.counts(field.table_name, through)
        missing = 0 if field.ids == "plain" else int(counts[self.tokens(name, through) == MISSING_HASH].sum())
        return stats_of_counts(name, counts, missing)

    def _token_counts(self, table: str, through: Through) -> TokenCounts:
        counts = self.counts(table, through)
        plain = self.schema.tables[self._table(table)].ids == "plain"
        return TokenCounts.of(np.arange(len(counts)) if plain else self.tokens(table, through), counts)

    @cached_property
    def _stored(self) -> Stored:
        n, categorical = self.rows, self.schema.categorical
        ranked = [f.name for f in categorical if f.ids == "rank" and not f.many]
        others = [f.name for f in categorical if f.ids != "rank" and not f.many]
        tokens = {f.table_name: self._all_tokens(t) for t, f in enumerate(self.schema.tables) if f.ids == "rank"}
        for t in range(len(self.schema.tables)):
            self._counts(t)
        return Stored(
            dense=self._files.map("dense", (n, len(self.schema.dense_columns)), np.float32),
            ranks=self._files.map("ranks", (n, len(ranked)), np.int32),
            ids=self._files.map("ids", (n, len(others)), np.int64),
            label=self._files.map("label", (n,), np.float32) if self.schema.label else None,
            weight=self._files.map("weight", (n,), np.float32) if self.schema.weight else None,
            columns=[
                (f.ids == "rank", 0 if f.many else (ranked if f.ids == "rank" else others).index(f.name))
                for f in categorical
            ],
            tokens=[tokens.get(f.table_name) for f in categorical],
            bags=[self._bags(j, f) if f.many else None for j, f in enumerate(categorical)] if self.schema.bags else (),
            mean=[f.many and f.pool == "mean" for f in categorical],
            user=next((j for j, f in enumerate(categorical) if f.name == self.schema.user), None),
        )

    def _bags(self, j: int, field: Field) -> StoredBags:
        offsets = self._files.map(f"offsets-{j}", (self.rows + 1,), np.int64)
        kind = np.int32 if field.ids == "rank" else np.int64
        return StoredBags(values=self._files.map(f"bags-{j}", (int(offsets[-1]),), kind), offsets=offsets)


def _checked_size(batch_size: int) -> int:
    if batch_size < 1:
        raise OptionError(f"batch_size must be 1 or more, got {batch_size}.")
    return batch_size
