"""Value sets: in which of some sampled rows each value of a table occurs, or with what.

Two values that occur in the same rows mean alike, for a model that sees rows. Methods that let alike values share
memory (LMA: Desai et al., Semantically Constrained Memory Allocation, arXiv:2103.06124) read these sets. A field with
one value per row never has two of its values in one row, so sets of one field are disjoint then. With bags, or with
users or context in the place of rows, they are not; both are beyond the paper.

The sample is drawn by hashes of the rows' numbers. So it depends on the seed and on how many rows there are, not on who
reads them: parts of the rows can be read by themselves and merged. Memory is that of the sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch

from pocketrec.data.batches import Batch
from pocketrec.data.contexts import Occurrences, context_pairs
from pocketrec.data.dataset import Dataset
from pocketrec.data.jagged import places_of
from pocketrec.data.split import Through, parts_through
from pocketrec.native.mix import mix
from pocketrec.spec.errors import OptionError

__all__ = ["Unit", "ValueSets", "sampled_rows", "value_sets"]

Unit = Literal["row", "user", "context"]

_AT_ONCE: Final = 1 << 20
_LEAST_LIFT: Final = 3.0
_CAP: Final = 0x2545F4914F6CDD1D  # the hash that picks members of large sets is none of those whose least is taken


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueSets:
    """The sets of one table's values; values that occur in no sampled row have none.

    Attributes:
        values: int64 [n], encoded ids, rising.
        starts: int64 [n + 1]: the set of value i is members[starts[i]:starts[i + 1]].
        members: int32, numbers of sampled rows (or of users, or of pairs of column and id), rising within each set,
            each once.
    """

    values: np.ndarray
    starts: np.ndarray
    members: np.ndarray

    @staticmethod
    def of(values: np.ndarray, members: np.ndarray) -> ValueSets:
        """From pairs in any order, the same one perhaps several times."""
        order = np.lexsort((members, values))
        return ValueSets.of_ordered(values[order], members[order])

    @staticmethod
    def of_ordered(values: np.ndarray, members: np.ndarray) -> ValueSets:
        """From pairs by value, then by member, the same one perhaps several times."""
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

    def capped(self, most: int, *, seed: int) -> ValueSets:
        """At most so many members of each set: those with the least hashes under the seed.

        Sets are cut alike: what two of them have in common stays in both or in neither, but for the last places. With
        x = common * min(1, most / the larger set's members), about ``x / (kept + kept' - x)`` is what the cut sets
        have in common as a share of all: the share of the whole sets where both are as large, and down to half of it
        where one is much larger (Broder, On the Resemblance and Containment of Documents, 1997, for equal hashes).
        Cutting before sets are merged and cutting after leaves the same members.

        Args:
            most: members, 1 or more.
            seed: of the hash. Equal seeds for all sets that are to be compared, of all tables.

        Raises:
            OptionError: `most` is below 1.
        """
        if most < 1:
            raise OptionError(f"most_members must be 1 or more, got {most}.")
        counts = np.diff(self.starts)
        kept = np.ones(len(self.members), dtype=bool)
        large = np.flatnonzero(np.repeat(counts > most, counts))
        owner = np.repeat(np.arange(len(counts)), counts)[large]
        hashes = mix(torch.from_numpy(self.members[large].astype(np.int64)), seed ^ _CAP).numpy()
        order = np.lexsort((hashes, owner))
        place = np.arange(len(large)) - np.searchsorted(owner, owner)
        kept[large[order[place >= most]]] = False
        return ValueSets(
            values=self.values, starts=np.append(0, np.minimum(counts, most).cumsum()), members=self.members[kept]
        )

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.values.nbytes + self.starts.nbytes + self.members.nbytes


def sampled_rows(total: int, count: int, *, seed: int) -> np.ndarray:
    """int64 [min(count, total)], rising: the rows of 0 .. total - 1 with the least hashes under the seed.

    Raises:
        OptionError: `total` is below 0 or `count` below 1.
    """
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
    dataset: Dataset, *, rows: int = 125_000, seed: int = 0, unit: Unit = "row",
    context: Sequence[str] | None = None, most_share: float = 1.0, least_lift: float | None = None,
    most_members: int | None = None, through: Through = "train",
) -> Mapping[str, ValueSets]:  # fmt: skip
    """The sets of every table of a dataset, in one pass over its training rows.

    Args:
        dataset: encoded rows. Unknown values (rank 0) are values like others.
        rows: how many rows are sampled; all if there are fewer. The published code takes 125,000.
        seed: of the sample, and of which members of large sets are kept.
        unit: what a set's members are. ``row``: rows that the value occurs in, as published. ``user``: users, so that
            values are alike that the same users meet, in whichever rows; the schema must name a user field.
            ``context``: ids of other columns that it occurs with (see `pocketrec.data.contexts`). The last two are
            beyond the paper.
        context: categorical columns whose ids are context; all but the value's own if None. One column of sessions or
            hours makes groups, the columns of what is known of items makes attributes. Values of a table that stands
            in no other column than these have no set.
        most_share: ids of the context that occur in more than this share of the sampled rows are left out, above 0, at
            most 1.
        least_lift: ids of the context that a value meets less than so many times as often as chance would have it are
            left out of its set, 0 or more. None: 3 where all columns are context, 0 where they are named. On planted
            logs values of two clusters are then a third as alike as values of one, with all ids five sixths
            (`experiments/common_context.py`).
        most_members: members that are kept of a set (:meth:`ValueSets.capped`), so that no value is slow to hash; all
            if None.
        through: ``train``, or ``validation``: validation rows count as training rows.

    Raises:
        OptionError: the schema names no user, or no such column; an option is out of its range.
    """
    fields, parts = dataset.schema.categorical, parts_through(through)
    lift = least_lift if least_lift is not None else _LEAST_LIFT if context is None else 0.0
    within = _context_columns(unit, [field.name for field in fields], context, most_share, lift)
    if unit == "user" and dataset.schema.user is None:
        raise OptionError('unit="user" needs a schema that names a user field.')
    chosen = sampled_rows(sum(dataset.parts[part] for part in parts), rows, seed=seed)
    found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in fields]
    for batch in dataset.batches(parts, batch_size=_AT_ONCE // 16):
        first, last = np.searchsorted(chosen, batch.rows)
        taken, numbers = chosen[first:last] - batch.rows[0], np.arange(first, last)
        if unit == "user":
            assert batch.user is not None
            numbers = batch.user.numpy()[taken]
        for column, pairs in enumerate(found):
            pairs.append(_pairs(batch, column, len(fields), taken, numbers))
    columns = [_joined(pairs) for pairs in found]
    tables = [field.table_name for field in fields]
    if unit == "context":
        sets = _of_context(columns, tables, within, len(chosen), most_share, lift)
    else:
        sets = _of_units(columns, tables, numbered=unit == "user")
    return {name: each if most_members is None else each.capped(most_members, seed=seed) for name, each in sets}


def _context_columns(
    unit: Unit, names: Sequence[str], context: Sequence[str] | None, most_share: float, least_lift: float
) -> list[int]:
    """Numbers of the columns that are context."""
    if unit != "context" and context is not None:
        raise OptionError(f'context={tuple(context)} is for unit="context", got unit={unit!r}.')
    if not 0 < most_share <= 1 or not least_lift >= 0:
        raise OptionError(
            f"most_share must lie above 0 and be at most 1, least_lift be 0 or more, got {most_share}, {least_lift}."
        )
    unknown = sorted(set(context or ()) - set(names))
    if unknown or (context is not None and not context):
        raise OptionError(f"context must name categorical columns, got {context!r}. Columns: {', '.join(names)}.")
    return [column for column, name in enumerate(names) if context is None or name in context]


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


def _joined(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of all batches; there may be none of them."""
    nothing = np.empty(0, dtype=np.int64)
    values, members = (np.concatenate([nothing, *(pair[k] for pair in pairs)]) for k in range(2))
    return values, members


def _of_units(
    columns: Sequence[tuple[np.ndarray, np.ndarray]], tables: Sequence[str], *, numbered: bool
) -> Iterator[tuple[str, ValueSets]]:
    """Sets of rows, or of users by their numbers among those that were met, the same ones for all tables."""
    met = np.unique(np.concatenate([members for _, members in columns])) if numbered else None
    for table in dict.fromkeys(tables):
        values, members = _joined([pair for pair, name in zip(columns, tables, strict=True) if name == table])
        yield table, ValueSets.of(values, members if met is None else np.searchsorted(met, members))


def _of_context(
    columns: Sequence[tuple[np.ndarray, np.ndarray]], tables: Sequence[str], within: Sequence[int], rows: int,
    most_share: float, least_lift: float,
) -> Iterator[tuple[str, ValueSets]]:  # fmt: skip
    occurrences = [Occurrences(values=values, rows=numbers) for values, numbers in columns]
    found = context_pairs(occurrences, tables, within, rows=rows, most_share=most_share, least_lift=least_lift)
    for table, values, members in found:
        yield table, ValueSets.of_ordered(values, members)
