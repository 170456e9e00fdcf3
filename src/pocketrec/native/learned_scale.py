"""Rows of 8-bit codes whose scale is learned and not fitted (reference): its gradient, and writing on it.

A row is as any of 8-bit codes, ``value = code * scale + bias``, but its bias is always -128 scales, so that the code
128 is zero and codes less 128 are signed ones, -128 to 127. What does not fit is cut.

The gradient is that of Esser, McKinstry, Bablani, Appuswamy, Modha, Learned Step Size Quantization (ICLR 2020,
arXiv:1902.08153): where numbers are read rounded to the nearest code, and rounding counts as the identity, a number v
moves with the scale s by ``round(v / s) - v / s`` within the range, and by the end of the range beyond it.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from pocketrec.native.lane_sums import lane_sums

__all__ = ["GREATEST", "LEAST", "codes_on_scale", "scale_gradient", "scale_of", "scale_within"]

LEAST: Final = -128.0
GREATEST: Final = 127.0
_SMALLEST: Final = 2.0**-20
_LARGEST: Final = 2.0**118  # 255 of them are finite


def scale_of(stored: Tensor, unit: int) -> Tensor:
    """The scales of rows uint8 [n, unit + 8]: float32 [n]."""
    # cloned: a slice may start where a float cannot
    return stored[:, unit : unit + 4].clone(memory_format=torch.contiguous_format).view(torch.float32)[:, 0]


def scale_within(scale: Tensor) -> Tensor:
    """Scales kept above zero, in 2^-20 to 2^118; NaN stays."""
    return scale.clamp(_SMALLEST, _LARGEST)


def scale_gradient(values: Tensor, grads: Tensor, scale: Tensor, *, batch: int) -> Tensor:
    """Of the loss by the scale of each row: float32 [n].

    Args:
        values: float32 [n, unit], not rounded.
        grads: float32 [n, unit], of the loss by the rounded values.
        scale: float32 [n], above 0.
        batch: data rows that the gradients are of, 1 or more. The gradient is multiplied by
            ``1 / sqrt(batch * unit * 127)``.

    >>> scale_gradient(torch.tensor([[0.3, 2.0, 300.0]]), torch.ones(1, 3), torch.ones(1), batch=1) * math.sqrt(3 * 127)
    tensor([126.7000])
    """
    codes = values / scale[:, None]
    # what is no number counts as the least, as in the kernel; it makes the scale NaN by its gradient
    cut = torch.where(codes > LEAST, codes, LEAST).clamp(max=GREATEST)
    pull = torch.where((codes > LEAST) & (codes < GREATEST), cut.round() - cut, cut)
    return lane_sums(grads * pull) * (1 / math.sqrt(batch * values.shape[1] * GREATEST))


def codes_on_scale(values: Tensor, random: Tensor, scale: Tensor) -> Tensor:
    """Values rounded stochastically to rows uint8 [n, unit + 8] of these scales.

    Args:
        values: float32 [n, unit]. Cut to -128 and 127 scales.
        random: int64 [n, unit], of `pocketrec.native.rounding.draws`.
        scale: float32 [n], above 0; a row whose scale is NaN is all NaN.
    """
    steps = (values / scale[:, None] - LEAST).nan_to_num(nan=0.0).clamp(0.0, 255.0)
    codes = (((steps * 65536.0 + 0.5).long() + random) >> 16).clamp(max=255).to(torch.uint8)
    tail = torch.stack((scale, LEAST * scale), dim=1).view(torch.uint8)
    return torch.cat((codes, tail), dim=1)
