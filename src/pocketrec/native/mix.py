"""Mix 64-bit integers: the hash behind every address.

All arithmetic is that of unsigned 64-bit words. torch has no such arithmetic, but int64 wraps in the same way and only
shifts to the right and comparisons differ, so a word is kept as the int64 of the same bits.

The finaliser is splitmix64's (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014; the
constants are David Stafford's variant 13). The same functions stand in csrc/mix.hpp; golden vectors bind the two.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

__all__ = ["SIGN_SALT", "as_int64", "bucket", "fin", "mix", "shift_right", "tag"]


def as_int64(word: int) -> int:
    """The int64 with the bits of `word` modulo 2**64.

    >>> as_int64(2**64 - 1), as_int64(2**63)
    (-1, -9223372036854775808)
    """
    return (word + 2**63) % 2**64 - 2**63


_FIN_1: Final = as_int64(0xBF58476D1CE4E5B9)
_FIN_2: Final = as_int64(0x94D049BB133111EB)
_SEED_ADD: Final = as_int64(0x9E3779B97F4A7C15)
_SEED_XOR: Final = as_int64(0xD6E8FEB86659FD93)
_LOW: Final = 0xFFFFFFFF

SIGN_SALT: Final = as_int64(0x5851F42D4C957F2D)
"""Xor-ed to a block's hash before its signs are drawn, so that a sign tells nothing about the start."""

_TAG_SALT: Final = as_int64(0x2545F4914F6CDD1D)


def shift_right(word: Tensor, bits: int) -> Tensor:
    """Logical shift of int64 words to the right by 1 to 63 bits: zeros come in from the left."""
    return (word >> bits) & ((1 << (64 - bits)) - 1)


def fin(word: Tensor) -> Tensor:
    """splitmix64's finaliser, a bijection of the 64-bit words."""
    word = (word ^ shift_right(word, 30)) * _FIN_1
    word = (word ^ shift_right(word, 27)) * _FIN_2
    return word ^ shift_right(word, 31)


def mix(word: Tensor, seed: Tensor | int) -> Tensor:
    """Hash int64 words under a seed: ``fin(fin(word + C1 * (seed + 1)) ^ (seed * C2))``.

    Args:
        word: int64, any shape.
        seed: any int64; a tensor must broadcast against `word`.

    Returns:
        int64 words, all 64 bits in use: negative ones are ordinary.

    >>> mix(torch.tensor([0, 1]), seed=7).tolist()
    [-2759878848789621629, -8936508954953831479]
    """
    if isinstance(seed, int):
        add, xor = as_int64(_SEED_ADD * (seed + 1)), as_int64(_SEED_XOR * seed)
        return fin(fin(word + add) ^ xor)
    return fin(fin(word + _SEED_ADD * (seed + 1)) ^ (seed * _SEED_XOR))


# bucket: floor(a * m / 2^63) with a < 2^63 and m < 2^62 has a product of up to 125 bits. With a = a1 2^32 + a0 and
# m = m1 2^32 + m0 (limbs below 2^32, a1 < 2^31, m1 < 2^30):
#     a m = a1 m1 2^64 + (a1 m0 + a0 m1) 2^32 + a0 m0
# carry = a0 m0 >>> 32 < 2^32, so  mid = a1 m0 + carry <= (2^31 - 1)(2^32 - 1) + 2^32 - 1 < 2^63  does not wrap, nor
# does side = a0 m1 + (mid mod 2^32). Then  floor(a m / 2^64) = a1 m1 + (mid >> 32) + (side >> 32), and the bit below
# it, the 63rd of the product, is bit 31 of side.
def bucket(word: Tensor, buckets: Tensor | int) -> Tensor:
    """Reduce 64-bit words to ``0 <= bucket < buckets`` without a division: ``floor((word >>> 1) * buckets / 2**63)``.

    Args:
        word: int64 words, from `mix`.
        buckets: 1 to 2**62 - 1; a tensor must broadcast against `word`.

    >>> bucket(torch.tensor([0, -1, 1 << 62]), 1000).tolist()
    [0, 999, 250]
    """
    half = shift_right(word, 1)
    count = torch.as_tensor(buckets, dtype=torch.int64, device=word.device)
    half_high, half_low = half >> 32, half & _LOW
    count_high, count_low = count >> 32, count & _LOW
    mid = half_high * count_low + shift_right(half_low * count_low, 32)
    side = half_low * count_high + (mid & _LOW)
    top = half_high * count_high + (mid >> 32) + (side >> 32)
    return (top << 1) + ((side & _LOW) >> 31)


def tag(word: Tensor) -> Tensor:
    """What tells the words of one bucket apart: the low 32 bits of ``fin(word ^ salt)``, 1 where they are 0.

    Args:
        word: int64 words, from `mix`.

    Returns:
        int64, the 32 bits as a signed number, never 0. It knows nothing of the word's bucket, which is made of other
        bits.

    >>> tag(torch.tensor([0, 1])).tolist()
    [-388119407, 831489481]
    """
    low = (fin(word ^ _TAG_SALT) << 32) >> 32
    return torch.where(low == 0, 1, low)
