"""Encoder: from raw rows to numbers and ids, exactly as the cache was encoded. It is kept in the artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.columns import Columns, read_columns
from pocketrec.data.dense import standardise, transformed
from pocketrec.data.frames import as_table
from pocketrec.data.id_spaces import resolve_spaces
from pocketrec.data.jagged import Jagged
from pocketrec.data.users import user_keys
from pocketrec.data.vocabulary import Vocabulary
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Field, Schema
from pocketrec.spec.table import Head, WantedIds

__all__ = ["Encoded", "Encoder", "standardise_columns"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """Some rows, encoded.

    Attributes:
        dense: float32 [n, D], in the order of `Schema.dense_columns`.
        ids: int64 [n, F], in the order of `Schema.categorical`; with a field of bags in the schema int64 [values], all
            rows' bags of the first field, then of the second, ...
        label: float32 [n] of 0 and 1, or None where the rows have none.
        weight: float32 [n], or None.
        offsets: int64 [F x n + 1], where each bag begins, or None without fields of bags.
        value_weights: float32 [values], factors of the values of bags; None where no bag is averaged.
        user: int64 [n], whose row each is: the hash63 of the raw token or the plain id, -1 where it is missing; None
            where the schema names no user.
    """

    dense: np.ndarray
    ids: np.ndarray
    label: np.ndarray | None
    weight: np.ndarray | None
    offsets: np.ndarray | None = None
    value_weights: np.ndarray | None = None
    user: np.ndarray | None = None

    @staticmethod
    def of_bags(
        bags: Jagged, *, dense: np.ndarray, label: np.ndarray | None, weight: np.ndarray | None,
        user: np.ndarray | None = None,
    ) -> Encoded:  # fmt: skip
        """Rows whose ids are bags."""
        return Encoded(
            dense=dense, ids=bags.values, label=label, weight=weight, offsets=bags.offsets, value_weights=bags.weights,
            user=user,
        )  # fmt: skip

    @property
    def bags(self) -> Jagged | None:
        """The ids of all fields, where there are fields of bags."""
        if self.offsets is None:
            return None
        return Jagged(rows=len(self.dense), values=self.ids, offsets=self.offsets, weights=self.value_weights)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoder:
    """A schema with all that was learned from training rows to read it.

    Attributes:
        schema: of the raw rows.
        fitted: mean and standard deviation of each dense field that is standardised.
        vocabularies: per table of ranks, which tokens it knows.
    """

    schema: Schema
    fitted: Mapping[str, tuple[float, float]]
    vocabularies: Mapping[str, Vocabulary]

    def encode(self, frame: Any, *, id_spaces: Mapping[str, WantedIds] | None = None) -> Encoded:
        """Encode raw rows.

        Args:
            frame: pyarrow table, pandas or polars frame, or dict of lists, with the schema's columns. Label, weight and
                time may be absent; other columns are left alone.
            id_spaces: per table, in which id space the ids are wanted; what is not named stays as the schema has it.

        Raises:
            SchemaError: for a missing column.
            BadRow: for a value that cannot be read, naming row and column.
        """
        table = as_table(frame)
        present = set(table.column_names)
        fields = (f for f in self.schema.fields if f.kind != "time")
        schema = replace(
            self.schema, fields=tuple(f for f in fields if f.kind in ("dense", "categorical") or f.name in present)
        )
        rows = np.arange(1, len(table) + 1, dtype=np.int64)
        columns = read_columns(table, schema, file="the frame", rows=rows, bad=BadRows("fail", skippable=False))
        return self.encode_columns(columns, id_spaces=id_spaces)

    def encode_columns(self, columns: Columns, *, id_spaces: Mapping[str, WantedIds] | None = None) -> Encoded:
        """Encode rows that have been checked already."""
        fields = list(zip(self.schema.categorical, self._spaces(id_spaces), strict=True))
        dense = transformed(columns.dense, self.schema, columns.n)
        standardise_columns(dense, self.schema, self.fitted)
        user = self._users(columns)
        if self.schema.bags:
            ids = [(self._ids(columns, f, space), columns.lengths.get(f.name)) for f, space in fields]
            bags = Jagged.of(ids, [f.many and f.pool == "mean" for f, _ in fields], columns.n)
            return Encoded.of_bags(bags, dense=dense, label=columns.label, weight=columns.weight, user=user)
        table = np.empty((columns.n, len(fields)), dtype=np.int64)
        for j, (f, space) in enumerate(fields):
            table[:, j] = self._ids(columns, f, space)
        return Encoded(dense=dense, ids=table, label=columns.label, weight=columns.weight, user=user)

    def _users(self, columns: Columns) -> np.ndarray | None:
        name = self.schema.user
        if name is None or name in columns.plain:
            return None if name is None else columns.plain[name]
        return user_keys(columns.tokens[name].row_hashes)

    def _ids(self, columns: Columns, field: Field, space: WantedIds) -> np.ndarray:
        """int64 [n], or [values] of a field of bags."""
        if space == "plain":
            return columns.plain[field.name]
        tokens = columns.tokens[field.name]
        ids: np.ndarray = self._known(field, space, tokens.hashes)[tokens.codes]
        return ids

    def _known(self, field: Field, space: WantedIds, hashes: np.ndarray) -> np.ndarray:
        """The ids of distinct tokens: int64 [n]."""
        if space == "hash63":
            return hashes
        ranks = self.vocabularies[field.table_name].ranks_of(hashes)
        # rank 0 is of unknown tokens, which have a hash like others
        return np.where((ranks > 0) & (ranks <= space.ranks), ranks, hashes) if isinstance(space, Head) else ranks

    def _spaces(self, wanted: Mapping[str, WantedIds] | None) -> tuple[WantedIds, ...]:
        return resolve_spaces(self.schema, wanted)

    def cut(self, told_apart: Mapping[str, int]) -> Encoder:
        """Keep only so many tokens per table, by rank; the others become unknown. Tables not named keep all."""
        unknown = sorted(set(told_apart) - set(self.vocabularies))
        if unknown:
            raise OptionError(f"No vocabulary for {', '.join(unknown)}. Tables: {', '.join(self.vocabularies)}.")
        kept = {t: v.cut(told_apart[t]) if t in told_apart else v for t, v in self.vocabularies.items()}
        return replace(self, vocabularies=kept)

    def extend(self, tokens: Mapping[str, np.ndarray]) -> Encoder:
        """Append tokens; no id moves and the dense numbers stay.

        Args:
            tokens: per table, int64 [m] hash63 of tokens in the order in which they get ids; known ones keep theirs.
        """
        grown = {t: v.extended(tokens[t]) if t in tokens else v for t, v in self.vocabularies.items()}
        return replace(self, vocabularies=grown)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The vocabularies: ``<t>.keys`` int64 [n] rising and ``<t>.ranks`` int32 [n], for rank table number t."""
        out = {}
        for t, vocabulary in enumerate(self.vocabularies.values()):
            out[f"{t}.keys"], out[f"{t}.ranks"] = vocabulary.keys, vocabulary.ranks
        return out

    def to_json(self) -> dict[str, Any]:
        """Everything else, as plain JSON values."""
        return {
            "schema": self.schema.to_json(),
            "fitted": {name: list(numbers) for name, numbers in self.fitted.items()},
            "tables": list(self.vocabularies),
        }

    @staticmethod
    def from_parts(data: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Encoder:
        """The inverse of :meth:`to_json` and :meth:`to_arrays`. Arrays are used in place, not copied.

        Raises:
            OptionError: when the parts do not fit each other.
        """
        try:
            vocabularies = {
                table: Vocabulary.checked(np.asarray(arrays[f"{t}.keys"]), np.asarray(arrays[f"{t}.ranks"]))
                for t, table in enumerate(data["tables"])
            }
            fitted = {name: (float(mean), float(std)) for name, (mean, std) in data["fitted"].items()}
            schema = Schema.from_json(data["schema"], source="the encoder's schema")
        except (KeyError, TypeError, AttributeError) as wrong:
            raise OptionError(f"This is not an encoder: {wrong!r}.") from wrong
        needed = {f.table_name for f in schema.tables if f.ids == "rank"}
        if set(vocabularies) != needed or set(fitted) != {f.name for f in schema.dense if f.transform.standardise}:
            raise OptionError(
                f"This encoder lacks parts: vocabularies for {sorted(vocabularies)}, {sorted(needed)} are needed."
            )
        return Encoder(schema=schema, fitted=fitted, vocabularies=vocabularies)


def standardise_columns(dense: np.ndarray, schema: Schema, fitted: Mapping[str, tuple[float, float]]) -> None:
    """Standardise float32 [n, D] in place, where the schema says so."""
    columns = schema.dense_columns
    for field in schema.dense:
        if field.transform.standardise:
            at = columns.index(field.name)
            dense[:, at] = standardise(dense[:, at], *fitted[field.name])
