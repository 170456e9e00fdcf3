"""Codes that are found by a key, with no vocabulary: the definition of `Kind.KEYED_CODES`.

With ``key = mix(id, seed)``, W = parts * Z, and three static functions (`pocketrec.native.static_function`) of the keys
of all fields that share them, one behind the other from ``maps[global]`` on:

1. of all n + r + s keys, u + b bits: a symbol in the lowest u, and b bits of ``tag(key)`` above them. A key whose tag
   has other bits there is none of them, up to a chance of 2^-b: block c is at ``p + c Z``. Where b is below 0 no bits
   are checked, and the ids that are none of them are known: 0, and those from -b on.
2. of the r keys with the symbol 0, parts * t bits: code c in bits c t and on. Block c is at
   ``C + (c 2^t + code) Z``, where ``C = q + n W``.
3. of the n keys with the symbol 1, as many bits as n - 1 has: number i. Block c is at ``q + i W + c Z``, or, where i is
   not below n, at ``p + c Z``.

A symbol k of 2 or more is a code for the whole vector: block c is at ``C + W 2^t + (k - 2) W + c Z``. Symbols 0 and 1
where r or n is 0 read what ids without an entry read.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pocketrec.native.mix import mix, tag
from pocketrec.native.program import Column
from pocketrec.native.request import check_value
from pocketrec.native.static_function import bit_lengths, function_values, slots_of, static_function
from pocketrec.spec.function_sizes import SLOTS_PER_BLOCK, FunctionSize, keyed_functions, own_bits

__all__ = ["FINE", "OWN", "WHOLE", "keyed_codes", "keyed_words", "sizes_of"]

FINE, OWN, WHOLE = 0, 1, 2
"""Symbols: a code per block, weights of its own, and the first of the codes for whole vectors."""


def keyed_words(
    *, own: Tensor, fine: Tensor, fine_codes: Tensor, whole: Tensor, whole_codes: Tensor, bits: int, whole_bits: int,
    key_bits: int,
) -> Tensor:  # fmt: skip
    """The words of the three functions.

    Args:
        own: int64 [n], keys with weights of their own: key i has those of number i.
        fine: int64 [r], keys with a code per block.
        fine_codes: int64 [r, parts], their codes, from 0 to 2**bits - 1.
        whole: int64 [s], keys with one code.
        whole_codes: int64 [s], from 0 to 2**whole_bits - 3.
        bits: of a code per block; parts * bits at most 32.
        whole_bits: of a symbol, 2 to 16.
        key_bits: of a key's tag that are checked, 0 to 16.

    Returns:
        int32, as many as `pocketrec.spec.function_sizes.keyed_functions` says.

    Raises:
        ValueError: keys that are equal, codes that are too large.
    """
    keys = torch.cat((own, fine, whole))
    symbols = torch.cat((torch.full_like(own, OWN), torch.full_like(fine, FINE), whole_codes + WHOLE))
    checked = tag(keys) & ((1 << key_bits) - 1)
    parts = fine_codes.shape[1]
    check_value(
        not len(fine_codes) or int(fine_codes.max()) < 1 << bits, lambda: f"codes per block must be below 2**{bits}."
    )
    check_value(
        not len(whole) or int(symbols.max()) < 1 << whole_bits, lambda: f"codes must be below 2**{whole_bits} - 2."
    )
    joined = (fine_codes << torch.arange(parts) * bits).sum(dim=1)
    return torch.cat((
        static_function(keys, symbols | checked << whole_bits, whole_bits + key_bits),
        static_function(fine, joined, parts * bits),
        static_function(own, torch.arange(len(own)), own_bits(len(own))),
    ))  # fmt: skip


def sizes_of(row: list[int], parts: int) -> tuple[FunctionSize, FunctionSize, FunctionSize]:
    """The functions of one row of a program."""
    return keyed_functions(
        own=row[Column.N], fine=row[Column.R], whole=row[Column.S], parts=parts, bits=row[Column.T],
        whole_bits=row[Column.U], key_bits=max(0, row[Column.B]),
    )  # fmt: skip


def keyed_codes(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    """Addresses int64 [n, parts] of n ids.

    Args:
        ids: int64 [n].
        row: int64 [n, 17], the program row of each.
        maps: int32 or int64 [words], the functions of all tables one after the other; None where there are none.
        parts: blocks per vector.
    """
    blocks = torch.arange(parts, device=ids.device)
    length, none, first = (row[:, column] for column in (Column.A, Column.P, Column.Q))
    if maps is None or maps.shape[0] == 0:  # check_program let only fields without keys pass
        return none[:, None] + blocks * length[:, None]
    own, fine, whole = (row[:, column] for column in (Column.N, Column.R, Column.S))
    bits, symbols, checked = row[:, Column.T], row[:, Column.U], row[:, Column.B].clamp(min=0)
    may = (row[:, Column.B] >= 0) | ((ids >= 1) & (ids < -row[:, Column.B]))
    keys, place, found = mix(ids, row[:, Column.SEED]), row[:, Column.GLOBAL], []
    sizes = (own + fine + whole, symbols + checked), (fine, parts * bits), (own, bit_lengths(own - 1).clamp(min=1))
    for count, width in sizes:
        found.append(function_values(maps, keys, count, width, first=place))
        place = place + torch.where(count > 0, 1 + slots_of(count) // SLOTS_PER_BLOCK * width, 0)
    kind, codes, number = found
    known = may & (own + fine + whole > 0) & (kind >> symbols == tag(keys) & ((1 << checked) - 1))
    symbol, width = torch.where(known, kind & ((1 << symbols) - 1), -1), parts * length
    codewords = first + own * width
    single = torch.where(symbol >= WHOLE, codewords + (width << bits) + (symbol - WHOLE) * width, none)
    single = torch.where((symbol == OWN) & (number < own), first + number * width, single)
    code = codes[:, None] >> blocks * bits[:, None] & ((1 << bits) - 1)[:, None]
    several = codewords[:, None] + ((blocks << bits[:, None]) + code) * length[:, None]
    return torch.where(((symbol == FINE) & (fine > 0))[:, None], several, single[:, None] + blocks * length[:, None])
