"""Vectors that are computed: rows of distinct ids are looked up, plain torch makes vectors of them, these are pooled.

Networks over hashes, codewords, learned widths: a method that says :attr:`Access.computes` gives its arithmetic once
(:meth:`Method.computed`), for ids one by one. What stands around it is here: each (table, id) of a call is computed
once, however often it is asked for; rows are looked up as always, so their gradient comes as pairs; and the vectors
become a table of the call's own, in which the ordinary lookup pools bags, with weights and with the gradient of all
that.

Whoever traces a call (a compiler, an export) may not know how many ids are distinct, so there every value is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from pocketrec.compress.addressing.row import Row
from pocketrec.compress.group import POOLING, Group, Pool
from pocketrec.compress.jagged import values_of_bags
from pocketrec.compress.joined import LEFT_OUT
from pocketrec.native.eager import is_eager
from pocketrec.native.plain_lookup import columns_in_bags

__all__ = [
    "Asked",
    "LookRowsUp",
    "computed_vectors",
    "per_table",
    "rows_of_ids",
    "vectors_of_bags",
    "vectors_of_distinct",
    "vectors_of_grid",
    "vectors_of_values",
    "with_loss",
]

# Ids below it are rows of the call's own table; as many as a program may name.
_MOST_DISTINCT: Final = 2**61

LookRowsUp = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Rows float32 [values, width] of ids int64 [values], all of the first table, then of the second (offsets int64
[tables + 1]), under a program with a row for each table."""


class Asked(NamedTuple):
    """Ids whose vectors are to be computed.

    Attributes:
        ids: int64 [n], ranks beyond a table's rows already 0.
        tables: int64 [n], which table of the group each is of.
        runs: (table, first, end) of each run of values of one table, in order and without gaps; None where only the
            data says which table a value is of.
        counts: int64 [n], how many values of the call each stands for; None where each is one.
    """

    ids: Tensor
    tables: Tensor
    runs: Sequence[tuple[int, int, int]] | None
    counts: Tensor | None = None


def per_table(group: Group, asked: Asked, compute: Callable[[int, Tensor], Tensor], of: Tensor | None = None) -> Tensor:
    """What every table computes in a way of its own, vectors [n, dim] or other numbers [n, width] of ids.

    Args:
        group: of the tables.
        asked: the ids.
        compute: [m, width] of ids int64 [m] of one table, or of what `of` has in their places. In a traced call with
            bags, where only the data says which table a value is of, all ids go through every table.
        of: [n, ...], what is given to `compute` in the place of ids.
    """
    given = asked.ids if of is None else of
    if asked.runs is not None:
        # of no ids nothing is computed by some table, so that a gradient of nothing can go back
        parts = [compute(table, given[first:end]) for table, first, end in asked.runs or [(0, 0, 0)]]
        return torch.cat(parts)
    found = compute(0, given)
    for table in range(1, len(group.sizing.tables)):
        found = torch.where((asked.tables == table)[:, None], compute(table, given), found)
    return found


class _WithLoss(torch.autograd.Function):
    """Vectors as they are; whoever goes back through them goes back through the loss, too."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, loss: Tensor) -> Tensor:
        return vectors.view_as(vectors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        return grads[0], grads[0].new_ones(())


def with_loss(vectors: Tensor, loss: Tensor) -> Tensor:
    """Vectors float32 [n, dim] of a method that has a loss of its own, a scalar: its gradient comes with theirs.

    It comes with weight one, however the vectors' gradient was scaled: the loss is for calls of a loss that is a mean
    over the batch, and a mean itself (docs/decisions/0023-a-loss-of-a-method-goes-back-with-its-vectors.md).
    """
    found: Tensor = _WithLoss.apply(vectors, loss)  # type: ignore[no-untyped-call]  # torch has no types here
    return found


def computed_vectors(
    group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool, look_rows_up: LookRowsUp
) -> Tensor:
    """Vectors of a group whose method computes them: float32 [batch, columns, dim], or [values, dim].

    Args:
        group: in either form.
        ids, weights, pool: as in :meth:`Group.lookup`.
        offsets: of the group's columns, or None.
        look_rows_up: how rows are looked up, and noted if somebody learns from them.
    """
    if not is_eager(ids):
        return _traced(group, ids, offsets, weights, pool)

    def make(distinct: Tensor, tables: Tensor, ends: Tensor, numbers: Tensor) -> Tensor:
        rows = look_rows_up(distinct, ends, group.program_of_tables)
        return group.method.computed(group, rows, Asked(distinct, tables, _runs(ends), numbers))

    return vectors_of_distinct(group, ids, offsets, weights, pool, make)


def vectors_of_distinct(
    group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool,
    make: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
) -> Tensor:  # fmt: skip
    """Vectors that are made once for each distinct (table, id): float32 [batch, columns, dim], or [values, dim].

    Args:
        group: in either form.
        ids, weights, pool: as in :meth:`Group.lookup`.
        offsets: of the group's columns, or None.
        make: float32 [n, dim] of n distinct ids, int64 [n], their tables, int64 [n], rising, where each table's begin,
            int64 [tables + 1], and how many values each stands for, int64 [n].
    """
    own, tables, padding, place = _values(group, ids, offsets)
    kept = ~padding
    distinct, of_table, inverse = _distinct(own[kept], tables[kept])
    counts = torch.bincount(of_table, minlength=len(group.sizing.tables))
    numbers = torch.bincount(inverse, minlength=len(distinct))
    vectors = make(distinct, of_table, torch.cat([counts.new_zeros(1), counts.cumsum(0)]), numbers)
    places = torch.full_like(own, LEFT_OUT)
    places[kept] = inverse
    if place is None:
        places = places.view(-1, len(group.columns))
    else:
        places = torch.full_like(ids, LEFT_OUT).index_copy(0, place, places)
    return _pooled(vectors, places, offsets, weights, pool, len(group.columns))


def rows_of_ids(group: Group, ids: Tensor, ends: Tensor, program: Tensor, *, sparse: bool = False) -> Tensor:
    """Rows of ids as `LookRowsUp` asks for them; [values, 0] of a group that has none, once the ids were looked at.

    Raises:
        IdError: an id that its table does not take.
    """
    if not group.access.regions:
        group.addresses(ids, ends, program=program)  # refuses what lies beyond a table
        return torch.empty(len(ids), 0)
    return group.lookup(ids, ends, None, "none", sparse=sparse, program=program)


def vectors_of_values(group: Group, ids: Tensor, ends: Tensor, tables: Tensor, program: Tensor) -> Tensor:
    """Vectors of values by one group alone, computed or not: float32 [values, dim], zeros for those that it leaves out.

    Args:
        group: in either form.
        ids: int64 [values], one table after the other; negative ones are padding of the program.
        ends: int64 [tables asked + 1], where each table's values begin, and the number of values.
        tables: int64 [values], which table of the group each is of.
        program: int64 [tables asked, 17].
    """
    rows = rows_of_ids(group, ids, ends, program)
    if not group.access.computes:
        return group.widened(rows, tables)
    runs = [(int(tables[first]), first, end) for first, end in pairwise(ends.tolist()) if first < end]
    asked = Asked(group.known(ids.clamp(min=0), tables), tables, runs, (ids >= 0).long())
    return group.method.computed(group, rows, asked).masked_fill(ids[:, None] < 0, 0.0)


def vectors_of_grid(group: Group, rows: Tensor | None, ids: Tensor) -> Tensor:
    """Vectors of all ids of a grid, no branch on data: float32 [batch, columns, dim], zeros for padding.

    Args:
        group: in either form.
        rows: float32 [batch, columns of the group, width], what was looked up; None where there are no regions.
        ids: int64 [batch, columns of the bank].
    """
    batch, columns = ids.shape[0], len(group.columns)
    own = ids.index_select(1, torch.tensor(group.columns)).t().reshape(-1)
    column = torch.arange(columns)[:, None].expand(columns, batch).reshape(-1)
    found = own.new_empty((own.shape[0], 0), dtype=torch.float32)
    if rows is not None:
        found = rows.transpose(0, 1).reshape(-1, group.access.width)
    runs = [(place, c * batch, (c + 1) * batch) for c, place in enumerate(group.places)]
    return _by_value(group, found, own, column, runs).view(columns, batch, -1).transpose(0, 1)


def vectors_of_bags(group: Group, rows: Tensor | None, ids: Tensor, offsets: Tensor) -> Tensor:
    """Vectors of all values, no branch on data: float32 [values, dim], zeros for padding.

    Args:
        group: in either form.
        rows: float32 [values, width], what was looked up; None where there are no regions.
        ids: int64 [values].
        offsets: of the group's columns.
    """
    found = ids.new_empty((ids.shape[0], 0), dtype=torch.float32) if rows is None else rows
    return _by_value(group, found, ids, columns_in_bags(ids, offsets, len(group.columns)), None)


def _by_value(
    group: Group, rows: Tensor, ids: Tensor, columns: Tensor, runs: Sequence[tuple[int, int, int]] | None
) -> Tensor:
    tables, pads = group.tables_of(columns), torch.tensor(group.padding)[columns]
    padding = (ids == pads) & (pads != -1)
    asked = Asked(group.known(ids.clamp(min=0), tables), tables, runs, (~padding).long())
    return torch.where(padding[:, None], 0.0, group.method.computed(group, rows, asked))


def _traced(group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool) -> Tensor:
    rows = group.lookup(ids, offsets, None, "none") if group.access.regions else None
    if rows is None:
        group.addresses(ids, offsets)  # refuses what lies beyond a table
    if offsets is None:
        return vectors_of_grid(group, rows, ids)
    vectors, columns = vectors_of_bags(group, rows, ids, offsets), len(group.columns)
    pads = torch.tensor(group.padding)[columns_in_bags(ids, offsets, columns)]
    places = torch.where((ids == pads) & (pads != -1), LEFT_OUT, torch.arange(ids.shape[0]))
    return _pooled(vectors, places, offsets, weights, pool, columns)


def _values(group: Group, ids: Tensor, offsets: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Of the values of a call: ids, tables, whether they are padding; and with offsets, where they stand in the ids."""
    pads, place = torch.tensor(group.padding), None
    if offsets is None:
        grid = ids if group.columns == list(range(ids.shape[1])) else ids[:, group.columns]
        own, tables, pads = grid.reshape(-1), group.tables_of_ids(len(ids)), pads.repeat(len(ids))
    else:
        place, column, _ = values_of_bags(offsets, len(group.columns))
        own, tables, pads = ids[place], group.tables_of(column), pads[column]
    return group.known(own, tables), tables, (own == pads) & (pads != -1), place


def _distinct(ids: Tensor, tables: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distinct (table, id), by table; and for each value which of them it is. All int64."""
    words, number = torch.unique(ids, return_inverse=True)
    count = max(1, len(words))
    both, inverse = torch.unique(tables * count + number, return_inverse=True)
    return words[both % count], both // count, inverse


def _runs(ends: Tensor) -> list[tuple[int, int, int]]:
    return [(table, first, end) for table, (first, end) in enumerate(pairwise(ends.tolist())) if first < end]


def _pooled(
    vectors: Tensor, places: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool, columns: int
) -> Tensor:
    """The ordinary lookup in a table of these vectors."""
    program = [Row(start=0, rows=_MOST_DISTINCT).program(column=c, padding=LEFT_OUT) for c in range(columns)]
    operation = torch.ops.pocketrec.lookup if torch.is_grad_enabled() else torch.ops.pocketrec.lookup_frozen
    found: Tensor = operation(
        [vectors.contiguous()], places, offsets, weights, torch.tensor(program), None, [0], vectors.shape[1], 1, 0,
        POOLING["none" if offsets is None else pool], False,
    )  # fmt: skip
    return found
