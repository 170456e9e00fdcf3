"""Read vectors out of regions (reference): from addresses to numbers, whatever the storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pocketrec.native.addresses import block_hashes, owned
from pocketrec.native.chain import chain_of, chain_vectors, slice_addresses
from pocketrec.native.mix import SIGN_SALT, mix
from pocketrec.native.program import HASHED_BLOCKS, WEIGHTS_PER_SCALE, BlockFlag, Column, Combining, Storage
from pocketrec.native.request import Request, code_bytes, units
from pocketrec.native.sparse import SPARSE, refuse_spans, rows_between, spans_of
from pocketrec.native.values import Values
from pocketrec.spec.errors import IdError

__all__ = [
    "block_addresses",
    "block_signs",
    "block_weights",
    "core_slices",
    "in_regions",
    "part_vectors",
    "refuse_beyond",
    "stored_rows",
    "stored_weights",
    "value_vectors",
]


def refuse_beyond(addresses: Tensor, total: int) -> None:
    """Refuse addresses that lie beyond the regions.

    Raises:
        IdError: names the first.
    """
    beyond = addresses >= total
    if bool(beyond.any()):
        raise IdError(f"address {int(addresses[beyond][0])} lies beyond the {total} rows (or weights) of the regions.")


def in_regions(addresses: Tensor, sizes: Sequence[int]) -> Iterator[tuple[int, Tensor | None, Tensor]]:
    """Deal addresses out to the regions that they fall into.

    Args:
        addresses: int64 [n]; -1 falls into no region.
        sizes: units of each region.

    Yields:
        (number of the region, which addresses: indices int64 [m] or None for all of them in order, their units within
        the region: int64 [m]) for every region that has any.

    Raises:
        IdError: an address beyond the last region.
    """
    refuse_beyond(addresses, sum(sizes))
    if len(sizes) == 1 and not bool((addresses < 0).any()):
        yield 0, None, addresses
        return
    first = 0
    for number, size in enumerate(sizes):
        chosen = ((addresses >= first) & (addresses < first + size)).nonzero().squeeze(1)
        if chosen.shape[0]:
            yield number, chosen, addresses.index_select(0, chosen) - first
        first += size


def stored_rows(region: Tensor, storage: int, rows: Tensor, dim: int) -> Tensor:
    """Rows int64 [n] of one region as float32 [n, dim], whatever its storage."""
    found = region.index_select(0, rows)
    if storage == Storage.FLOAT:
        return found.float()
    packed = found[:, : code_bytes(storage, dim)]
    # Cloned: a slice may start where a float cannot.
    scale_bias = _floats(found[:, packed.shape[1] :].clone(memory_format=torch.contiguous_format), storage)
    codes = packed
    if storage == Storage.INT4:
        codes = torch.stack((packed & 15, packed >> 4), dim=2).flatten(1)[:, :dim]
    if storage == Storage.INT16:
        codes = packed[:, ::2].int() | packed[:, 1::2].int() << 8
    return codes.float() * scale_bias[:, :1] + scale_bias[:, 1:]


def _floats(tail: Tensor, storage: int) -> Tensor:
    """Scale and bias, float32 [..., 2], of the bytes at the end of rows."""
    return tail.view(torch.float16).float() if storage == Storage.INT4 else tail.view(torch.float32)


def part_vectors(request: Request, addresses: Tensor) -> Tensor:
    """Vectors float32 [n, dim] at addresses int64 [n]; zeros at null addresses."""
    dim, regions, storages = request.dim, request.regions, request.storages
    sizes = [units(region, storage, dim, request.combining) for region, storage in zip(regions, storages, strict=True)]
    out = torch.zeros((addresses.shape[0], dim), dtype=torch.float32, device=addresses.device)
    for number, chosen, rows in in_regions(addresses, sizes):
        if storages[number] in SPARSE:
            index, entries = regions[number : number + 2]
            spans = spans_of(index, entries, rows, dim)
            refuse_spans(spans, entries)
            found = rows_between(spans, entries, rows, dim)
        else:
            found = stored_rows(regions[number], storages[number], rows, dim)
        out = found if chosen is None else out.index_copy_(0, chosen, found)
    return out


def stored_weights(region: Tensor, storage: int, addresses: Tensor) -> Tensor:
    """Weights of a shared array at addresses of any shape, float32, whatever its storage."""
    if storage == Storage.FLOAT:
        return region[addresses].float()
    row, column = addresses // WEIGHTS_PER_SCALE, addresses % WEIGHTS_PER_SCALE
    tail = torch.arange(code_bytes(storage, WEIGHTS_PER_SCALE), region.shape[1], device=region.device)
    scale_bias = _floats(region[row[..., None], tail], storage)
    shift = column % 2 * 4
    if storage == Storage.INT16:
        codes = region[row, 2 * column].int() | region[row, 2 * column + 1].int() << 8
    else:
        codes = region[row, column // 2] >> shift & 15 if storage == Storage.INT4 else region[row, column]
    return codes.float() * scale_bias[..., 0] + scale_bias[..., 1]


def block_weights(
    values: Values, starts: Tensor, program: Tensor, maps: Tensor | None, dim: int
) -> tuple[Tensor, Tensor]:
    """Addresses int64 [n, dim] and signs float32 [n, dim] of all weights of n values.

    Args:
        values: the n values.
        starts: int64 [n, parts], first address of each block; -1 for padding, whose addresses stay -1.
        program: int64 [fields, 17].
        maps: of the call.
        dim: width of the vectors; the last block is cut to it.
    """
    row = program.index_select(0, values.fields)
    addresses = block_addresses(starts, row, dim)
    if not bool(_signed(row).any()):
        return addresses, torch.ones_like(addresses, dtype=torch.float32)
    return addresses, block_signs(values.ids, row, maps, dim)


def block_addresses(starts: Tensor, row: Tensor, dim: int) -> Tensor:
    """Addresses int64 [n, dim] of all weights of n values whose blocks start at int64 [n, parts].

    Args:
        starts: first address of each block; -1 for padding, whose addresses stay -1.
        row: int64 [n, 17], the program row of each value.
        dim: width of the vectors; the last block is cut to it.
    """
    first, size = row[:, Column.START, None], row[:, Column.SIZE, None]
    block, within = _elements(row, dim)
    block_starts = starts.gather(1, block)
    # weights of an id's own lie before the shared ones, and end before they do
    shared = first + (block_starts - first + within) % size
    found = torch.where(block_starts >= first, shared, block_starts + within)
    return torch.where(block_starts >= 0, found, -1)


def block_signs(ids: Tensor, row: Tensor, maps: Tensor | None, dim: int) -> Tensor:
    """Signs float32 [n, dim] of all weights of n ids; 1 where the program draws none, and for an id's own weights."""
    block, within = _elements(row, dim)
    hashes = block_hashes(ids, row, block, maps) ^ SIGN_SALT
    words = mix(hashes, 1 + within // 64)
    negative = _signed(row) & ~owned(ids, row)[:, None] & ((words >> (within % 64)) & 1).bool()
    return torch.where(negative, -1.0, 1.0)


def _elements(row: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Which block each number of a vector is of, and its place within the block: int64 [n, dim] each."""
    length = row[:, Column.A, None]
    elements = torch.arange(dim, device=row.device)
    block = elements // length
    return block, elements - block * length


def _signed(row: Tensor) -> Tensor:
    hashed = torch.isin(row[:, Column.KIND, None], torch.tensor(HASHED_BLOCKS, device=row.device))
    return hashed & ((row[:, Column.B, None] & BlockFlag.SIGN) != 0)


def core_slices(request: Request, addresses: Tensor) -> list[Tensor]:
    """Slices of cores that begin at int64 [n, parts]: float32 [n, rows, rank] per core, any for null addresses."""
    region, storage, chain = request.regions[0], request.storages[0], chain_of(request.program[0].tolist())
    found = []
    for rows in slice_addresses(addresses, chain):
        refuse_beyond(rows, region.shape[0])
        held = stored_rows(region, storage, rows.clamp(min=0).reshape(-1), chain.rank)
        found.append(held.reshape(*rows.shape, chain.rank))
    return found


def value_vectors(request: Request, values: Values, addresses: Tensor) -> Tensor:
    """Vectors float32 [n, dim] of n values, their parts combined; zeros for padding.

    Args:
        request: the call.
        values: the n values.
        addresses: int64 [n, parts], of `pocketrec.native.addresses.compute_addresses`.
    """
    if request.combining == Combining.CONTRACT:
        found = chain_vectors(core_slices(request, addresses), chain_of(request.program[0].tolist()))
        return torch.where(values.padding[:, None], 0.0, found)
    if request.combining == Combining.CONCAT:
        region, storage = request.regions[0], request.storages[0]
        weights, signs = block_weights(values, addresses, request.program, request.maps, request.dim)
        refuse_beyond(weights, units(region, storage, request.dim, request.combining))
        found = stored_weights(region, storage, weights.clamp(min=0)) * signs
        return torch.where(weights >= 0, found, 0.0)
    out = part_vectors(request, addresses[:, 0])
    for part in range(1, request.parts):
        other = part_vectors(request, addresses[:, part])
        if request.combining == Combining.SUM:
            out = out + other
        else:
            out = torch.where(addresses[:, part, None] >= 0, out * other, out)
    return out
