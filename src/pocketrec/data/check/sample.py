"""The first rows of a log, kept to look at columns together: does one give the label away, do rows repeat?"""

from __future__ import annotations

from typing import final

import numpy as np
import pyarrow as pa

from pocketrec.data import values
from pocketrec.data.arrays import one_array
from pocketrec.data.columns import Columns
from pocketrec.data.mixing import mix64
from pocketrec.metrics.measures.auc import auc
from pocketrec.spec.schema import Field, Schema

__all__ = ["SAMPLE_ROWS", "CheckSample"]

SAMPLE_ROWS = 50_000
_TEXTS = 2000
_BINS = 64
_LEAST_OF_EACH = 20


@final
class CheckSample:
    """The first checked rows, as one int64 or float64 per row and column, and the first raw texts.

    Args:
        schema: of the log.
        rows: how many to keep.
    """

    def __init__(self, schema: Schema, rows: int = SAMPLE_ROWS) -> None:
        self.schema, self.rows, self._most = schema, 0, rows
        self._keys: dict[str, list[np.ndarray]] = {f.name: [] for f in schema.fields}
        self._texts: dict[str, list[str]] = {f.name: [] for f in schema.categorical}
        self._wrong_labels: list[np.ndarray] = []
        self._types: dict[str, pa.DataType] = {}

    def take(self, columns: Columns, raw: pa.Table) -> None:
        """The next rows: checked, and as they stood in the file (bad ones among them)."""
        for f in self.schema.categorical:
            texts = self._texts[f.name]
            if len(texts) < _TEXTS:
                texts += _some_texts(raw.column(f.name), _TEXTS - len(texts))
        for f in self.schema.fields:
            self._types.setdefault(f.name, raw.schema.field(f.name).type)
        label = self.schema.label
        if label is not None and sum(map(len, self._wrong_labels)) < self._most:
            got = values.numbers(one_array(raw.column(label.name)))
            self._wrong_labels.append(got.values[~got.missing & ~got.wrong & np.isfinite(got.values)])
        wanted = min(columns.n, self._most - self.rows)
        if wanted <= 0:
            return
        for f in self.schema.fields:
            self._keys[f.name].append(_row_keys(columns, f)[:wanted])
        self.rows += wanted

    def keys(self, name: str) -> np.ndarray:
        """[rows]: equal where the values of the column are; numbers as they are, NaN for missing."""
        return np.concatenate(self._keys[name]) if self._keys[name] else np.zeros(0)

    def texts(self, name: str) -> list[str]:
        """The first tokens of a categorical column that are not missing, as they stand in the file."""
        return self._texts[name]

    def type(self, name: str) -> pa.DataType | None:
        """Of the raw column; None before any row."""
        return self._types.get(name)

    def label_values(self) -> np.ndarray:
        """float64, rising: distinct numbers of the label column, of bad rows too."""
        return np.unique(np.concatenate(self._wrong_labels)) if self._wrong_labels else np.zeros(0)

    def repeated_rows(self) -> int:
        """Rows that are equal in every column of the schema to one before."""
        together = np.zeros(self.rows, np.uint64)
        for f in self.schema.fields:
            keys = self.keys(f.name)
            bits = (keys + 0.0).view(np.uint64) if keys.dtype == np.float64 else keys.astype(np.uint64)
            together = mix64(together ^ mix64(bits))
        return self.rows - len(np.unique(together))

    def label_auc(self, name: str) -> float | None:
        """How well one column alone tells the label: the AUC on odd rows of the shares of positives on even rows.

        Tokens are taken as they are, numbers in 64 bins of equal size (and one for missing), so that neither shape nor
        direction matters. A token that only odd rows have counts as the mean. None with too few rows.
        """
        assert self.schema.label is not None
        label = self.keys(self.schema.label.name).astype(bool)
        learn, judge = label[::2], label[1::2]
        if min(int(half.sum()) for half in (learn, ~learn, judge, ~judge)) < _LEAST_OF_EACH:
            return None
        codes = _codes(self.keys(name))
        seen = np.bincount(codes[::2], minlength=codes.max() + 1)
        positive = np.bincount(codes[::2], weights=learn, minlength=codes.max() + 1)
        # one row of the mean is added to each: a token seen once says little
        share = (positive + learn.mean()) / (seen + 1)
        return auc(judge, share[codes[1::2]])


def _codes(keys: np.ndarray) -> np.ndarray:
    """int64 [n] from 0: tokens by value, numbers by bin."""
    if keys.dtype == np.float64 and len(np.unique(keys[~np.isnan(keys)])) > _BINS:
        edges = np.unique(np.nanquantile(keys, np.linspace(0, 1, _BINS + 1)[1:-1]))
        keys = np.where(np.isnan(keys), -1.0, np.searchsorted(edges, keys, side="right"))
    codes: np.ndarray = np.unique(keys, return_inverse=True)[1]
    return codes


def _row_keys(columns: Columns, field: Field) -> np.ndarray:
    """int64 [n] for tokens, float64 [n] for numbers."""
    if field.kind == "dense":
        return columns.dense[field.name]
    if field.kind == "categorical":
        ids = columns.plain[field.name] if field.ids == "plain" else columns.tokens[field.name].row_hashes
        lengths = columns.lengths.get(field.name)
        return ids if lengths is None else _bag_keys(ids, lengths)
    found = {"label": columns.label, "weight": columns.weight, "time": columns.time}[field.kind]
    assert found is not None
    return found.astype(np.float64) if found.dtype == np.float32 else found


def _bag_keys(ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """int64 [n]: equal for equal bags."""
    rows = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(ids)) - (np.cumsum(lengths) - lengths)[rows]
    keys = np.zeros(len(lengths), np.uint64)
    np.add.at(keys, rows, mix64(ids.astype(np.uint64) ^ mix64(place.astype(np.uint64) + np.uint64(1))))
    return keys.view(np.int64)


def _some_texts(column: pa.ChunkedArray, most: int) -> list[str]:
    """The first tokens that are there, for lists their elements' texts joined by nothing: they are left out."""
    if pa.types.is_nested(column.type):
        return []
    got, _ = values.tokens(one_array(column.slice(0, 4 * most)))
    return [text for text in got.to_pylist() if text][:most]
