"""Tables that are stacked into one tensor of rows: starts, values, dense rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from pocketrec.compress.access import Access
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.spec.sizing import GroupSizing, TableSizing

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["fold_dense", "per_table", "row_access", "starts", "total_rows", "uniform_rows"]


def starts(tables: Sequence[TableSizing]) -> list[int]:
    """First row of every table in the stacked tensor; settings["rows"] says how many each has."""
    return [0, *accumulate(int(t.settings["rows"]) for t in tables)][:-1]


def total_rows(tables: Sequence[TableSizing]) -> int:
    """Rows of the stacked tensor."""
    return sum(int(t.settings["rows"]) for t in tables)


def per_table(tensor: Tensor, tables: Sequence[TableSizing]) -> list[Tensor]:
    """Views of the stacked tensor, one per table."""
    import torch  # here, not above: sizing answers without it

    return list(torch.split(tensor, [int(t.settings["rows"]) for t in tables]))


def uniform_rows(group: Group, name: str, init: float | None, *, seed: int) -> None:
    """Fill every table's rows with its own starting values."""
    tables = group.sizing.tables
    for index, (rows, sized) in enumerate(zip(per_table(group.tensor(name).data, tables), tables, strict=True)):
        uniform_(rows, bound(sized.table, init), seed=stream(seed, index))


def fold_dense(group: Group, name: str, weights: Mapping[str, Tensor]) -> None:
    """Fill rows from dense tables float32 [rows, dim]; row 0 is the mean of all ids that have no row, and of id 0."""
    tables = group.sizing.tables
    for rows, sized in zip(per_table(group.tensor(name).data, tables), tables, strict=True):
        dense, kept = weights[sized.table.name], rows.shape[0]
        rows.copy_(dense[:kept])
        if kept < dense.shape[0]:  # the fold row speaks for unknown and for every id that lost its row
            rows[0] = (dense[:1].sum(0) + dense[kept:].sum(0)) / (1 + dense.shape[0] - kept)


def row_access(sizing: GroupSizing, name: str, *, width: int, widen: str | None = None) -> Access:
    """Every id below a table's ``rows`` reads the row of its own number, larger ids read row 0.

    Args:
        sizing: tables with settings["rows"].
        name: of the stacked tensor.
        width: numbers per row.
        widen: name of the widening matrices, if there are any.
    """
    addressing = [
        Row(start=start, rows=int(t.settings["rows"]))
        for start, t in zip(starts(sizing.tables), sizing.tables, strict=True)
    ]
    return Access(regions=(name,), addressing=addressing, width=width, widen=widen)
