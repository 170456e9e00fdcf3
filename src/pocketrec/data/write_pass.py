"""From a finished journal to the cache: count, rank, fit, write every row to its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pocketrec.data.cache import CacheAbout, CacheFiles
from pocketrec.data.dense import Moments
from pocketrec.data.encoder import Encoder, standardise_columns
from pocketrec.data.jagged import places_of
from pocketrec.data.journal import Journal
from pocketrec.data.order import RowOrder
from pocketrec.data.ranking import Ranking, count_ids, rank_by_frequency
from pocketrec.data.read_pass import Progress
from pocketrec.data.split import PARTS, Split
from pocketrec.data.statistics import DenseCounts
from pocketrec.spec.schema import Schema

__all__ = ["WritePass"]


# Rows whose lengths are added up at a time: 8 MB.
_ADDED_ROWS = 1 << 20


class WritePass:
    """Writes a cache. Memory is bounded by a block of rows and the distinct tokens of one table (4 bytes of all).

    Bags take two turns: their lengths say where each begins, then their values go there, whatever the order of rows.

    Args:
        journal: a finished pass.
        files: of an empty folder.
        schema: of the files.
        split: how rows are divided.
        encoder: whose ids and dense numbers are kept, or None.
    """

    def __init__(
        self, journal: Journal, files: CacheFiles, schema: Schema, split: Split, encoder: Encoder | None
    ) -> None:
        self.journal, self.files, self.schema, self.split, self.encoder = journal, files, schema, split, encoder
        self.order = RowOrder(journal, split, timed=schema.time is not None)
        self._rank_of: dict[str, np.ndarray] = {}

    def run(self, skipped: Mapping[str, int], progress: Progress) -> None:
        """Write all files."""
        rows = {}
        for t, table in enumerate(self.schema.tables):
            progress("rank", t, len(self.schema.tables))
            rows[table.table_name] = self._rank(t, table.table_name)
        dense, positives, fits = self._dense_and_labels()
        fitted = dict(self.encoder.fitted) if self.encoder else fits
        self._write_rows(fitted, progress)
        self._write_bags(progress)
        train, validation, test = np.diff([0, *self.order.ends]).tolist()
        self.files.finish(
            CacheAbout(
                schema=self.schema,
                split=self.split,
                part_rows=(train, validation, test),
                left_out=self.order.total - self.order.kept,
                skipped=skipped,
                fitted=fitted,
                table_rows=rows,
                dense=tuple({name: counts.to_json() for name, counts in part.items()} for part in dense),
                positives=positives,
            )
        )

    def _rank(self, t: int, table: str) -> tuple[int, int, int]:
        """Count and rank one table, and save its tokens and counts."""
        fields = [j for j, f in enumerate(self.schema.categorical) if f.table_name == table]
        first = self.schema.categorical[fields[0]]
        if first.ids == "plain":
            assert first.rows is not None
            self.files.save(f"counts-{t}", count_ids(self._ids_and_parts(fields), first.rows))
            return first.rows, first.rows, first.rows
        tokens = self._tokens(table)
        known = self.encoder.vocabularies[table].size if self.encoder and first.ids == "rank" else 0
        ranking = rank_by_frequency(count_ids(self._ids_and_parts(fields), len(tokens)), known)
        self.files.save(f"counts-{t}", ranking.counts)
        self.files.save(f"tokens-{t}", _by_rank(tokens, ranking))
        self._rank_of[table] = tokens if first.ids == "hash63" else ranking.rank_of
        return ranking.rows

    def _tokens(self, table: str) -> np.ndarray:
        """int64: hashes of a table's tokens by number as first seen."""
        t = [f.table_name for f in self.schema.tables if f.ids != "plain"].index(table)
        known = (
            [self.encoder.vocabularies[table].tokens()] if self.encoder and table in self.encoder.vocabularies else []
        )
        return np.concatenate([*known, *(self.journal.array(c, f"new{t}") for c in range(self.journal.chunks))])

    def _ids_and_parts(self, fields: list[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for chunk in range(self.journal.chunks):
            parts = self._parts(chunk)
            for j in fields:
                many = self.schema.categorical[j].many
                yield (
                    self.journal.array(chunk, f"ids{j}"),
                    np.repeat(parts, self.journal.array(chunk, f"lengths{j}")) if many else parts,
                )

    def _parts(self, chunk: int) -> np.ndarray:
        """int64 [n]: 0, 1, 2, or -1 for rows that are left out."""
        positions = self.order.positions(chunk)
        return np.where(positions < 0, -1, self.order.parts(positions))

    def _dense_and_labels(
        self,
    ) -> tuple[list[dict[str, DenseCounts]], tuple[int, int, int] | None, dict[str, tuple[float, float]]]:
        """Per part what is counted of dense numbers and labels, and what is fitted on training rows."""
        columns = self.schema.dense_columns
        counted = [{f.name: DenseCounts() for f in self.schema.dense} for _ in PARTS]
        fits = {f.name: Moments() for f in self.schema.dense if f.transform.standardise}
        positives = np.zeros(len(PARTS), dtype=np.int64)
        for chunk in range(self.journal.chunks):
            parts, dense = self._parts(chunk), self.journal.array(chunk, "dense")
            absent = np.unpackbits(self.journal.array(chunk, "absent"), axis=0, count=len(self.schema.dense)).astype(
                bool
            )
            for p in range(len(PARTS)):
                mine = parts == p
                for i, f in enumerate(self.schema.dense):
                    values = dense[mine, columns.index(f.name)]
                    gone = absent[i, mine]
                    block = DenseCounts(present=Moments.of(values[~gone]), missing=int(gone.sum()))
                    counted[p][f.name] = counted[p][f.name].merge(block)
                    if p == 0 and f.name in fits:
                        fits[f.name] = fits[f.name].merge(Moments.of(values))
                if self.schema.label:
                    positives[p] += int(self.journal.array(chunk, "label")[mine].sum(dtype=np.float64))
        train, validation, test = positives.tolist()
        labels = (train, validation, test) if self.schema.label else None
        return counted, labels, {name: (m.mean, m.std) for name, m in fits.items()}

    def _write_rows(self, fitted: Mapping[str, tuple[float, float]], progress: Progress) -> None:
        n, categorical = self.order.kept, self.schema.categorical
        ranked = [j for j, f in enumerate(categorical) if f.ids == "rank" and not f.many]
        others = [j for j, f in enumerate(categorical) if f.ids != "rank" and not f.many]
        dense = self.files.create("dense", (n, len(self.schema.dense_columns)), np.float32)
        ranks = self.files.create("ranks", (n, len(ranked)), np.int32)
        ids = self.files.create("ids", (n, len(others)), np.int64)
        scalars = [name for name, there in (("label", self.schema.label), ("weight", self.schema.weight)) if there]
        maps = {name: self.files.create(name, (n,), np.float32) for name in scalars}
        for chunk in range(self.journal.chunks):
            positions = self.order.positions(chunk)
            kept = np.flatnonzero(positions >= 0)
            if not len(kept):
                continue
            to = _slice(positions[kept])
            numbers = self.journal.array(chunk, "dense")[kept]
            standardise_columns(numbers, self.schema, fitted)
            dense[to] = numbers
            if ranked:
                ranks[to] = np.stack([self._encoded(chunk, j)[kept] for j in ranked], axis=1)
            if others:
                ids[to] = np.stack([self._encoded(chunk, j)[kept] for j in others], axis=1)
            for name, out in maps.items():
                out[to] = self.journal.array(chunk, name)[kept]
            self.files.release([dense, ranks, ids, *maps.values()])
            progress("write", chunk + 1, self.journal.chunks)

    def _write_bags(self, progress: Progress) -> None:
        bags = [j for j, f in enumerate(self.schema.categorical) if f.many]
        for done, j in enumerate(bags):
            offsets = self.files.create(f"offsets-{j}", (self.order.kept + 1,), np.int64)
            for chunk in range(self.journal.chunks):
                positions = self.order.positions(chunk)
                kept = positions >= 0
                offsets[positions[kept] + 1] = self.journal.array(chunk, f"lengths{j}")[kept]
                self.files.release([offsets])
            self._add_up(offsets)
            self._write_values(j, offsets)
            progress("write", done + 1, len(bags))

    def _add_up(self, offsets: np.ndarray) -> None:
        """From lengths to offsets, in place."""
        for start in range(1, len(offsets), _ADDED_ROWS):
            here = slice(start, start + _ADDED_ROWS)
            offsets[here] = offsets[start - 1] + np.cumsum(offsets[here])
            self.files.release([offsets])

    def _write_values(self, j: int, offsets: np.ndarray) -> None:
        kind = np.int32 if self.schema.categorical[j].ids == "rank" else np.int64
        out = self.files.create(f"bags-{j}", (int(offsets[-1]),), kind)
        for chunk in range(self.journal.chunks):
            positions, lengths = self.order.positions(chunk), self.journal.array(chunk, f"lengths{j}").astype(np.int64)
            kept = positions >= 0
            values = self._encoded(chunk, j)[np.repeat(kept, lengths)]
            if len(values):
                out[_slice(places_of(offsets[positions[kept]], lengths[kept]))] = values
            self.files.release([out, offsets])

    def _encoded(self, chunk: int, j: int) -> np.ndarray:
        numbers = self.journal.array(chunk, f"ids{j}")
        field = self.schema.categorical[j]
        return numbers if field.ids == "plain" else self._rank_of[field.table_name][numbers]


def _by_rank(tokens: np.ndarray, ranking: Ranking) -> np.ndarray:
    out = np.zeros(ranking.counts.shape[1], dtype=np.int64)
    kept = ranking.rank_of > 0
    out[ranking.rank_of[kept]] = tokens[kept]
    return out


def _slice(positions: np.ndarray) -> np.ndarray | slice:
    """Consecutive positions as a slice, which is written several times faster."""
    start, stop = int(positions[0]), int(positions[-1]) + 1
    return slice(start, stop) if stop - start == len(positions) and (np.diff(positions) == 1).all() else positions
