"""Rows of 8-bit codes with a scale and a bias of their own: value = code x scale + bias.

Bytes: width + 8 per row (codes, then float32 scale, then float32 bias: the row layout that
``torch.ops.quantized.embedding_bag_byte_rowwise_offsets`` reads); 72 per 64 weights of a shared array.
Trained as float32, rounded to nearest when frozen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketrec.compress.storage._storage import ARRAY_BLOCK, Storage

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["STORAGE", "Int8", "packed_int8"]

_QPARAM_BYTES = 8
_LEVELS = 255


class Int8(Storage):
    """Asymmetric 8-bit codes per row."""

    name = "int8"
    code = 8
    dtype = "uint8"

    def rows_shape(self, rows: int, width: int) -> tuple[int, ...]:
        return (rows, width + _QPARAM_BYTES)

    def array_shape(self, weights: int) -> tuple[int, ...]:
        return (-(-weights // ARRAY_BLOCK), ARRAY_BLOCK + _QPARAM_BYTES)

    def encode(self, rows: Tensor) -> Tensor:
        import torch  # here, not above: sizing answers without it

        low = rows.amin(dim=1, keepdim=True)
        scale = _scale(rows)
        # a constant row has scale 0: any positive divisor keeps its codes at 0
        codes = ((rows - low) / torch.where(scale > 0, scale, 1.0)).round().clamp(0, _LEVELS).to(torch.uint8)
        return packed_int8(codes, scale, low)

    def decode(self, stored: Tensor, width: int) -> Tensor:
        import torch  # here, not above: sizing answers without it

        # cloned: a slice may start where a float32 cannot
        qparams = stored[:, width:].clone(memory_format=torch.contiguous_format).view(torch.float32)
        return stored[:, :width].float() * qparams[:, :1] + qparams[:, 1:]

    def step_size(self, rows: Tensor) -> Tensor:
        # half a step, and the rounding of code x scale + bias in float32
        return 0.5 * _scale(rows) + rows.abs().amax(dim=1, keepdim=True) * 2.0**-22


def packed_int8(codes: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """The stored rows of codes uint8 [n, width] and float32 [n, 1] each of scale and bias."""
    import torch  # here, not above: sizing answers without it

    qparams = torch.cat([scale, bias], dim=1).contiguous().view(torch.uint8)
    return torch.cat([codes, qparams], dim=1)


def _scale(rows: Tensor) -> Tensor:
    return (rows.amax(dim=1, keepdim=True) - rows.amin(dim=1, keepdim=True)) / _LEVELS


STORAGE = Int8()
