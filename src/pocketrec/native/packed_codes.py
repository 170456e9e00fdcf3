"""Codes that stand one behind the other in the bits of int32 words: the definition of `Kind.PACKED_CODES`.

Of the ids 0 to r - 1 the first n have codes of t bits, all others of u; an id has one for each part, the first part's
first. They follow one another in bits, with nothing between them, from bit 0 of word ``maps[global]`` on: bit k of what
is written is bit ``k mod 32`` of word ``global + k // 32``. Code c of id i says that block c is at
``p + (c 2^t + code) Z``. Ids from r on read the codes of id 0; where r is 0 every address is null.

Ids that fall in frequency need no word that says how many bits the codes of each have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from pocketrec.native.program import Column
from pocketrec.native.request import check_value

__all__ = ["WORD_BITS", "packed_codes", "packed_words"]

WORD_BITS: Final = 32
_LOW: Final = (1 << WORD_BITS) - 1
_CODES_AT_ONCE: Final = 1 << 20


def packed_words(runs: Sequence[tuple[Tensor, int]]) -> Tensor:
    """The words of the codes of some ids: int32 [ceil(bits / 32)].

    Args:
        runs: codes int64 [ids, parts] and how many bits, 1 to 16, each of them has; one run behind the other.

    Raises:
        ValueError: a code that its bits cannot hold.
    """
    total = sum(codes.numel() * bits for codes, bits in runs)
    words = torch.zeros(-(-total // WORD_BITS) + 1, dtype=torch.int64)  # one more, so that all may reach over the end
    first = 0
    for codes, bits in runs:
        for part in torch.split(codes.reshape(-1), _CODES_AT_ONCE):
            fits = not len(part) or (int(part.min()) >= 0 and int(part.max()) < 1 << bits)
            check_value(fits, lambda bits=bits: f"codes must lie in 0..{(1 << bits) - 1}.")  # type: ignore[misc]
            at = first + torch.arange(len(part)) * bits
            place, shifted = at // WORD_BITS, part << at % WORD_BITS
            # no bit is written twice, so that sums are unions
            words.index_add_(0, place, shifted & _LOW)
            words.index_add_(0, place + 1, shifted >> WORD_BITS)
            first += len(part) * bits
    words = words[:-1]
    return torch.where(words > _LOW // 2, words - _LOW - 1, words).to(torch.int32)


def packed_codes(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    """Addresses int64 [n, parts] of n ids.

    Args:
        ids: int64 [n].
        row: int64 [n, 17], the program row of each.
        maps: int32 [words], the codes of all tables; None where no field has any.
        parts: blocks per vector.
    """
    blocks = torch.arange(parts, device=ids.device)
    if maps is None or maps.shape[0] == 0:  # check_program let only fields without codes pass
        return torch.full((ids.shape[0], parts), -1, dtype=torch.int64, device=ids.device)
    wide_ids, held, wide, narrow = (row[:, c, None] for c in (Column.N, Column.R, Column.T, Column.U))
    known = torch.where(ids[:, None] < held, ids[:, None], 0)
    is_wide = known < wide_ids
    bits = torch.where(is_wide, wide, narrow)
    behind = known - wide_ids
    first = torch.where(is_wide, known * parts * wide, wide_ids * parts * wide + behind * parts * narrow)
    first = first + row[:, Column.GLOBAL, None] * WORD_BITS
    at = torch.where(held > 0, first + blocks * bits, 0)
    place, shift = at // WORD_BITS, at % WORD_BITS
    more = shift + bits > WORD_BITS  # the rest stands in the next word
    low, high = (maps.index_select(0, w.reshape(-1)).view_as(at).long() & _LOW for w in (place, place + more))
    code = (low | high << WORD_BITS) >> shift & ((1 << bits) - 1)
    found = row[:, Column.P, None] + ((blocks << wide) + code) * row[:, Column.A, None]
    return torch.where(held > 0, found, -1)
