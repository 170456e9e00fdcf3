"""Rows of 16-bit codes with a scale and a bias of their own: value = code x scale + bias.

Bytes: 2 x width + 8 per row (codes, the lower byte first, then float32 scale, then float32 bias); 136 per 64 weights of
    a shared array. That is 8 bytes a row more than float16, for steps of the row's range / 65535 wherever it lies.
Trained as float32, rounded to nearest when frozen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketrec.compress.storage._storage import ARRAY_BLOCK, Storage

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["STORAGE", "Int16"]

_QPARAM_BYTES = 8
_LEVELS = 65535


class Int16(Storage):
    """Asymmetric 16-bit codes per row."""

    name = "int16"
    code = 9
    dtype = "uint8"

    def rows_shape(self, rows: int, width: int) -> tuple[int, ...]:
        return (rows, 2 * width + _QPARAM_BYTES)

    def array_shape(self, weights: int) -> tuple[int, ...]:
        return (-(-weights // ARRAY_BLOCK), 2 * ARRAY_BLOCK + _QPARAM_BYTES)

    def encode(self, rows: Tensor) -> Tensor:
        import torch  # here, not above: sizing answers without it

        low, scale = rows.amin(dim=1, keepdim=True), _scale(rows)
        # a constant row has scale 0: any positive divisor keeps its codes at 0
        codes = ((rows - low) / torch.where(scale > 0, scale, 1.0)).round().clamp(0, _LEVELS).int()
        packed = torch.stack([codes & 255, codes >> 8], dim=2).flatten(1).to(torch.uint8)
        qparams = torch.cat([scale, low], dim=1).contiguous().view(torch.uint8)
        return torch.cat([packed, qparams], dim=1)

    def decode(self, stored: Tensor, width: int) -> Tensor:
        import torch  # here, not above: sizing answers without it

        # cloned: a slice may start where a float32 cannot
        qparams = stored[:, 2 * width :].clone(memory_format=torch.contiguous_format).view(torch.float32)
        packed = stored[:, : 2 * width].int()
        return (packed[:, ::2] | packed[:, 1::2] << 8).float() * qparams[:, :1] + qparams[:, 1:]

    def step_size(self, rows: Tensor) -> Tensor:
        # half a step; and the rounding of float32: of the distance to the bias, the scale, the product and the sum
        return 0.5 * _scale(rows) + rows.abs().amax(dim=1, keepdim=True) * 2.0**-21


def _scale(rows: Tensor) -> Tensor:
    return (rows.amax(dim=1, keepdim=True) - rows.amin(dim=1, keepdim=True)) / _LEVELS


STORAGE = Int16()
