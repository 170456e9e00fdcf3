"""Gradients of a lookup with respect to its regions and its per-value weights.

Two inner ops, so that a compiled backward sees static shapes: ``pocketrec::region_gradients`` (dense) and
``pocketrec::weight_gradients``. Training steps do not come here: they take `pocketrec.native.compact` and
`pocketrec.native.update`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from pocketrec.native.addresses import compute_addresses
from pocketrec.native.compact import check_gradient, compact_pairs
from pocketrec.native.library import define
from pocketrec.native.program import Pooling
from pocketrec.native.regions import in_regions, value_vectors
from pocketrec.native.request import SCHEMA, Request, check_request, units
from pocketrec.native.values import values_of

__all__ = ["region_gradients", "sparse_gradients", "weight_gradients"]


def _sizes(request: Request) -> list[int]:
    pairs = zip(request.regions, request.storages, strict=True)
    return [units(region, storage, request.dim, request.combining) for region, storage in pairs]


def _split(request: Request, pairs: tuple[Tensor, Tensor], wanted: Sequence[bool]) -> dict[int, tuple[Tensor, Tensor]]:
    """(units, gradients in the region's dtype) of each wanted region that was touched."""
    addresses, grads = pairs
    found = {}
    for number, chosen, rows in in_regions(addresses, _sizes(request)):
        if wanted[number]:
            part = grads if chosen is None else grads.index_select(0, chosen)
            found[number] = rows, part.to(request.regions[number].dtype)
    return found


@torch.no_grad()
def _region_gradients(grad: Tensor, *arguments: Any) -> list[Tensor]:
    request, wanted = Request(*arguments[:-1]), arguments[-1]
    split = _split(request, compact_pairs(grad, request), wanted)
    out = _fake_region_gradients(grad, *arguments)
    for number, (rows, part) in split.items():
        # Addresses are distinct: setting is adding to zero.
        out[number].zero_().view(-1, part.shape[1])[rows] = part
    for number in set(range(len(out))) - split.keys():
        out[number].zero_()
    return out


def _fake_region_gradients(grad: Tensor, *arguments: Any) -> list[Tensor]:
    request, wanted = Request(*arguments[:-1]), arguments[-1]
    pairs = zip(request.regions, wanted, strict=True)
    return [torch.empty_like(region) if want else region.new_empty(0) for region, want in pairs]


_REGIONS_OP: Final = define(
    "region_gradients", f"(Tensor grad, {SCHEMA}, bool[] wanted) -> Tensor[]", _region_gradients, _fake_region_gradients
)


def region_gradients(grad: Tensor, request: Request, wanted: Sequence[bool]) -> list[Tensor | None]:
    """Dense gradients of the wanted regions, in their shapes and dtypes, None for the others.

    Args:
        grad: float32, gradient of the lookup's output.
        request: the lookup.
        wanted: one per region.
    """
    found: list[Tensor] = _REGIONS_OP(grad, *request, wanted)
    return [gradient if want else None for gradient, want in zip(found, wanted, strict=True)]


def sparse_gradients(request: Request, pairs: tuple[Tensor, Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    """Sparse gradients over the rows of the wanted regions, None for the others.

    Args:
        request: the lookup; not of blocks.
        pairs: addresses and gradients, of `pocketrec.native.compact`.
        wanted: one per region.
    """
    split = _split(request, pairs, wanted)
    out: list[Tensor | None] = []
    for number, (region, want) in enumerate(zip(request.regions, wanted, strict=True)):
        nothing = request.ids.new_empty(0), region.new_empty((0, region.shape[1]))
        rows, part = split.get(number, nothing)
        out.append(torch.sparse_coo_tensor(rows[None], part, region.shape, check_invariants=False) if want else None)
    return out


@torch.no_grad()
def _weight_gradients(grad: Tensor, *arguments: Any) -> Tensor:
    request = Request(*arguments)
    check_request(request)
    check_gradient(grad, request)
    values = values_of(request.ids, request.offsets, request.program)
    addresses = compute_addresses(values, request.program, request.maps, request.parts)
    vectors = value_vectors(request, values, addresses)
    per_bag = grad.reshape(-1, request.dim).index_select(0, values.bags)
    out = grad.new_zeros(request.ids.shape[0])
    return out.index_copy_(0, values.positions, (per_bag * vectors).sum(dim=1))


def _fake_weight_gradients(grad: Tensor, *arguments: Any) -> Tensor:
    request = Request(*arguments)
    return grad.new_empty(request.ids.shape[0])


_WEIGHTS_OP: Final = define(
    "weight_gradients", f"(Tensor grad, {SCHEMA}) -> Tensor", _weight_gradients, _fake_weight_gradients
)


def weight_gradients(grad: Tensor, request: Request) -> Tensor:
    """Gradient float32 [values] of the per-value weights of a lookup with pooling SUM: 0 for padding.

    Args:
        grad: float32, gradient of the lookup's output.
        request: the lookup.
    """
    assert request.pooling == Pooling.SUM
    result: Tensor = _WEIGHTS_OP(grad, *request)
    return result
