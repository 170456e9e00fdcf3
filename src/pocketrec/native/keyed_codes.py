"""Codes that are found by a key, with no vocabulary: the definition of `Kind.KEYED_CODES`.

With ``key = mix(id, seed)``, W = parts * Z, and three static functions (`pocketrec.native.static_function`) of the keys of
all fields that share them, one behind the other from ``maps[global]`` on:

1. of all n + r + s keys, u + b bits: a symbol in the lowest u, and b bits of ``tag(key)`` above them. A key whose tag has
   other bits there is none of them, up to a chance of 2^-b: block c is at ``p + c Z``.
2. of the r keys with the symbol 0, parts * t bits: code c in bits c t and on. Block c is at ``C + (c 2^t + code) Z``, where
   ``C = q + n W``.
3. of the n keys with the symbol 1, as many bits as n - 1 has: number i. Block c is at ``q + i W + c Z``, or, where i is not
   below n, at ``p + c Z``.

A symbol k of 2 or more is a code for the whole vector: block c is at ``C + W 2^t + (k - 2) W + c Z``. Symbols 0 and 1 where
r or n is 0 read what ids without an entry read.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pocketrec.native.mix import mix, tag
from pocketrec.native.program import Column
from pocketrec.native.request import check_value
from pocketrec.native.static_function import function_values, static_function
from pocketrec.spec.function_sizes import FunctionSize, keyed_functions, own_bits

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
        whole_bits=row[Column.U], key_bits=row[Column.B],
    )  # fmt: skip


def keyed_codes(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    """Addresses int64 [n, parts] of n ids, the program row of each [n, 17]."""
    found = torch.empty(len(ids), parts, dtype=torch.int64)
    fields, of = torch.unique(row, dim=0, return_inverse=True)
    for number, field in enumerate(fields.tolist()):
        chosen = (of == number).nonzero()[:, 0]
        found[chosen] = _of_field(ids[chosen], field, maps, parts)
    return found


def _of_field(ids: Tensor, row: list[int], maps: Tensor | None, parts: int) -> Tensor:
    blocks = torch.arange(parts)
    length, bits, symbols = row[Column.A], row[Column.T], row[Column.U]
    width, own, fine = parts * length, row[Column.N], row[Column.R]
    none = row[Column.P]
    first = torch.full_like(ids, none)
    sizes = sizes_of(row, parts)
    if not sizes[0][0]:
        return first[:, None] + blocks * length
    assert maps is not None, "check_program lets no functions pass without words"
    keys, place = mix(ids, row[Column.SEED]), row[Column.GLOBAL]
    values = []
    for count, width_of, words in sizes:
        given = function_values(maps, keys, count, width_of, first=place) if count else torch.zeros_like(keys)
        values.append(given)
        place += words
    kind, codes, numbers = values
    known = (kind >> symbols) == tag(keys) & ((1 << row[Column.B]) - 1)
    symbol = torch.where(known, kind & ((1 << symbols) - 1), -1)
    codewords = row[Column.Q] + own * width
    first = torch.where(symbol >= WHOLE, codewords + (width << bits) + (symbol - WHOLE) * width, first)
    first = torch.where((symbol == OWN) & (numbers < own), row[Column.Q] + numbers * width, first)
    of_blocks = codewords + ((blocks << bits) + (codes[:, None] >> blocks * bits & ((1 << bits) - 1))) * length
    return torch.where(((symbol == FINE) & (fine > 0))[:, None], of_blocks, first[:, None] + blocks * length)
