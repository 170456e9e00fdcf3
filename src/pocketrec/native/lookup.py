"""Look vectors up: op ``pocketrec::lookup``, ids to addresses to vectors in one call for all fields of like access."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from pocketrec.native.addresses import compute_addresses
from pocketrec.native.binding import kernels_for
from pocketrec.native.compact import compact_pairs
from pocketrec.native.gradient import region_gradients, sparse_gradients, weight_gradients
from pocketrec.native.library import LIBRARY, define
from pocketrec.native.packing import contiguous, pack
from pocketrec.native.pooling import pool
from pocketrec.native.program import Access, Combining, Pooling
from pocketrec.native.program_check import check_blocks, check_program
from pocketrec.native.regions import value_vectors
from pocketrec.native.request import SCHEMA, Request, bag_shape, check_cores, check_request
from pocketrec.native.values import values_of

__all__ = ["lookup"]


def _reference(request: Request) -> Tensor:
    check_program(request.program, request.maps, request.parts)
    check_blocks(request.program, request.dim, request.parts, request.combining)
    values = values_of(request.ids, request.offsets, request.program)
    addresses = compute_addresses(values, request.program, request.maps, request.parts)
    return pool(request, values, value_vectors(request, values, addresses))


def _empty_output(request: Request) -> Tensor:
    if request.offsets is not None and request.pooling == Pooling.NONE:
        return request.ids.new_empty((request.ids.shape[0], request.dim), dtype=torch.float32)
    batch, fields = bag_shape(request.ids, request.offsets, request.program)
    return torch.empty((batch, fields, request.dim), dtype=torch.float32, device=request.ids.device)


def _compiled(kernels: Any, request: Request) -> Tensor:
    request = contiguous(request)
    out = _empty_output(request)
    kernels.lookup(*pack(request), out.data_ptr())
    return out


def _lookup(*arguments: Any) -> Tensor:
    request = Request(*arguments[:11])
    check_request(request)
    check_cores(request)
    kernels = kernels_for(request.ids)
    return _reference(request) if kernels is None else _compiled(kernels, request)


def _fake(*arguments: Any) -> Tensor:
    request = Request(*arguments[:11])
    check_request(request)
    return _empty_output(request)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    regions, *tensors = inputs[:6]
    ctx.save_for_backward(*tensors, *regions)
    ctx.settings, ctx.sparse = inputs[6:11], inputs[11]


def _backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    tensors = ctx.saved_tensors
    request = Request(tensors[5:], *tensors[:5], *ctx.settings)
    wanted = list(ctx.needs_input_grad[0])
    grad = grad.contiguous()
    region_grads: list[Tensor | None] = [None] * len(wanted)
    if any(wanted) and ctx.sparse and request.combining != Combining.CONCAT:
        region_grads = sparse_gradients(request, compact_pairs(grad, request), wanted)
    elif any(wanted):
        region_grads = region_gradients(grad, request, wanted)
    weights_grad = weight_gradients(grad, request) if ctx.needs_input_grad[3] else None
    return region_grads, None, None, weights_grad, *[None] * 8


_OP: Final = define("lookup", f"({SCHEMA}, bool sparse) -> Tensor", _lookup, _fake, differentiable=True)
_FROZEN_OP: Final = define("lookup_frozen", f"({SCHEMA}, bool sparse) -> Tensor", _lookup, _fake)
"""The same without autograd, whose Python layer would cost more than a small lookup."""

torch.library.register_autograd("pocketrec::lookup", _backward, setup_context=_save, lib=LIBRARY)


def lookup(
    regions: Sequence[Tensor],
    ids: Tensor,
    access: Access,
    *,
    offsets: Tensor | None = None,
    weights: Tensor | None = None,
    pooling: int = Pooling.NONE,
    sparse: bool = False,
) -> Tensor:
    """Vectors of the ids of some fields.

    Differentiable in float regions and in `weights`, once. The gradient of a region is dense; with ``sparse=True`` it
    is a sparse tensor over the rows that were touched (regions of rows only; not under torch.compile).

    Args:
        regions: float32, float16 or bfloat16 [rows, dim], or uint8 [rows, dim + 8] (int8 codes, float32 scale and
            bias) or [rows, ceil(dim / 2) + 4] (int4 codes, float16 scale and bias), contiguous, as `access.storages`
            says. For blocks one region: float [weights], or uint8 [ceil(weights / 64), 72] (int8) or 36 (int4). For
            chains one region, of rows of the rank's width.
        ids: int64 [batch, columns], every id a bag of its own; or int64 [values] with `offsets`.
        access: how these fields read their ids.
        offsets: int64 [fields * batch + 1], bags of field 0 first, or int64 [fields, batch + 1].
        weights: float32 [values], factor of each value; pooling SUM only.
        pooling: a `Pooling`. MEAN divides by the values that are not padding; MAX is taken element by element.

    Returns:
        float32 [batch, fields, dim], or [values, dim] for offsets with pooling NONE. Empty bags and padding are zeros.

    Raises:
        IdError: a negative id that is not the padding id of its field, or an address beyond the regions.
        TypeError, ValueError, NotImplementedError: arguments that do not fit, with their shapes.
    """
    program, storages, dim, parts, combining, maps = access
    learns = torch.is_grad_enabled() and (
        any(region.requires_grad for region in regions) or (weights is not None and weights.requires_grad)
    )
    result: Tensor = (_OP if learns else _FROZEN_OP)(
        regions, ids, offsets, weights, program, maps, storages, dim, parts, combining, pooling, sparse
    )
    return result
