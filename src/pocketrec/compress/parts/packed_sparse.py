"""A packed sparse store (`pocketrec.native.sparse`) of the largest numbers of a table, as many as it has room for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pocketrec.compress.holdings import Served
from pocketrec.compress.parts.magnitude import cut_at, kept_by
from pocketrec.spec.sparse_sizes import SparseSize

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["STORE", "pack", "store_codes", "store_holdings"]

STORE = ("index", "entries")
"""Names of the tensors of a store, in the order of the regions."""

# `pocketrec.native.program.Storage`, which sizing does not import: it needs torch.
_INDEX_CODES = {1: 16, 2: 17}
_ENTRIES_CODE = 20

_FLOAT16_LIMIT = 65504.0


def store_holdings(size: SparseSize) -> tuple[Served, Served]:
    """What serving holds of a store."""
    index, entries = STORE
    return Served(index, size.index_shape, size.index_dtype), Served(entries, size.entries_shape, "uint8")


def store_codes(size: SparseSize) -> tuple[int, int]:
    """What the native ops call the storages of its regions."""
    return _INDEX_CODES[size.place_bytes], _ENTRIES_CODE


def pack(rows: Tensor, size: SparseSize, kept: Iterable[tuple[int, Tensor]] | None = None) -> dict[str, Tensor]:
    """The store of `size.nonzeros` numbers, by the names of its tensors: if not told which, those of largest magnitude.

    Zeros fill it up where fewer are not zero: of numbers of equal magnitude the first ones of the table are held.
    Values are rounded to the nearest float16; beyond its largest, 65504, they are clamped.

    Args:
        rows: float32 [rows, dim], contiguous. What is held besides the store is a part of a few million numbers.
        size: of the store.
        kept: first row and mask, bool [some rows, dim], of some rows after the other, a multiple of
            `size.rows_per_block` but the last; just `size.nonzeros` numbers in all.
    """
    import torch  # here, not above: sizing answers without it

    from pocketrec.native.huge_pages import empty

    dim, per_block, width = size.dim, size.rows_per_block, size.place_bytes
    index = torch.zeros(size.index_shape, dtype=getattr(torch, size.index_dtype))
    entries = empty(size.entries_shape, torch.uint8)
    done = 0
    for first, mask in kept_by(cut_at(rows, size.nonzeros), rows, per_block) if kept is None else kept:
        row, column = mask.nonzero(as_tuple=True)
        begin, done = done, done + len(row)
        place = (row % per_block * dim + column).to(torch.int32)
        values = rows[first : first + len(mask)].detach()[mask].clamp(-_FLOAT16_LIMIT, _FLOAT16_LIMIT).half()
        entries[begin:done, :width] = place.view(torch.uint8).view(-1, 4)[:, :width]
        entries[begin:done, width:] = values.view(torch.uint8).view(-1, 2)
        block, blocks = first // per_block, -(-len(mask) // per_block)
        counts = torch.bincount(row // per_block, minlength=blocks)
        index[block + 1 : block + 1 + blocks] = begin + counts.cumsum(0)
    assert done == size.nonzeros, f"{done} numbers of {size.nonzeros} were packed"
    return dict(zip(STORE, (index, entries), strict=True))
