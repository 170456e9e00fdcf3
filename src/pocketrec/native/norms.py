"""L2 norms of vectors; op ``pocketrec::norms``. What the gradient of a looked-up vector says about its id."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.lane_sums import lane_sums
from pocketrec.native.library import define

__all__ = ["norms"]


def _reference(vectors: Tensor) -> Tensor:
    rows = vectors.reshape(-1, vectors.shape[-1])
    # torch's own float32 roots are not all rounded to nearest
    return lane_sums(rows * rows).double().sqrt().float().view(vectors.shape[:-1])


def _norms(vectors: Tensor) -> Tensor:
    out = _empty(vectors)
    kernels = kernels_for(vectors)
    if kernels is None:
        return _reference(vectors)
    vectors = vectors.contiguous()
    kernels.norms(vectors.data_ptr(), out.numel(), vectors.shape[-1], out.data_ptr())
    return out


def _empty(vectors: Tensor) -> Tensor:
    if vectors.dtype is not torch.float32 or not vectors.dim():
        raise TypeError(f"vectors must be float32 [..., dim], got {vectors.dtype} {list(vectors.shape)}.")
    return vectors.new_empty(vectors.shape[:-1])


_OP: Final = define("norms", "(Tensor vectors) -> Tensor", _norms, _empty)


def norms(vectors: Tensor) -> Tensor:
    """The norm of each vector: float32 [...] of float32 [..., dim], dim 1 or more.

    Sums are in the order of the kernels (`lane_sums`), and roots rounded to nearest.

    Raises:
        TypeError: another dtype, or no axis.

    >>> norms(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [5.0, 0.0]
    """
    found: Tensor = _OP(vectors)
    return found
