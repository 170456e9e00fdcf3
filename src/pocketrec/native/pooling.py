"""Pool the vectors of bags, and carry a gradient back to the values (reference)."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketrec.native.program import Pooling
from pocketrec.native.request import Request, bag_shape
from pocketrec.native.values import Values

__all__ = ["pool", "value_gradients"]


def pool(request: Request, values: Values, vectors: Tensor) -> Tensor:
    """The output of a lookup from the vectors of its values.

    Args:
        request: the call.
        values: its n values.
        vectors: float32 [n, dim]; zeros for padding.

    Returns:
        float32 [batch, fields, dim]; [values, dim] for jagged ids without pooling. Empty bags are zeros.
    """
    dim = request.dim
    batch, fields = bag_shape(request.ids, request.offsets, request.program)
    if request.offsets is None:
        return vectors.reshape(batch, fields, dim)
    if request.pooling == Pooling.NONE:
        return vectors.new_zeros((request.ids.shape[0], dim)).index_copy_(0, values.positions, vectors)
    if request.pooling == Pooling.MAX:
        return _maxima(values, vectors, batch * fields).reshape(batch, fields, dim)
    if request.weights is not None:
        weights = request.weights.index_select(0, values.positions).masked_fill(values.padding, 0)
        vectors = vectors * weights[:, None]
    out = vectors.new_zeros((batch * fields, dim)).index_add_(0, values.bags, vectors)
    if request.pooling == Pooling.MEAN:
        out = out / _counts(values, batch * fields)[:, None]
    return out.reshape(batch, fields, dim)


def _counts(values: Values, bags: int) -> Tensor:
    """Values of each bag that are not padding, at least 1, float32 [bags]."""
    counts = torch.zeros(bags, dtype=torch.int64, device=values.bags.device)
    return counts.index_add_(0, values.bags, (~values.padding).long()).clamp(min=1).float()


def _maxima(values: Values, vectors: Tensor, bags: int) -> Tensor:
    kept = (~values.padding).nonzero().squeeze(1)
    index = values.bags.index_select(0, kept)[:, None].expand(-1, vectors.shape[1])
    out = vectors.new_zeros((bags, vectors.shape[1]))
    return out.scatter_reduce_(0, index, vectors.index_select(0, kept), "amax", include_self=False)


def value_gradients(request: Request, values: Values, grad: Tensor, vectors: Tensor | None) -> Tensor:
    """The gradient of each value's vector, float32 [n, dim].

    Args:
        request: the call.
        values: its n values.
        grad: gradient of the lookup's output, in its shape.
        vectors: float32 [n, dim], asked for by pooling MAX only.
    """
    if request.offsets is not None and request.pooling == Pooling.NONE:
        return grad.index_select(0, values.positions)
    per_bag = grad.reshape(-1, request.dim)
    if request.pooling == Pooling.MEAN:
        per_bag = per_bag / _counts(values, per_bag.shape[0])[:, None]
    out = per_bag.index_select(0, values.bags)
    if request.weights is not None:
        out = out * request.weights.index_select(0, values.positions)[:, None]
    if request.pooling == Pooling.MAX:
        assert vectors is not None
        out = torch.where(_first_maximal(values, vectors, per_bag.shape[0]), out, 0.0)
    return out


def _first_maximal(values: Values, vectors: Tensor, bags: int) -> Tensor:
    """Whether an element is the first maximal one of its bag, bool [n, dim]."""
    best = _maxima(values, vectors, bags).index_select(0, values.bags)
    is_best = ((vectors == best) | vectors.isnan()) & ~values.padding[:, None]
    order = torch.arange(vectors.shape[0], device=vectors.device)[:, None].expand_as(vectors)
    last = vectors.shape[0]
    first = torch.full((bags, vectors.shape[1]), last, device=vectors.device)
    index = values.bags[:, None].expand_as(vectors)
    first.scatter_reduce_(0, index, torch.where(is_best, order, last), "amin")
    return first.index_select(0, values.bags) == order
