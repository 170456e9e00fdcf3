"""Rows of which some numbers are pruned for good: how many a packed store has room for, the mask, and what serves.

The mask is a bit per number, in rows of whole bytes: bit c % 8 of byte c // 8 is number c. Pruned numbers are zero in
the rows, too, and have no gradient, so that neither decay nor momentum wakes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Holding, Rows, Scratch
from pocketrec.compress.method import Decision
from pocketrec.compress.parts.magnitude import cut_at, kept_by
from pocketrec.compress.parts.packed_sparse import STORE, pack, store_codes, store_holdings
from pocketrec.compress.parts.row_tables import row_access, starts, total_rows, uniform_rows
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.sparse_sizes import SparseSize, least_sparse_bytes, most_nonzeros
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.computed import Asked
    from pocketrec.compress.group import Group

__all__ = [
    "BEGINS",
    "KEPT",
    "ROWS",
    "SEARCHED",
    "SETTLED",
    "frozen_pruned",
    "keep_all_but_pruned",
    "keep_largest",
    "least_bytes",
    "masks",
    "place_of",
    "prune",
    "pruned_decision",
    "pruned_holdings",
    "searched_together",
    "settled_store",
    "sparse_size",
    "start_pruned",
    "store_or_rows",
]

ROWS: Final = "rows"
KEPT: Final = "kept"
"""Names of the tensors: float32 [rows, dim], and the mask uint8 [rows, ceil(dim / 8)]."""

SEARCHED: Final = "search"
SETTLED: Final = "settled"
"""Settings of a group that still searches what to prune, and of one that did."""

BEGINS: Final[Mapping[str, Literal["warm", "initial", "fresh"]]] = {
    "initial": "initial", "fresh": "fresh", "inherit": "warm",
}  # fmt: skip
"""With what a stage behind the search begins (`Stage.begin`), by what methods call it."""

_MOST_DIM: Final = 65_536  # numbers of a row, so that one of 16 bits says which
_CHUNK_NUMBERS: Final = 1 << 22

# -- sizes -----------------------------------------------------------------------------------------------------------


def least_bytes(method: str, tables: Sequence[TableSpec]) -> int:
    """The floor: one number is held.

    Raises:
        OptionError: rows of more numbers than a place can name.
    """
    return least_sparse_bytes(sum(t.closed_rows for t in tables), _dim(method, tables[0]), 1)


def pruned_decision(method: str, tables: Sequence[TableSpec], budget_bytes: int, note: str) -> Decision:
    """All rows of all tables, and the store that holds the most numbers of them in so many bytes.

    Args:
        method: its name, for errors.
        tables: all of one dim.
        budget_bytes: at least the floor.
        note: a sentence to print where anything is pruned.
    """
    rows, dim = sum(t.closed_rows for t in tables), _dim(method, tables[0])
    size = most_nonzeros(rows, dim, budget_bytes)
    assert size is not None, "the floor is one number"
    sized = tuple(
        TableSizing(
            table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
            settings={"rows": t.closed_rows},
        )
        for t in tables
    )  # fmt: skip
    said = () if size.nonzeros == rows * dim else (f"{1 - size.nonzeros / (rows * dim):.2%} of all numbers {note}",)
    return Decision(tables=sized, settings=_settings(size), notes=said)


def sparse_size(tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> SparseSize:
    """The store of a decision."""
    return SparseSize(
        rows=total_rows(tables), dim=tables[0].table.dim, nonzeros=int(settings["nonzeros"]),
        place_bytes=int(settings["place_bytes"]),
    )  # fmt: skip


def searched_together(groups: Sequence[GroupSizing]) -> tuple[tuple[TableSizing, ...], dict[str, Any]]:
    """Tables of these groups, and settings of one store that holds them all in the bytes of theirs."""
    tables = tuple(t for group in groups for t in group.tables)
    size = most_nonzeros(total_rows(tables), tables[0].table.dim, sum(group.serve_bytes for group in groups))
    assert size is not None, "each of them holds a number"
    return tables, _settings(size)


def settled_store(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a search as those of what it ended with."""
    return {**{name: value for name, value in settings.items() if name != SEARCHED}, SETTLED: True}


def _settings(size: SparseSize) -> dict[str, Any]:
    return {"nonzeros": size.nonzeros, "place_bytes": size.place_bytes}


def _dim(method: str, table: TableSpec) -> int:
    if table.dim > _MOST_DIM:
        raise OptionError(
            f"{method} takes vectors of at most {_MOST_DIM:,} numbers, table {table.name!r} has {table.dim:,}."
        )
    return table.dim


# -- what is held ----------------------------------------------------------------------------------------------------


def pruned_holdings(tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
    """Rows and mask while it trains, the store when it serves."""
    ids, dim = total_rows(tables), tables[0].table.dim
    return (
        Rows(ROWS, ids, dim, served=False), Scratch(KEPT, (ids, -(-dim // 8)), "uint8", stays=True),
        *store_holdings(sparse_size(tables, settings)),
    )  # fmt: skip


def start_pruned(group: Group, init: float | None, *, seed: int) -> None:
    """Starting values of a group under its mask; without one, as many numbers of each row as the store has room for.

    What the division leaves over goes to the first rows; which numbers of a row these are moves on from row to row, so
    that every dimension has as many.
    """
    import torch  # here, not above: sizing answers without it

    uniform_rows(group, ROWS, init, seed=seed)
    bits, rows, dim = group.tensor(KEPT).data, group.tensor(ROWS).data, group.dim
    if not bits.any():
        each, over = divmod(int(group.sizing.settings["nonzeros"]), len(rows))
        for first in range(0, len(rows), step := max(1, _CHUNK_NUMBERS // dim)):
            number = torch.arange(first, min(first + step, len(rows)))[:, None]
            bits[first : first + step] = _packed((torch.arange(dim) - number) % dim < each + (number < over))
    keep_all_but_pruned(rows, bits)


# -- the mask --------------------------------------------------------------------------------------------------------


def keep_largest(bits: Tensor, keys: Tensor, count: int) -> None:
    """Write the mask of just so many numbers: those of the largest magnitude in `keys`, of equal ones the first."""
    for first, mask in kept_by(cut_at(keys, count), keys, 1):
        bits[first : first + len(mask)] = _packed(mask)


def masks(bits: Tensor, dim: int, chunk_rows: int = 1) -> Iterator[tuple[int, Tensor]]:
    """First row and mask, bool [rows, dim], of some rows after the other: a multiple of `chunk_rows`, but the last."""
    step = max(1, _CHUNK_NUMBERS // (chunk_rows * dim)) * chunk_rows
    for first in range(0, len(bits), step):
        yield first, _unpacked(bits[first : first + step], dim)


def keep_all_but_pruned(rows: Tensor, bits: Tensor) -> None:
    """Write zeros over what is pruned of float32 [rows, dim]."""
    for first, mask in masks(bits, rows.shape[1]):
        rows[first : first + len(mask)].masked_fill_(~mask, 0.0)


def place_of(group: Group, asked: Asked) -> Tensor:
    """The rows of asked ids among those of all tables of the group: int64 [n]."""
    import torch

    return torch.tensor(starts(group.sizing.tables))[asked.tables] + asked.ids


def prune(group: Group, rows: Tensor, asked: Asked) -> Tensor:
    """Looked-up rows float32 [n, dim] under the mask: what is pruned is zero and takes no gradient."""
    return rows.masked_fill(~_unpacked(group.tensor(KEPT)[place_of(group, asked)], group.dim), 0.0)


def _packed(mask: Tensor) -> Tensor:
    """Bits of bool [n, dim]: uint8 [n, ceil(dim / 8)]."""
    import torch

    wide = torch.nn.functional.pad(mask, (0, -mask.shape[1] % 8)).view(len(mask), -1, 8)
    return (wide.to(torch.uint8) << torch.arange(8, dtype=torch.uint8)).sum(dim=2, dtype=torch.uint8)


def _unpacked(bits: Tensor, dim: int) -> Tensor:
    """The inverse of :func:`_packed`: bool [n, dim]."""
    import torch

    each = bits[:, :, None] >> torch.arange(8, dtype=torch.uint8) & 1
    return each.flatten(1)[:, :dim].bool()


# -- looking up and serving ------------------------------------------------------------------------------------------


def store_or_rows(sizing: GroupSizing, tensors: Mapping[str, Tensor], *, width: int) -> Access:
    """Rows of so many numbers, of which vectors are computed, while it trains; the store when it serves."""
    if ROWS in tensors:
        return replace(row_access(sizing, ROWS, width=width), computes=True)
    stored = store_codes(sparse_size(sizing.tables, sizing.settings))
    return replace(row_access(sizing, ROWS, width=sizing.tables[0].table.dim), regions=STORE, stored=stored)


def frozen_pruned(group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
    """The serving form of a group with a mask: just the numbers that it keeps, be they zero."""
    from pocketrec.compress.freeze import encoded

    size, bits = sparse_size(group.sizing.tables, group.sizing.settings), group.tensor(KEPT)
    store = pack(group.tensor(ROWS).detach(), size, masks(bits, size.dim, size.rows_per_block))
    return group.sizing, encoded(group, store)
