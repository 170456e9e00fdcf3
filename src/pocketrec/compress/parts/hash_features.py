"""Many hashes of an id as real numbers: what networks and projections are given in the place of a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BUCKETS", "Features", "hash_features"]

Features = Literal["uniform", "normal", "sign"]

BUCKETS: Final = 1_000_000
"""Values that a hash takes, as Deep Hash Embedding has them."""

_HALF: Final = 32


def hash_features(ids: Tensor, seed: int, count: int, features: Features) -> Tensor:
    """Hashes h_0 ... h_{count - 1} of each id, 0 to 999,999, as numbers: float32 [n, count].

    An id of 64 bits is mixed once (`pocketrec.native.mix`); hash i is the top of that word times an odd number of its
    own, plus another one (multiply-shift: Dietzfelbinger et al., J. Algorithms 25, 1997), in words of 64 bits that wrap
    on purpose.

    Args:
        ids: int64 [n], any.
        seed: of the hashes, 0 to 2^63 - 1.
        count: how many, 1 or more; for ``normal`` an even number.
        features: ``uniform``: 2 h / 999,999 - 1, from -1 to 1 with mean 0 and variance 1/3 (Kang et al., KDD 2021,
            section 4.1); ``normal``: pairs of such numbers turned by Box and Muller; ``sign``: -1 or 1.
    """
    import torch  # here, not above: sizing answers without it

    from pocketrec.native.mix import mix, shift_right

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
