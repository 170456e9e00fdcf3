"""Contexts: with which values of other columns each value of a table occurs, in some sampled rows.

LMA as published (arXiv:2103.06124) knows a value by the rows that it occurs in, and two values of one field never occur
in one row. This is beyond the paper: a value is known by its company, the pairs (column, id) of other columns in its
rows, so that two values of one field are alike when they are met with the same ids. Over the column of users or
sessions these are the groups that a value is met in; over the columns of authors or tags, an item's attributes.

Ids that stand in very many rows are in everyone's company and make all values alike; they can be left out. So can ids
that a value is met with about as often as any other value is: the sets of frequent values would hold nearly all ids.

Columns are joined two at a time and in pieces: memory is that of the sample and of one table's distinct pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from pocketrec.data.jagged import places_of

__all__ = ["Occurrences", "context_pairs"]

_AT_ONCE: Final = 1 << 22  # pairs of a value and a member, repeated ones too


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Occurrences:
    """The values of one column in the sampled rows.

    Attributes:
        values: int64 [n], encoded ids; several of a row, or none, where the column holds bags.
        rows: int64 [n], the numbers of their rows within the sample, not falling.
    """

    values: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Company:
    """What one column gives the others: members[starts[r]:starts[r + 1]] in row r, int64, each once."""

    column: int
    starts: np.ndarray
    members: np.ndarray


def context_pairs(
    columns: Sequence[Occurrences], tables: Sequence[str], context: Sequence[int], *, rows: int, most_share: float,
    least_lift: float = 0.0,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:  # fmt: skip
    """Every table's values with what they occur with.

    Args:
        columns: all columns.
        tables: whose values each column holds.
        context: columns whose ids are counted; never a value's own column for the values in it.
        rows: of the sample.
        most_share: ids that occur in more than this share of the rows are left out.
        least_lift: ids are left out of a value's company that it meets less than so many times as often as chance
            would have it: with c of its n occurrences, where c < least_lift * n * (the id's share of the rows).

    Yields:
        Name of the table; values, int64 [pairs], not falling; members, int64 [pairs], rising for each value: numbers
        of the distinct pairs (column, id) of the context, from 0, the same ones for all tables.
    """
    company, shares = _company(columns, context, rows, most_share)
    total = len(shares)
    for table in dict.fromkeys(tables):
        own = [c for c, name in enumerate(tables) if name == table]
        distinct = np.unique(np.concatenate([columns[c].values for c in own]))
        found = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))]
        times = np.zeros(len(distinct), dtype=np.int64)
        for c in own:
            place = np.searchsorted(distinct, columns[c].values)
            times += np.bincount(place, minlength=len(distinct))
            found += [_met(place * total, columns[c].rows, other) for other in company if other.column != c]
        keys, met = _summed(found)
        places, members = keys // max(total, 1), keys % max(total, 1)
        if least_lift > 0:
            kept = met >= least_lift * times[places] * shares[members]
            places, members = places[kept], members[kept]
        yield table, distinct[places], members


def _company(
    columns: Sequence[Occurrences], context: Sequence[int], rows: int, most_share: float
) -> tuple[list[_Company], np.ndarray]:
    """The context's columns with their ids numbered; float64 [numbers], the share of the rows that have each."""
    found, shares, total = [], [np.empty(0)], 0
    for c in context:
        distinct, codes = np.unique(columns[c].values, return_inverse=True)
        count = max(len(distinct), 1)
        once = np.unique(columns[c].rows * count + codes)  # by row, then by id: an id counts once in a row
        row, code = once // count, once % count
        share = np.bincount(code, minlength=count) / max(rows, 1)
        kept = share <= most_share
        shares.append(share[kept])
        row, code = row[kept[code]], code[kept[code]]
        number = total + np.cumsum(kept) - 1
        found.append(_Company(column=c, starts=np.searchsorted(row, np.arange(rows + 1)), members=number[code]))
        total += int(kept.sum())
    return found, np.concatenate(shares)


def _met(places: np.ndarray, rows: np.ndarray, other: _Company) -> tuple[np.ndarray, np.ndarray]:
    """int64, rising: place + member, each once, for all members in the row of each occurrence; and how often it is."""
    starts = other.starts[rows]
    lengths = other.starts[rows + 1] - starts
    ends = np.cumsum(lengths)
    last = int(ends[-1]) if len(ends) else 0
    cuts = np.unique([0, *np.searchsorted(ends, np.arange(_AT_ONCE, last, _AT_ONCE)), len(rows)])
    found = []
    for a, b in pairwise(cuts.tolist()):
        members = other.members[places_of(starts[a:b], lengths[a:b])]
        found.append(np.unique(np.repeat(places[a:b], lengths[a:b]) + members, return_counts=True))
    return _summed(found)


def _summed(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Keys of all parts, rising, each once, with the sums of their counts."""
    if len(found) == 1:
        return found[0]
    nothing = np.empty(0, dtype=np.int64)
    keys, counts = (np.concatenate([nothing, *(part[k] for part in found)]) for k in range(2))
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    return keys[first], np.add.reduceat(counts, first) if len(first) else nothing
