"""A function of keys that holds no keys: `bits` a key and a few per cent, whatever the keys are.

A ribbon (Dillinger, Walzer, Ribbon Filter: Practically Smaller Than Bloom and Xor, 2021, arXiv:2103.02515; standard
form, width 64). The value of a key is the exclusive or of some of 64 consecutive slots of `bits` bits; which ones, two
hashes of the key say: with ``h = mix(key, seed)`` slots ``bucket(h, slots - 64) + i`` for every bit i that is set in
``fin(h ^ RIBBON_SALT) | 1``. The slots solve the linear equations of all keys, which a few per cent more slots than
keys make solvable for about every second seed. A key that is none of them has a value, too, as good as random: who must
know keeps some bits of another hash of the key in its value.

Words: int32; the seed, then 32 slots at a time a word per bit, slot i in bit i.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.mix import as_int64, bucket, fin, mix
from pocketrec.native.packing import require_cpu
from pocketrec.native.request import check_value
from pocketrec.spec.function_sizes import RIBBON, SLOTS_PER_BLOCK, function_slots, function_words

__all__ = ["MOST_BITS", "bit_lengths", "function_values", "slots_of", "static_function"]

MOST_BITS: Final = 32

_SEEDS: Final = 64
_SALT: Final = as_int64(0xD1342543DE82EF95)
_WORD: Final = (1 << 64) - 1
_HALF: Final = (1 << 32) - 1


def static_function(keys: Tensor, values: Tensor, bits: int) -> Tensor:
    """The words of the function that gives each key its value.

    Args:
        keys: int64 [n], all 64 bits in use, distinct.
        values: int64 [n], from 0 to 2**bits - 1.
        bits: 1 to 32.

    Returns:
        int32 [function_words(n, bits)].

    Raises:
        TypeError, ValueError: what does not fit, with numbers; keys that are equal.

    >>> keys = torch.arange(100)
    >>> words = static_function(keys, keys % 7, 3)
    >>> bool((function_values(words, keys, 100, 3) == keys % 7).all())
    True
    """
    _check(keys, values, bits)
    keys, values = keys.contiguous(), values.contiguous()
    words = torch.zeros(function_words(len(keys), bits), dtype=torch.int32)
    kernels = kernels_for(keys)
    if kernels is None:
        return _reference(keys, values, bits, words)
    require_cpu((keys, values))
    kernels.static_function(keys.data_ptr(), values.data_ptr(), len(keys), bits, words.data_ptr())
    return words


def _check(keys: Tensor, values: Tensor, bits: int) -> None:
    if keys.dtype is not torch.int64 or values.dtype is not torch.int64 or keys.dim() != 1 or values.dim() != 1:
        raise TypeError(
            f"keys and values must be int64 of one axis, got {keys.dtype} {list(keys.shape)} and {values.dtype} "
            f"{list(values.shape)}."
        )
    check_value(len(keys) == len(values), lambda: f"{len(keys)} keys need as many values, got {len(values)}.")
    check_value(1 <= bits <= MOST_BITS, lambda: f"bits must lie in 1..{MOST_BITS}, got {bits}.")
    bad = ((values < 0) | (values >> bits != 0)).nonzero()
    check_value(
        not len(bad),
        lambda: f"values must lie in 0..2**{bits} - 1; number {int(bad[0])} is {int(values[int(bad[0])])}.",
    )
    distinct = len(torch.unique(keys))
    check_value(distinct == len(keys), lambda: f"keys must be distinct, {len(keys)} keys have {distinct} values.")


def _reference(keys: Tensor, values: Tensor, bits: int, words: Tensor) -> Tensor:
    """One equation at a time: a definition, not a way to compute."""
    slots = function_slots(len(keys))
    for seed in range(_SEEDS if len(keys) else 0):
        starts, chosen = _ribbons(keys, torch.tensor(seed), torch.tensor(slots - RIBBON))
        order = starts.argsort(stable=True).tolist()
        starts_of, chosen_of, value_of = starts.tolist(), chosen.tolist(), values.tolist()
        rows = _eliminated([(starts_of[i], chosen_of[i] & _WORD, value_of[i]) for i in order])
        if rows is not None:
            words[0] = seed
            solved = torch.tensor(_solved(rows, slots)).view(-1, SLOTS_PER_BLOCK, 1) >> torch.arange(bits) & 1
            packed = (solved << torch.arange(SLOTS_PER_BLOCK)[:, None]).sum(dim=1).reshape(-1)
            words[1:] = torch.where(packed >= 2**31, packed - 2**32, packed)
            return words
    check_value(not len(keys), lambda: f"{len(keys)} keys have no function under {_SEEDS} seeds.")
    return words


def _ribbons(keys: Tensor, seed: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Where the ribbon of each key begins, and which of its slots are read, a word of 64 bits."""
    hashes = mix(keys, seed)
    return bucket(hashes, starts), fin(hashes ^ _SALT) | 1


def _eliminated(equations: list[tuple[int, int, int]]) -> dict[int, tuple[int, int]] | None:
    """Slots and value of the one equation that begins at a place; None where two contradict."""
    rows: dict[int, tuple[int, int]] = {}
    for start, slots, value in equations:
        while slots and start in rows:
            slots, value = slots ^ rows[start][0], value ^ rows[start][1]
            ahead = (slots & -slots).bit_length() - 1 if slots else 0
            slots, start = slots >> ahead, start + ahead
        if slots:
            rows[start] = (slots, value)
        elif value:
            return None
    return rows


def _solved(rows: dict[int, tuple[int, int]], slots: int) -> list[int]:
    """The value of every slot, from the last one on; those that no equation begins at are 0."""
    found = [0] * (slots + RIBBON)
    for start in sorted(rows, reverse=True):
        chosen, value = rows[start]
        for ahead in range(1, RIBBON):
            if chosen >> ahead & 1:
                value ^= found[start + ahead]
        found[start] = value
    return found[:slots]


def function_values(
    words: Tensor, keys: Tensor, count: Tensor | int, bits: Tensor | int, *, first: Tensor | int = 0
) -> Tensor:
    """What functions give for keys, without a branch on any number: a trace can follow it.

    Args:
        words: int32, 1 or more, in which functions stand.
        keys: int64 [n].
        count: of keys that the function was made of, one number or int64 [n].
        bits: of its values, likewise.
        first: where the function begins, likewise.

    Returns:
        int64 [n], from 0 to 2**bits - 1; for keys that it was not made of a number that means nothing, 0 of none.
    """
    count, bits, first = (torch.as_tensor(x, device=keys.device).expand(keys.shape) for x in (count, bits, first))
    some, starts = count > 0, torch.where(count > 0, slots_of(count) - RIBBON, 1)
    start, chosen = _ribbons(keys, words.index_select(0, torch.where(some, first, 0)).long() & _HALF, starts)
    offset = start % SLOTS_PER_BLOCK
    # What the ribbon reads of each of three blocks, as numbers of 32 bits; a shift by 64 would mean nothing.
    reads = torch.stack((
        (chosen << offset) & _HALF,
        (chosen >> (SLOTS_PER_BLOCK - offset)) & _HALF,
        (chosen >> (RIBBON - offset).clamp(max=RIBBON - 1)) & ((1 << offset) - 1),
    ), dim=1)  # fmt: skip
    lanes, blocks = torch.arange(MOST_BITS, device=keys.device), torch.arange(3, device=keys.device)
    inside = some[:, None, None] & (lanes < bits[:, None, None])
    place = (first + 1 + start // SLOTS_PER_BLOCK * bits)[:, None, None] + blocks[:, None] * bits[:, None, None] + lanes
    held = words.index_select(0, torch.where(inside, place, 0).reshape(-1)).view(place.shape).long()
    odd = held[:, 0] & reads[:, 0, None] ^ held[:, 1] & reads[:, 1, None] ^ held[:, 2] & reads[:, 2, None]
    for step in (16, 8, 4, 2, 1):
        odd = odd ^ odd >> step
    return torch.where(inside[:, 0], (odd & 1) << lanes, 0).sum(dim=1)


def slots_of(count: Tensor) -> Tensor:
    """`pocketrec.spec.function_sizes.function_slots` of int64 numbers from 1."""
    spare = count // 256 * 3 * (bit_lengths(count) - 10).clamp(min=0)
    return -(-(count + spare + RIBBON) // SLOTS_PER_BLOCK) * SLOTS_PER_BLOCK


def bit_lengths(numbers: Tensor) -> Tensor:
    """Bits of int64 numbers from 0 to 2**40 - 1."""
    return (numbers[..., None] >= 1 << torch.arange(40, device=numbers.device)).sum(dim=-1)
