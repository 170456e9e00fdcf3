"""Rows that are longer than a threshold of their table, and the gradient that a threshold learns from. Needs torch."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

__all__ = ["all_lengths", "is_longer", "lengths"]

# Rows that are measured together, so that no second table is in memory.
_CHUNK_ROWS: Final = 65_536
# Of the long-tailed estimator: within the first the slope falls from 2 to .4, within the second it is that.
_STEEP, _FLAT, _TAIL = 0.4, 1.0, 0.4


def lengths(rows: Tensor) -> Tensor:
    """Sum of magnitudes of each row: float32 [n] of float32 [n, dim]; differentiable.

    Added up number by number, so that a row has the same length, to the bit, in whatever company it is measured.
    """
    return rows.abs().cumsum(dim=1)[:, -1]


def all_lengths(rows: Tensor) -> Tensor:
    """:func:`lengths` of a whole table, without a second one in memory."""
    parts = [lengths(rows[first : first + _CHUNK_ROWS]) for first in range(0, len(rows), _CHUNK_ROWS)]
    return torch.cat(parts) if parts else rows.new_empty(0)


def is_longer(length: Tensor, limit: Tensor) -> Tensor:
    """1 where the length is above the limit, else 0: float32 [n]; its gradient is that of the long-tailed estimator.

    Which is 2 - 4 |x| for |x| up to .4, .4 for |x| up to 1, and 0 beyond, x being length - limit (Liu, Xu, Shi, Cheung,
    So, Dynamic Sparse Training, ICLR 2020, arXiv:2005.06870). A row that is just too short, or just long
    enough, feels the threshold most.
    """
    found: Tensor = _Step.apply(length - limit)  # type: ignore[no-untyped-call]  # torch has no types here
    return found


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        far = x.abs()
        slope = torch.where(far <= _STEEP, 2 - 4 * far, torch.where(far <= _FLAT, _TAIL, 0.0))
        return grads[0] * slope
