"""Rows of 4-bit codes, two a byte, with a scale and a bias of their own: value = code x scale + bias.

Paper: Guan et al., Post-Training 4-bit Quantization on Embedding Tables, arXiv 1911.02079 (its asymmetric range).
Bytes: ceil(width / 2) + 4 per row (codes, the lower half of a byte first, then float16 scale, then float16 bias: the
    row layout that ``torch.ops.quantized.embedding_bag_4bit_rowwise_offsets`` reads); 36 per 64 weights of a shared
    array. Torch refuses rows of odd width; here the upper half of their last byte is 0.
Trained as float32, rounded to nearest when frozen; numbers beyond 65504, the largest float16, are clamped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketrec.compress.storage._storage import ARRAY_BLOCK, Storage

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["STORAGE", "Int4", "packed_int4"]

_QPARAM_BYTES = 4
_LEVELS = 15
_FLOAT16_LIMIT = 65504.0


class Int4(Storage):
    """Asymmetric 4-bit codes per row."""

    name = "int4"
    code = 4
    dtype = "uint8"

    def rows_shape(self, rows: int, width: int) -> tuple[int, ...]:
        return (rows, _code_bytes(width) + _QPARAM_BYTES)

    def array_shape(self, weights: int) -> tuple[int, ...]:
        return (-(-weights // ARRAY_BLOCK), _code_bytes(ARRAY_BLOCK) + _QPARAM_BYTES)

    def encode(self, rows: Tensor) -> Tensor:
        import torch  # here, not above: sizing answers without it

        scale, bias = _scale_and_bias(rows)
        # a constant row may have scale 0: any positive divisor keeps its codes at 0
        divisor = torch.where(scale > 0, scale.float(), 1.0)
        codes = ((rows - bias.float()) / divisor).round().clamp(0, _LEVELS).to(torch.uint8)
        return packed_int4(codes, scale, bias)

    def decode(self, stored: Tensor, width: int) -> Tensor:
        import torch  # here, not above: sizing answers without it

        packed, tail = stored[:, : _code_bytes(width)], stored[:, _code_bytes(width) :]
        codes = torch.stack([packed & _LEVELS, packed >> 4], dim=2).flatten(1)[:, :width]
        # cloned: a slice may start where a float16 cannot
        qparams = tail.clone(memory_format=torch.contiguous_format).view(torch.float16).float()
        return codes.float() * qparams[:, :1] + qparams[:, 1:]

    def step_size(self, rows: Tensor) -> Tensor:
        import torch  # here, not above: sizing answers without it

        scale, bias = (found.float() for found in _scale_and_bias(rows))
        short = rows.amax(dim=1, keepdim=True).clamp(-_FLOAT16_LIMIT, _FLOAT16_LIMIT) - (_LEVELS * scale + bias)
        largest = rows.abs().amax(dim=1, keepdim=True)
        clamped = (largest - _FLOAT16_LIMIT).clamp(min=0)
        # half a step, or what the top code falls short; what was clamped; and the rounding of float32
        return torch.maximum(0.5 * scale, short) + clamped + largest * 2.0**-21


def packed_int4(codes: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """The stored rows of codes uint8 [n, width], 0 to 15, and float16 [n, 1] each of scale and bias."""
    import torch  # here, not above: sizing answers without it

    codes = torch.nn.functional.pad(codes, (0, codes.shape[1] % 2))
    packed = codes[:, 0::2] | codes[:, 1::2] << 4
    return torch.cat([packed, torch.cat([scale, bias], dim=1).view(torch.uint8)], dim=1)


def _code_bytes(width: int) -> int:
    return (width + 1) // 2


def _scale_and_bias(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Of rows float32 [rows, width]: float16 [rows, 1] each, both finite where the rows are numbers.

    Codes are chosen for these rounded numbers, so no error of float16 is left over, and no number of the row is further
    from its code than half a step. In a row of like numbers the last bit of the bias is many steps. There it is rounded
    down, and the scale made to reach the row's top from there.
    """
    import torch  # here, not above: sizing answers without it

    low = rows.amin(dim=1, keepdim=True).clamp(-_FLOAT16_LIMIT, _FLOAT16_LIMIT)
    high = rows.amax(dim=1, keepdim=True).clamp(-_FLOAT16_LIMIT, _FLOAT16_LIMIT)
    bias = low.half()
    below = torch.nextafter(bias, torch.full_like(bias, -torch.inf))
    bias = torch.where(bias.float() - low > (high - low) / 32, below, bias)  # just under half a step, range / 30
    reach = high - bias.float()
    scale = (reach / _LEVELS).half()  # at most 2 x 65504 / 15
    # Near 2^-24, the smallest float16, rounding to nearest may leave the top of the row many steps above code 15.
    above = torch.nextafter(scale, torch.full_like(scale, torch.inf))
    short = reach - _LEVELS * scale.float() > 0.5 * above.float()
    return torch.where(short, above, scale), bias


STORAGE = Int4()
