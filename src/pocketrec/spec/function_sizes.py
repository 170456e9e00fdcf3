"""Sizes of static functions, known without any key: here, so that sizing needs neither torch nor kernels."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "RIBBON",
    "SLOTS_PER_BLOCK",
    "FunctionSize",
    "function_slots",
    "function_words",
    "keyed_functions",
    "own_bits",
]

RIBBON: Final = 64
"""Slots that a key reads."""

SLOTS_PER_BLOCK: Final = 32


class FunctionSize(NamedTuple):
    """Keys of a function, bits of their values, int32 words that it takes."""

    keys: int
    bits: int
    words: int


def function_slots(keys: int) -> int:
    """Slots for so many keys, 1 or more: about every second seed has a solution.

    >>> function_slots(10), function_slots(1000), function_slots(100_000)
    (96, 1088, 108256)
    """
    spare = keys // 256 * 3 * max(0, keys.bit_length() - 10)
    return -(-(keys + spare + RIBBON) // SLOTS_PER_BLOCK) * SLOTS_PER_BLOCK


def function_words(keys: int, bits: int) -> int:
    """int32 words of a function of so many keys, 0 for none.

    >>> function_words(1000, 8), function_words(100_000, 8)
    (273, 27065)
    """
    return 1 + function_slots(keys) // SLOTS_PER_BLOCK * bits if keys else 0


def own_bits(own: int) -> int:
    """Bits that say which of `own` weights a key has.

    >>> own_bits(1), own_bits(2), own_bits(256), own_bits(257)
    (1, 1, 8, 9)
    """
    return max(1, (own - 1).bit_length()) if own else 1


def keyed_functions(
    *, own: int, fine: int, whole: int, parts: int, bits: int, whole_bits: int, key_bits: int
) -> tuple[FunctionSize, FunctionSize, FunctionSize]:
    """The functions of keyed codes: what a key is, its codes per block, the number of its own weights."""
    first, second = (own + fine + whole, whole_bits + key_bits), (fine, parts * bits)
    third = (own, own_bits(own))
    return (
        FunctionSize(*first, function_words(*first)), FunctionSize(*second, function_words(*second)),
        FunctionSize(*third, function_words(*third)),
    )  # fmt: skip
