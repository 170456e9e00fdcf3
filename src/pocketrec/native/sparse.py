"""Rows out of a packed sparse store (reference; csrc/sparse.cpp gives the same bits).

A store is two regions of a call, one behind the other. The *index*, int32 or int64 [blocks + 1], says where the numbers
of each block of rows begin among the *entries*, and where the last one's end. An entry is a number that is held: uint8
[place bytes + 2], its place within the block (row within the block x dim + column, lower byte first) and its value,
float16. Places rise within a block. All other numbers of the table are zero. Addresses are those of rows, and count
through the index: blocks x rows of a block; the entries have none. Sizes are those of `pocketrec.spec.sparse_sizes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from pocketrec.native.program import Storage
from pocketrec.spec.sparse_sizes import VALUE_BYTES, rows_per_block

__all__ = ["SPARSE", "Spans", "check_stores", "refuse_spans", "rows_between", "spans_of", "store_rows"]

SPARSE: Final[dict[int, int]] = {Storage.SPARSE8: 1, Storage.SPARSE16: 2}
"""Storages of an index: bytes of a place."""

_INDEX_DTYPES: Final = (torch.int32, torch.int64)


def store_rows(index: Tensor, storage: int, dim: int) -> int:
    """Addresses of a store: rows of all its blocks. The last one may have some that the table has not: zeros."""
    return (index.shape[0] - 1) * rows_per_block(dim, SPARSE[storage])


def check_stores(regions: Sequence[Tensor], storages: Sequence[int], dim: int) -> None:
    """Refuse stores that are not an index and the entries behind it, or whose rows have too many numbers.

    Raises:
        TypeError, ValueError: names the region, and what it must be.
    """
    for number, (region, storage) in enumerate(zip(regions, storages, strict=True)):
        if storage in SPARSE:
            if not rows_per_block(dim, SPARSE[storage]):
                raise ValueError(f"region {number}: places of {8 * SPARSE[storage]} bits are too few for dim {dim}.")
            _check(region, number, region.dim() == 1 and region.shape[0] >= 1, _INDEX_DTYPES, "[blocks + 1]")
            if number + 1 == len(storages) or storages[number + 1] != Storage.ENTRIES:
                raise ValueError(f"region {number} is the index of a sparse store, whose entries must be the next one.")
        elif storage == Storage.ENTRIES:
            if number == 0 or storages[number - 1] not in SPARSE:
                raise ValueError(f"region {number} holds entries; the region before it must be their index.")
            width = SPARSE[storages[number - 1]] + VALUE_BYTES
            _check(
                region, number, region.dim() == 2 and region.shape[1] == width, (torch.uint8,), f"[entries, {width}]"
            )


def _check(region: Tensor, number: int, shaped: bool, dtypes: tuple[torch.dtype, ...], shape: str) -> None:
    if region.dtype in dtypes and shaped and region.is_contiguous():
        return
    kind = ValueError if region.dtype in dtypes else TypeError
    names = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
    raise kind(
        f"region {number} must be {names} {shape} and contiguous, got {region.dtype} {list(region.shape)} "
        f"with strides {list(region.stride())}."
    )


class Spans(NamedTuple):
    """Where the entries of some rows' blocks lie.

    Attributes:
        begins, ends: int64 [n].
        fits: bool [n], whether they lie within the entries and are no more than a block has numbers. Only those that
            fit may be read.
    """

    begins: Tensor
    ends: Tensor
    fits: Tensor


def spans_of(index: Tensor, entries: Tensor, rows: Tensor, dim: int) -> Spans:
    """Spans of rows int64 [n] within the store."""
    per_block = rows_per_block(dim, entries.shape[1] - VALUE_BYTES)
    blocks = rows // per_block
    begins, ends = (index.index_select(0, blocks + i).long() for i in (0, 1))
    fits = (begins >= 0) & (begins <= ends) & (ends <= entries.shape[0]) & (ends - begins <= per_block * dim)
    return Spans(begins, ends, fits)


def refuse_spans(spans: Spans, entries: Tensor) -> None:
    """Refuse spans that do not fit.

    Raises:
        ValueError: names the first.
    """
    if not bool(spans.fits.all()):
        at = int(spans.fits.int().argmin())
        raise ValueError(
            f"the entries of a block of a sparse store run from {int(spans.begins[at])} to {int(spans.ends[at])}; they "
            f"must lie within its {entries.shape[0]} entries, and be no more than the block has numbers."
        )


def rows_between(spans: Spans, entries: Tensor, rows: Tensor, dim: int) -> Tensor:
    """Rows int64 [n] as float32 [n, dim], from spans that fit.

    Every number is looked for by itself, in as many steps for all: what a trace can follow.
    """
    count, width = entries.shape
    if count == 0:
        return torch.zeros((rows.shape[0], dim), dtype=torch.float32, device=rows.device)
    place_bytes = width - VALUE_BYTES
    per_block = rows_per_block(dim, place_bytes)
    wanted = (rows % per_block * dim)[:, None] + torch.arange(dim, device=rows.device)
    low, high = (torch.where(spans.fits, of, 0)[:, None].expand(wanted.shape) for of in spans[:2])
    for _ in range(min(count, per_block * dim).bit_length()):
        middle = (low + high) // 2
        goes_on = (low < high) & (_places(entries, middle, place_bytes) < wanted)
        low, high = torch.where(goes_on, middle + 1, low), torch.where(goes_on, high, middle)
    end = torch.where(spans.fits, spans.ends, 0)[:, None]
    held = (low < end) & (_places(entries, low, place_bytes) == wanted)
    return torch.where(held, _values(entries, low, place_bytes), 0.0)


def _at(entries: Tensor, numbers: Tensor) -> Tensor:
    """uint8 [n, dim, width]; the last entry for numbers behind it."""
    inside = torch.where(numbers < entries.shape[0], numbers, entries.shape[0] - 1)
    return entries.index_select(0, inside.reshape(-1)).reshape(*numbers.shape, entries.shape[1])


def _places(entries: Tensor, numbers: Tensor, place_bytes: int) -> Tensor:
    found = _at(entries, numbers)
    return found[..., 0].long() | (found[..., 1].long() << 8 if place_bytes == 2 else 0)


def _values(entries: Tensor, numbers: Tensor, place_bytes: int) -> Tensor:
    # Cloned: a slice may start where a float16 cannot.
    halves = _at(entries, numbers)[..., place_bytes:].clone(memory_format=torch.contiguous_format)
    return halves.view(torch.float16).float().squeeze(-1)
