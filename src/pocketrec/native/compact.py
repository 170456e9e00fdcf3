"""From the gradient of a lookup to distinct (address, gradient) pairs: op ``pocketrec::compact``.

A step costs what the batch touches, never what the table holds: these pairs are all that clipping, accumulation,
exchange and the fused update need to see.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from pocketrec.native.addresses import compute_addresses
from pocketrec.native.binding import kernels_for
from pocketrec.native.chain import chain_gradients, chain_of, slice_addresses
from pocketrec.native.lane_sums import lane_sums
from pocketrec.native.library import define
from pocketrec.native.packing import Packed, contiguous, pack, require_cpu
from pocketrec.native.pooling import value_gradients
from pocketrec.native.program import WEIGHTS_PER_SCALE, Access, Combining, Pooling
from pocketrec.native.program_check import check_blocks, check_program
from pocketrec.native.regions import block_weights, core_slices, part_vectors, refuse_beyond, value_vectors
from pocketrec.native.request import SCHEMA, Request, bag_shape, check_cores, check_request, check_value, row_width
from pocketrec.native.values import values_of

__all__ = ["Room", "check_gradient", "compact", "compact_pairs", "room_of", "run_compact"]


@torch.no_grad()
def _reference(grad: Tensor, request: Request, found: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    check_program(request.program, request.maps, request.parts)
    check_blocks(request.program, request.dim, request.parts, request.combining)
    values = values_of(request.ids, request.offsets, request.program)
    addresses = compute_addresses(values, request.program, request.maps, request.parts) if found is None else found
    if found is not None:
        refuse_beyond(found, sum(len(region) for region in request.regions))
    vectors = value_vectors(request, values, addresses) if request.pooling == Pooling.MAX else None
    per_value = value_gradients(request, values, grad, vectors)
    if request.combining == Combining.CONTRACT:
        return *_of_cores(request, addresses, per_value), grad.new_empty(0)
    if request.combining == Combining.CONCAT:
        weights, signs = block_weights(values, addresses, request.program, request.maps, request.dim)
        return *_by_chunk(*_merge(weights.reshape(-1), (per_value * signs).reshape(-1, 1))), grad.new_empty(0)
    per_part = per_value[:, None].expand(-1, request.parts, -1)
    if request.combining == Combining.PRODUCT:
        per_part = torch.stack(
            (_times(request, per_value, addresses[:, 1]), _times(request, per_value, addresses[:, 0])), 1
        )
    distinct, grads = _merge(addresses.reshape(-1), per_part.reshape(-1, request.dim))
    return distinct, grads, lane_sums(grads * grads)


def _times(request: Request, grads: Tensor, other: Tensor) -> Tensor:
    """The gradient of one factor of a product: times the other factor, or as it is where there is no other."""
    return torch.where(other[:, None] >= 0, grads * part_vectors(request, other), grads)


def _merge(addresses: Tensor, grads: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the gradients of equal addresses in order of occurrence; drop null addresses."""
    kept = (addresses >= 0).nonzero().squeeze(1)
    addresses, grads = addresses.index_select(0, kept), grads.index_select(0, kept)
    distinct, slots = torch.unique(addresses, return_inverse=True)
    count = addresses.shape[0]
    first = torch.full_like(distinct, count)
    first.scatter_reduce_(0, slots, torch.arange(count, device=slots.device), "amin")
    order = first.argsort()
    rank = torch.empty_like(order).index_copy_(0, order, torch.arange(order.shape[0], device=order.device))
    out = grads.new_zeros((distinct.shape[0], grads.shape[1]))
    return distinct.index_select(0, order), out.index_add_(0, rank.index_select(0, slots), grads)


def _of_cores(request: Request, addresses: Tensor, per_value: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of all rows of the slices that were touched, rising."""
    chain = chain_of(request.program[0].tolist())
    grads = chain_gradients(core_slices(request, addresses), chain, per_value)
    rows = torch.cat([own.reshape(-1) for own in slice_addresses(addresses, chain)])
    distinct, sums = _merge(rows, torch.cat([own.reshape(-1, chain.rank) for own in grads]))
    order = distinct.argsort()
    return distinct.index_select(0, order), sums.index_select(0, order)


def _by_chunk(addresses: Tensor, grads: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of single weights in the order of their chunks' first occurrence, rising within a chunk."""
    _, chunks = torch.unique(addresses // WEIGHTS_PER_SCALE, return_inverse=True)
    count = addresses.shape[0]
    first = torch.full_like(addresses, count)
    first.scatter_reduce_(0, chunks, torch.arange(count, device=addresses.device), "amin")
    order = addresses.argsort()
    order = order.index_select(0, first.index_select(0, chunks.index_select(0, order)).argsort(stable=True))
    return addresses.index_select(0, order), grads.index_select(0, order)


def check_gradient(grad: Tensor, request: Request) -> None:
    """Refuse a gradient that has not the shape of the lookup's output.

    Raises:
        TypeError: not float32.
        ValueError: another shape.
    """
    if grad.dtype is not torch.float32:
        raise TypeError(f"grad must be float32, got {grad.dtype}.")
    if request.offsets is not None and request.pooling == Pooling.NONE:
        wanted: tuple[int, ...] = (request.ids.shape[0], request.dim)
    else:
        wanted = (*bag_shape(request.ids, request.offsets, request.program), request.dim)
    fits = grad.dim() == len(wanted) and all(a == b for a, b in zip(grad.shape, wanted, strict=True))
    check_value(fits, lambda: f"grad must be {list(wanted)}, the shape of the lookup's output, got {list(grad.shape)}.")


class Room(NamedTuple):
    """What the pairs of calls of one access take.

    Attributes:
        each: addresses of a value, at most.
        most: of all values, at most.
        unit: numbers per address.
        squares: whether the sum of squares of each gradient is found, too.
    """

    each: int
    most: int
    unit: int
    squares: bool


def room_of(request: Request) -> Room:
    """For a checked request; of ids and offsets nothing is asked."""
    if request.combining == Combining.CONTRACT:
        chain = chain_of(request.program[0].tolist())
        return Room(sum(chain.slice_rows), request.regions[0].shape[0], chain.rank, squares=False)
    if request.combining == Combining.CONCAT:
        return Room(request.dim, 2**63 - 1, 1, squares=False)
    return Room(request.parts, 2**63 - 1, request.dim, squares=True)


def _values(request: Request) -> int:
    """Values of a call at most."""
    ids, offsets, program = request.ids, request.offsets, request.program
    if offsets is None:
        return ids.shape[0] * program.shape[0]
    if offsets.dim() == 1:
        return ids.shape[0]
    return max(0, int((offsets[:, -1] - offsets[:, 0]).sum()))  # bags of several fields may share ids


def _unit(request: Request) -> int:
    """Numbers per address, as far as shapes tell it: the rank of cores without their program, which is data."""
    if request.combining == Combining.CONTRACT:
        return row_width(request.regions[0], request.storages[0])
    return 1 if request.combining == Combining.CONCAT else request.dim


def _has_squares(request: Request) -> bool:
    return request.combining not in (Combining.CONCAT, Combining.CONTRACT)


def _compiled(kernels: Any, grad: Tensor, request: Request, found: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    request, grad, found = contiguous(request), grad.contiguous(), None if found is None else found.contiguous()
    require_cpu((found,))
    return run_compact(kernels, pack(request), grad, found, room_of(request), _values(request))


def run_compact(
    kernels: Any, packed: Packed, grad: Tensor, found: Tensor | None, room: Room, values: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What :func:`compact` returns, of a request that was checked and packed; grad and found contiguous."""
    most = min(values * room.each, room.most)
    addresses, grads = grad.new_empty(most, dtype=torch.int64), grad.new_empty((most, room.unit))
    squares = grad.new_empty(most if room.squares else 0)
    count = kernels.compact(
        *packed, grad.data_ptr(), 0 if found is None else found.data_ptr(), most, addresses.data_ptr(),
        grads.data_ptr(), squares.data_ptr(),
    )  # fmt: skip
    # Of what was reserved, only pages that were written take memory.
    return addresses[:count], grads[:count], squares[:count]


def _check_found(found: Tensor | None, request: Request) -> None:
    """Refuse addresses that are not those of all values."""
    if found is None:
        return
    if request.offsets is not None or not _has_squares(request):
        raise ValueError("addresses that were found are taken for rows, and without offsets.")
    shape, wanted = found.shape, (request.ids.shape[0] * request.program.shape[0], request.parts)
    if found.dtype is not torch.int64 or found.dim() != 2:
        raise TypeError(f"found must be int64 {list(wanted)}, got {found.dtype} {list(shape)}.")
    check_value(
        shape[0] == wanted[0] and shape[1] == wanted[1],
        lambda: f"found must be {list(wanted)}, an address per value and part, got {list(shape)}.",
    )


def _checked(grad: Tensor, arguments: Sequence[Any]) -> tuple[Request, Tensor | None]:
    *all_but_last, found = arguments
    request = Request(*all_but_last)
    check_request(request)
    check_gradient(grad, request)
    _check_found(found, request)
    return request, found


def _compact(grad: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    request, found = _checked(grad, arguments)
    check_cores(request)
    kernels = kernels_for(request.ids)
    return _reference(grad, request, found) if kernels is None else _compiled(kernels, grad, request, found)


def _fake(grad: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    request, _ = _checked(grad, arguments)
    distinct = torch.library.get_ctx().new_dynamic_size()
    return (
        request.ids.new_empty((distinct,)), grad.new_empty((distinct, _unit(request))),
        grad.new_empty((distinct if _has_squares(request) else 0,)),
    )  # fmt: skip


_OP: Final = define(
    "compact",
    f"(Tensor grad, {SCHEMA}, Tensor? found) -> (Tensor addresses, Tensor grads, Tensor squares)",
    _compact,
    _fake,
)


def compact_pairs(grad: Tensor, request: Request) -> tuple[Tensor, Tensor]:
    """Addresses and gradients of `compact` for a request."""
    addresses, grads, _ = _OP(grad, *request, None)
    return addresses, grads


def compact(
    grad: Tensor,
    regions: Sequence[Tensor],
    ids: Tensor,
    access: Access,
    *,
    offsets: Tensor | None = None,
    weights: Tensor | None = None,
    pooling: int = Pooling.NONE,
    found: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Distinct addresses that a lookup touched, with the sum of the gradients of each.

    Args:
        grad: float32, gradient of the lookup's output, in its shape.
        regions, ids, access, offsets, weights, pooling: the lookup's arguments.
        found: int64 [values, parts], what the lookup found (`pocketrec.native.joined`), negative for null addresses;
            None: they are found again. Of rows and without offsets only.

    Returns:
        addresses int64 [u], distinct, in order of first occurrence (values in order, then parts); gradients float32
        [u, dim], or [u, 1] for blocks, whose addresses are single weights, in chunks of 64 (address // 64) in order of
        first occurrence, rising within a chunk, or [u, rank] for chains, all rows of the slices, rising; and the sum of
        squares of each gradient, float32 [u], or [0] for blocks and chains. Padding and null addresses take none.
        Duplicates are summed in order of occurrence, squares by `lane_sums`. Not differentiable.

    Raises:
        IdError, TypeError, ValueError: as `pocketrec.native.lookup` does.
    """
    program, storages, dim, parts, combining, maps = access
    result: tuple[Tensor, Tensor, Tensor] = _OP(
        grad, regions, ids, offsets, weights, program, maps, storages, dim, parts, combining, pooling,
        found,
    )  # fmt: skip
    return result
