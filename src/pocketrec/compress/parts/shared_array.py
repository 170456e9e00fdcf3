"""One array of weights that all tables share: how long it may be, and what it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage._storage import ARRAY_BLOCK
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from pocketrec.compress.group import Group

__all__ = ["array_bytes", "uniform_array", "weights_within"]


def array_bytes(storage: str, weights: int) -> int:
    """Bytes of an array of so many weights in this storage."""
    kept = STORAGES.get(storage)
    if kept.code == 0:
        return weights * kept.row_bytes(1)
    return -(-weights // ARRAY_BLOCK) * kept.row_bytes(ARRAY_BLOCK)


def weights_within(storage: str, budget_bytes: int, tables: Sequence[TableSpec]) -> int:
    """Weights of the longest array that fits; never more than the tables themselves have, which would be waste."""
    weights = STORAGES.get(storage).most_weights(budget_bytes)
    if all(t.rows is not None for t in tables):
        weights = min(weights, sum(t.closed_rows * t.dim for t in tables))
    return weights


def uniform_array(group: Group, name: str, init: float | None, *, seed: int) -> None:
    """Fill the array with the starting values of the table whose vectors start smallest: all tables read it."""
    widest = min(bound(t.table, init) for t in group.sizing.tables)
    uniform_(group.tensor(name).data, widest, seed=stream(seed, 0))
