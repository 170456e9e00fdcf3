"""Value sets: in which of some sampled rows each value of a table occurs.

Two values that occur in the same rows mean alike, for a model that sees rows. Methods that let alike values share
memory (LMA: Desai et al., Semantically Constrained Memory Allocation, arXiv:2103.06124) read these sets. A field with
one value per row never has two of its values in one row, so sets of one field are disjoint then; with bags, or with
users in the place of rows, they are not.

The sample is drawn by hashes of the rows' numbers. So it depends on the seed and on how many rows there are, not on who
reads them: parts of the rows can be read by themselves and merged. Memory is that of the sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch

from pocketrec.data.batches import Batch
from pocketrec.data.dataset import Dataset
from pocketrec.data.jagged import places_of
from pocketrec.data.split import Through, parts_through
from pocketrec.native.mix import mix
from pocketrec.spec.errors import OptionError

__all__ = ["Unit", "ValueSets", "sampled_rows", "value_sets"]

Unit = Literal["row", "user"]

_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueSets:
    """The sets of one table's values; values that occur in no sampled row have none.

    Attributes:
        values: int64 [n], encoded ids, rising.
        starts: int64 [n + 1]: the set of value i is members[starts[i]:starts[i + 1]].
        members: int32, numbers of sampled rows (or of users), rising within each set, each once.
    """

    values: np.ndarray
    starts: np.ndarray
    members: np.ndarray

    @staticmethod
    def of(values: np.ndarray, members: np.ndarray) -> ValueSets:
        """From pairs in any order, the same one perhaps several times."""
        order = np.lexsort((members, values))
        values, members = values[order], members[order]
        kept = np.ones(len(values), dtype=bool)
        kept[1:] = (values[1:] != values[:-1]) | (members[1:] != members[:-1])
        distinct, first = np.unique(values[kept], return_index=True)
        return ValueSets(
            values=distinct.astype(np.int64), starts=np.append(first, kept.sum()).astype(np.int64),
            members=members[kept].astype(np.int32),
        )  # fmt: skip

    def merge(self, other: ValueSets) -> ValueSets:
        """Of both heaps of rows together, whose members are numbered alike."""
        pairs = [(np.repeat(sets.values, np.diff(sets.starts)), sets.members) for sets in (self, other)]
        return ValueSets.of(*(np.concatenate(both) for both in zip(*pairs, strict=True)))

    def supported(self, least: int) -> ValueSets:
        """Only the sets of `least` members or more."""
        counts = np.diff(self.starts)
        kept = counts >= least
        return ValueSets(
            values=self.values[kept], starts=np.append(0, counts[kept].cumsum()),
            members=self.members[np.repeat(kept, counts)],
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.values.nbytes + self.starts.nbytes + self.members.nbytes


def sampled_rows(total: int, count: int, *, seed: int) -> np.ndarray:
    """int64 [min(count, total)], rising: the rows of 0 .. total - 1 with the least hashes under the seed."""
    if total < 0 or count < 1:
        raise OptionError(f"A sample needs 1 row or more of 0 or more, got {count} of {total}.")
    kept = np.empty(0, dtype=np.int64)
    least = np.empty(0, dtype=np.int64)
    for start in range(0, total, _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, total), dtype=np.int64)
        kept, least = np.append(kept, rows), np.append(least, mix(torch.from_numpy(rows), seed).numpy())
        if len(kept) > count:
            # mix is a bijection of words: no two rows have the same hash
            chosen = np.argpartition(least, count - 1)[:count]
            kept, least = kept[chosen], least[chosen]
    return np.sort(kept)


def value_sets(
    dataset: Dataset, *, rows: int = 125_000, seed: int = 0, unit: Unit = "row", through: Through = "train"
) -> Mapping[str, ValueSets]:
    """The sets of every table of a dataset, in one pass over its training rows.

    Args:
        dataset: encoded rows. Unknown values (rank 0) are values like others.
        rows: how many rows are sampled; all if there are fewer. The published code takes 125,000.
        seed: of the sample.
        unit: ``row``; or ``user``, so that values are alike that the same users meet, in whichever rows (not of the
            paper; the schema must name a user field).
        through: ``train``, or ``validation``: validation rows count as training rows.

    Raises:
        OptionError: the schema names no user.
    """
    parts = parts_through(through)
    if unit == "user" and dataset.schema.user is None:
        raise OptionError('unit="user" needs a schema that names a user field.')
    chosen = sampled_rows(sum(dataset.parts[part] for part in parts), rows, seed=seed)
    names = [field.table_name for field in dataset.schema.categorical]
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {field.table_name: [] for field in dataset.schema.tables}
    for batch in dataset.batches(parts, batch_size=_AT_ONCE // 16):
        first, last = np.searchsorted(chosen, batch.rows)
        taken, numbers = chosen[first:last] - batch.rows[0], np.arange(first, last)
        if unit == "user":
            assert batch.user is not None
            numbers = batch.user.numpy()[taken]
        for column, name in enumerate(names):
            found[name].append(_pairs(batch, column, len(names), taken, numbers))
    joined = {name: tuple(map(np.concatenate, zip(*pairs, strict=True))) for name, pairs in found.items()}
    if unit == "user":
        joined = _numbered(joined)
    return {name: ValueSets.of(values, members) for name, (values, members) in joined.items()}


def _pairs(
    batch: Batch, column: int, columns: int, taken: np.ndarray, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values and members of one column in some rows of a batch; rows whose user is missing (-1) are left out."""
    taken, numbers = taken[numbers >= 0], numbers[numbers >= 0]
    if batch.offsets is None:
        return batch.ids[:, column].numpy()[taken], numbers
    offsets = batch.offsets.numpy()
    bags = column * ((len(offsets) - 1) // columns) + taken
    lengths = offsets[bags + 1] - offsets[bags]
    return batch.ids.numpy()[places_of(offsets[bags], lengths)], np.repeat(numbers, lengths)


def _numbered(pairs: Mapping[str, tuple[np.ndarray, ...]]) -> dict[str, tuple[np.ndarray, ...]]:
    """Users by their numbers among those that were met, the same ones for all tables."""
    met = np.unique(np.concatenate([members for _, members in pairs.values()]))
    return {name: (values, np.searchsorted(met, members)) for name, (values, members) in pairs.items()}
