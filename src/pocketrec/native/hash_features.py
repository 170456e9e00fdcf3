"""Many hashes of an id as real numbers: what networks and projections are given in the place of a row.

Hash i of an id is a number from 0 to 999,999: the id is mixed once (`pocketrec.native.mix`), and the hash is the top of
that word times an odd number of its own, plus another one (multiply-shift: Dietzfelbinger et al., J. Algorithms 25,
1997), in words of 64 bits that wrap on purpose.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.eager import is_eager
from pocketrec.native.mix import mix, shift_right
from pocketrec.native.request import check_value
from pocketrec.native.threads import threads

__all__ = ["BUCKETS", "Features", "hash_features"]

Features = Literal["uniform", "normal", "sign"]

BUCKETS: Final = 1_000_000
"""Values that a hash takes, as Deep Hash Embedding has them."""

_HALF: Final = 32


def hash_features(ids: Tensor, seed: int, count: int, features: Features) -> Tensor:
    """Hashes 0 to count - 1 of each id as numbers: float32 [n, count].

    Args:
        ids: int64 [n], any.
        seed: of the hashes, 0 to 2^63 - 1.
        count: how many, 1 or more; for ``normal`` an even number.
        features: of a hash h, ``uniform``: 2 h / 999,999 - 1, from -1 to 1 with mean 0 and variance 1/3 (Kang et al.,
            KDD 2021, section 4.1); ``normal``: pairs of such numbers turned by Box and Muller; ``sign``: -1 or 1, the
            first bit of the hash's word.

    Raises:
        TypeError, ValueError: what does not fit.

    >>> hash_features(torch.tensor([7, 8]), 1, 4, "sign").tolist()
    [[-1.0, 1.0, 1.0, 1.0], [-1.0, -1.0, 1.0, -1.0]]
    """
    if ids.dtype is not torch.int64:
        raise TypeError(f"ids must be int64, got {ids.dtype}.")
    check_value(ids.dim() == 1 and count > 0, lambda: f"ids must be [n], of 1 feature or more, got {list(ids.shape)}.")
    kernels = kernels_for(ids) if features != "normal" and is_eager(ids) else None
    if kernels is None:
        return _reference(ids, seed, count, features)
    ids = ids.contiguous()
    out = torch.empty((ids.shape[0], count), dtype=torch.float32)
    kernels.hash_features(ids.data_ptr(), ids.shape[0], seed, count, features == "sign", threads(), out.data_ptr())
    return out


def _reference(ids: Tensor, seed: int, count: int, features: Features) -> Tensor:
    numbers = torch.arange(count)
    factor, plus = mix(numbers, seed) | 1, mix(numbers + count, seed)
    words = mix(ids, seed)[:, None] * factor + plus
    if features == "sign":
        return torch.where(words < 0, -1.0, 1.0)
    hashes = shift_right(shift_right(words, _HALF) * BUCKETS, _HALF)
    if features == "uniform":
        return hashes.float() * (2 / (BUCKETS - 1)) - 1
    first, second = ((hashes.float() + 1) / (BUCKETS + 1)).view(ids.shape[0], count // 2, 2).unbind(2)
    radius, angle = (-2 * first.log()).sqrt(), 2 * math.pi * second
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
