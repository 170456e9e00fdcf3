"""Write rows in fewer bits without losing what is smaller than a step (reference): stochastic rounding.

A value between two storable neighbours is rounded up with the probability of its distance from the lower one, so its
mean is the value, and updates far below a step arrive in the mean. Rounded to nearest they would vanish, every time.

The random numbers depend on (seed, step, address, element) and on nothing else, so neither the order of rows nor the
number of threads matters, and a training that was resumed goes on as it would have. They have 16 bits: in units of
2^-16 of the distance between neighbours a value lies 0 to 65535 above the lower one, and is rounded up where that and
the random number reach 2^16.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pocketrec.native.mix import as_int64, fin, mix

__all__ = ["draws", "stored_stochastically"]

_STREAM = as_int64(0x9E3779B97F4A7C15)  # splitmix64's step from word to word
_MOST = 2.0**126  # rows of codes are cut to it, so that the distance from least to greatest is finite


def draws(addresses: Tensor, unit: int, *, seed: int, step: int) -> Tensor:
    """Random numbers 0 to 65535 for all elements of the units at `addresses`.

    A word of 64 bits serves four elements, lowest bits first: word ``i`` of an address is
    ``fin(mix(address, mix(step, seed)) + (i + 1) * 0x9E3779B97F4A7C15)``.

    Args:
        addresses: int64 [n].
        unit: elements per address.
        seed: any int64.
        step: number of the step.

    Returns:
        int64 [n, unit].
    """
    element = torch.arange(unit, device=addresses.device)
    key = mix(torch.full_like(addresses, step), seed)
    words = fin(mix(addresses, key)[:, None] + (element // 4 + 1) * _STREAM)
    shifts = 16 * (element % 4)
    return (words >> shifts) & 0xFFFF


def stored_stochastically(values: Tensor, random: Tensor, dtype: torch.dtype, *, code_bytes: int = 1) -> Tensor:
    """Values as a region of `dtype` keeps them.

    Args:
        values: float32 [n, unit].
        random: int64 [n, unit], from `draws`.
        dtype: float16 or bfloat16: values beyond the largest finite number become that, NaN stays NaN. uint8: rows of
            codes with a scale and a bias of their own, fitted anew to the row's least and greatest value; values are
            cut to +-2^126 first, and a row with a NaN is all NaN.
        code_bytes: of a code, 1 or 2, where `dtype` is uint8.

    Returns:
        `dtype` [n, unit], or uint8 [n, unit x code_bytes + 8].
    """
    if dtype is torch.uint8:
        return _codes(values, random, code_bytes)
    bits = values.contiguous().view(torch.int32).long() & 0xFFFFFFFF
    size = bits & 0x7FFFFFFF
    found = _bfloat16(size, random) if dtype is torch.bfloat16 else _float16(size, random, values)
    largest, nan = (0x7F7F, 0x7FC0) if dtype is torch.bfloat16 else (0x7BFF, 0x7E00)
    found = torch.where(size > 0x7F800000, nan, found.clamp(max=largest)) | (bits >> 16 & 0x8000)
    return torch.where(found > 0x7FFF, found - 0x10000, found).to(torch.int16).view(dtype)


def _bfloat16(size: Tensor, random: Tensor) -> Tensor:
    return (size + random) >> 16


def _float16(size: Tensor, random: Tensor, values: Tensor) -> Tensor:
    """13 bits of a float32 are cut off; below 2^-14 neighbours are 2^-24 apart, so there 2^40 makes the units above."""
    normal = ((size + (random >> 3)) >> 13) - (112 << 10)
    small = (values.abs().clamp(max=2.0**-14) * 2.0**40).nan_to_num().long()
    return torch.where(size < 0x38800000, (small + random) >> 16, normal)


def _codes(values: Tensor, random: Tensor, code_bytes: int) -> Tensor:
    largest = 256**code_bytes - 1
    has_nan = values.isnan().any(dim=1, keepdim=True)
    values = values.nan_to_num(nan=0.0, posinf=_MOST, neginf=-_MOST).clamp(-_MOST, _MOST)
    low, high = values.amin(dim=1, keepdim=True), values.amax(dim=1, keepdim=True)
    scale = torch.where(has_nan, torch.nan, (high - low) / float(largest))
    steps = ((values - low) / torch.where(scale > 0, scale, 1.0)).clamp(max=float(largest))
    codes = (((steps * 65536.0 + 0.5).long() + random) >> 16).clamp(max=largest)
    if code_bytes == 2:
        codes = torch.stack((codes & 255, codes >> 8), dim=2).flatten(1)
    bias = torch.where(has_nan, torch.nan, low + 0.0)
    return torch.cat((codes.to(torch.uint8), torch.cat((scale, bias), dim=1).view(torch.uint8)), dim=1)
