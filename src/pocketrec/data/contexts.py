"""Contexts: with which values of other columns each value of a table occurs, in some sampled rows.

LMA as published (arXiv:2103.06124) knows a value by the rows that it occurs in, and two values of one field never occur
in one row. This is beyond the paper: a value is known by its company, the pairs (column, id) of other columns in its
rows, so that two values of one field are alike when they are met with the same ids. Over the column of users or
sessions these are the groups that a value is met in; over the columns of authors or tags, an item's attributes.

Ids that stand in very many rows are in everyone's company and make all values alike; they can be left out.

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
    columns: Sequence[Occurrences], tables: Sequence[str], context: Sequence[int], *, rows: int, most_share: float
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Every table's values with what they occur with.

    Args:
        columns: all columns.
        tables: whose values each column holds.
        context: columns whose ids are counted; never a value's own column for the values in it.
        rows: of the sample.
        most_share: ids that occur in more than this share of the rows are left out.

    Yields:
        Name of the table; values, int64 [pairs], not falling; members, int64 [pairs], rising for each value: numbers
        of the distinct pairs (column, id) of the context, from 0, the same ones for all tables.
    """
    company, total = _company(columns, context, rows, most_share)
    for table in dict.fromkeys(tables):
        own = [c for c, name in enumerate(tables) if name == table]
        distinct = np.unique(np.concatenate([columns[c].values for c in own]))
        found = [np.empty(0, dtype=np.int64)]
        for c in own:
            places = np.searchsorted(distinct, columns[c].values) * total
            found += [_met(places, columns[c].rows, other) for other in company if other.column != c]
        keys = np.unique(np.concatenate(found))
        yield table, distinct[keys // max(total, 1)], keys % max(total, 1)


def _company(
    columns: Sequence[Occurrences], context: Sequence[int], rows: int, most_share: float
) -> tuple[list[_Company], int]:
    """The context's columns with their ids numbered, and how many numbers there are."""
    found, total = [], 0
    for c in context:
        distinct, codes = np.unique(columns[c].values, return_inverse=True)
        count = max(len(distinct), 1)
        once = np.unique(columns[c].rows * count + codes)  # by row, then by id: an id counts once in a row
        row, code = once // count, once % count
        kept = np.bincount(code, minlength=count) <= most_share * rows
        row, code = row[kept[code]], code[kept[code]]
        number = total + np.cumsum(kept) - 1
        found.append(_Company(column=c, starts=np.searchsorted(row, np.arange(rows + 1)), members=number[code]))
        total += int(kept.sum())
    return found, total


def _met(places: np.ndarray, rows: np.ndarray, other: _Company) -> np.ndarray:
    """int64, rising: place + member, each once, for all members in the row of each occurrence."""
    starts = other.starts[rows]
    lengths = other.starts[rows + 1] - starts
    ends = np.cumsum(lengths)
    last = int(ends[-1]) if len(ends) else 0
    cuts = np.unique([0, *np.searchsorted(ends, np.arange(_AT_ONCE, last, _AT_ONCE)), len(rows)])
    found = []
    for a, b in pairwise(cuts.tolist()):
        members = other.members[places_of(starts[a:b], lengths[a:b])]
        found.append(np.unique(np.repeat(places[a:b], lengths[a:b]) + members))
    return found[0] if len(found) == 1 else np.unique(np.concatenate([np.empty(0, dtype=np.int64), *found]))
