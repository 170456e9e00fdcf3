"""The interaction of a DLRM: op ``pocketrec::interact``, all dot products of pairs of vectors, beside a net's output.

Paper: Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation Systems, 2019,
arXiv:1906.00091, section 2.1.3. One op writes what the next net reads, so that vectors are not copied together, the
square of all products is never in memory, and its gradient is gathered by no index.

Sums of products run through ``dim`` one number after the other in float32 and are rounded once to the result's dtype;
their bits depend neither on SIMD level nor on threads. The reference sums in the order of the matrix product of torch.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.eager import is_eager
from pocketrec.native.library import LIBRARY, define
from pocketrec.native.packing import require_cpu
from pocketrec.native.request import check_value
from pocketrec.native.threads import threads

__all__ = ["interact", "plain_interact"]

# The numbers of csrc/pocketrec.h for what the kernels read and write.
_STORAGES: Final = {torch.float32: 0, torch.bfloat16: 2}


def _together(low: Tensor | None, vectors: Tensor) -> Tensor:
    return vectors if low is None else torch.cat([low[:, None], vectors], dim=1)


def _places(rows: Tensor) -> Tensor:
    """Where the result's products stand in the flattened [n, n] products of rows [batch, n, dim]."""
    count = rows.shape[1]
    row, column = torch.tril_indices(count, count, -1, device=rows.device)
    places: Tensor = row * count + column
    return places


def plain_interact(low: Tensor | None, vectors: Tensor) -> Tensor:
    """:func:`interact` of float32 in operations of torch alone, for programs that run where pocketrec is not."""
    rows = _together(low, vectors)
    products = torch.bmm(rows, rows.transpose(1, 2)).flatten(1).index_select(1, _places(rows))
    return products if low is None else torch.cat([low, products], dim=1)


def _reference(low: Tensor | None, vectors: Tensor) -> Tensor:
    out = vectors.dtype if low is None else low.dtype
    with torch.autocast(vectors.device.type, enabled=False):
        return plain_interact(None if low is None else low.float(), vectors.float()).to(out)


def _reference_backward(grad: Tensor, low: Tensor | None, vectors: Tensor) -> tuple[Tensor, Tensor]:
    rows = _together(None if low is None else low.float(), vectors.float())
    batch, count, dim = rows.shape
    ahead = 0 if low is None else dim
    square = rows.new_zeros(batch, count * count).index_copy(1, _places(rows), grad[:, ahead:].float())
    square = square.view(batch, count, count)
    with torch.autocast(vectors.device.type, enabled=False):
        found = torch.bmm(square + square.transpose(1, 2), rows)
    if low is None:
        return vectors.new_empty(0), found.to(vectors.dtype)
    return (found[:, 0] + grad[:, :dim].float()).to(low.dtype), found[:, 1:].to(vectors.dtype).contiguous()


def _empty_output(low: Tensor | None, vectors: Tensor) -> Tensor:
    return vectors.new_empty(
        (vectors.shape[0], _width(low, vectors)), dtype=vectors.dtype if low is None else low.dtype
    )


def _empty_gradients(low: Tensor | None, vectors: Tensor) -> tuple[Tensor, Tensor]:
    return vectors.new_empty(0) if low is None else low.new_empty(low.shape), vectors.new_empty(vectors.shape)


def _width(low: Tensor | None, vectors: Tensor) -> int:
    """Numbers per row of the result."""
    count = vectors.shape[1] + (0 if low is None else 1)
    return count * (count - 1) // 2 + (0 if low is None else vectors.shape[2])


def _check(low: Tensor | None, vectors: Tensor) -> None:
    if vectors.dim() != 3 or vectors.dtype not in _STORAGES:
        raise TypeError(
            f"vectors must be float32 or bfloat16 [batch, columns, dim], got {vectors.dtype} {list(vectors.shape)}."
        )
    if low is None:
        return
    if low.dim() != 2 or low.dtype not in _STORAGES:
        raise TypeError(f"low must be float32 or bfloat16 [batch, dim], got {low.dtype} {list(low.shape)}.")
    for mine, theirs in ((0, 0), (1, 2)):
        check_value(
            low.shape[mine] == vectors.shape[theirs],
            lambda: f"low is {list(low.shape)}, but vectors are {list(vectors.shape)}: not [batch, dim] of both.",
        )


def _check_gradient(grad: Tensor, low: Tensor | None, vectors: Tensor) -> None:
    shape, dtype = [vectors.shape[0], _width(low, vectors)], vectors.dtype if low is None else low.dtype
    if list(grad.shape) != shape or grad.dtype != dtype:
        raise ValueError(f"grad must be {dtype} {shape} as the result is, got {grad.dtype} {list(grad.shape)}.")


def _shape(low: Tensor | None, vectors: Tensor, out: Tensor) -> list[int]:
    mine = vectors.dtype if low is None else low.dtype
    return [*vectors.shape, int(low is not None), _STORAGES[mine], _STORAGES[vectors.dtype], _STORAGES[out.dtype]]


def _interact(low: Tensor | None, vectors: Tensor) -> Tensor:
    _check(low, vectors)
    kernels = kernels_for(vectors)
    if kernels is None:
        return _reference(low, vectors)
    low, vectors = None if low is None else low.contiguous(), vectors.contiguous()
    if low is not None:
        require_cpu((low,))
    out = _empty_output(low, vectors)
    at = 0 if low is None else low.data_ptr()
    kernels.interact(_shape(low, vectors, out), at, vectors.data_ptr(), out.data_ptr(), threads())
    return out


def _fake(low: Tensor | None, vectors: Tensor) -> Tensor:
    _check(low, vectors)
    return _empty_output(low, vectors)


def _interact_backward(grad: Tensor, low: Tensor | None, vectors: Tensor) -> tuple[Tensor, Tensor]:
    _check(low, vectors)
    _check_gradient(grad, low, vectors)
    kernels = kernels_for(vectors)
    if kernels is None:
        return _reference_backward(grad, low, vectors)
    low, vectors, grad = None if low is None else low.contiguous(), vectors.contiguous(), grad.contiguous()
    grad_low, grad_vectors = _empty_gradients(low, vectors)
    require_cpu((grad, *(() if low is None else (low,))))
    kernels.interact_backward(
        _shape(low, vectors, grad), grad.data_ptr(), 0 if low is None else low.data_ptr(), vectors.data_ptr(),
        grad_low.data_ptr(), grad_vectors.data_ptr(), threads(),
    )  # fmt: skip
    return grad_low, grad_vectors


def _fake_backward(grad: Tensor, low: Tensor | None, vectors: Tensor) -> tuple[Tensor, Tensor]:
    _check(low, vectors)
    _check_gradient(grad, low, vectors)
    return _empty_gradients(low, vectors)


_SCHEMA: Final = "(Tensor? low, Tensor vectors) -> Tensor"
_OP: Final = define("interact", _SCHEMA, _interact, _fake, differentiable=True)
_FROZEN_OP: Final = define("interact_frozen", _SCHEMA, _interact, _fake)
_BACKWARD_OP: Final = define(
    "interact_backward", "(Tensor grad, Tensor? low, Tensor vectors) -> (Tensor, Tensor)",
    _interact_backward, _fake_backward,
)  # fmt: skip


def _save(ctx: Any, inputs: tuple[Tensor | None, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:
    low, vectors = ctx.saved_tensors
    grad_low, grad_vectors = _BACKWARD_OP(grad, low, vectors)
    return None if low is None else grad_low, grad_vectors


torch.library.register_autograd("pocketrec::interact", _backward, setup_context=_save, lib=LIBRARY)


def interact(low: Tensor | None, vectors: Tensor) -> Tensor:
    """The numbers of `low`, then the dot products of all pairs of vectors, `low` being one of them, each pair once.

    Differentiable in both, once.

    Args:
        low: float32 or bfloat16 [batch, dim], vector 0 of each row; or None.
        vectors: float32 or bfloat16 [batch, columns, dim], the vectors after it.

    Returns:
        [batch, dim + n (n - 1) / 2] with n = columns + 1, or [batch, n (n - 1) / 2] with n = columns without `low`, in
        the dtype of `low` (else of `vectors`): the products of vectors 1 and 0, 2 and 0, 2 and 1, 3 and 0, ...

    Raises:
        TypeError, ValueError: tensors that do not fit, with their shapes.
    """
    learns = torch.is_grad_enabled() and (vectors.requires_grad or (low is not None and low.requires_grad))
    if not learns and is_eager(vectors):
        return _interact(low, vectors)
    result: Tensor = (_OP if learns else _FROZEN_OP)(low, vectors)
    return result
