"""Turn ids into addresses: op ``pocketrec::addresses`` and the definition of every kind of addressing.

With the columns of the program called by their names, and ``mix`` and ``bucket`` of `pocketrec.native.mix`:

* row: ``start + (id if id < size else a)``; null when a is -1 and id >= size.
* hash: ``start + id`` for id < a, else ``start + a + bucket(mix(id, seed), size)``.
* quotient_remainder: with ``x = (id * p + q) mod n``: ``start + x // size`` and ``a + x % size``
  (Shi et al., Compositional Embeddings Using Complementary Partitions, KDD 2020, arXiv:1909.02107).
* block c: ``start + s`` with ``s = bucket(mix(mix(id, seed), c), M)``, where M is size (wrapping), size - Z + 1 (no
  wrap), or size // Z and s times Z (aligned). Element j reads weight ``start + (s + j) mod size``
  (ROBE: Desai, Chou, Shrivastava, MLSys 2022, arXiv:2108.02191).
* linear_block c: ``s = ((x * r3 + c * r2 + r1) mod P) mod (size - Z + 1)`` with x = id + global, as the published ROBE
  code.
* mapped: ``start + maps[b + (id if id < size else a)]``; null where the map says -1, or when a is -1 and id >= size.
* sketched: with ``key = mix(id, seed)``, ``start + place`` of the first slot with ``tag(key)`` in bucket
  ``bucket(key, size)`` of the sketch [size, a, 3] at maps[b] (`pocketrec.native.sketch`); null where there is none, or
  its place is negative.
* tagged: ``start + place`` of the first tag of that key among the first 32 of its bucket: bucket i has tags
  ``maps[b + i]`` to ``maps[b + i + 1]`` of the n ones from ``maps[b + size + 1]`` on (`pocketrec.native.tagged`); null
  where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.library import define
from pocketrec.native.mix import bucket, mix, tag
from pocketrec.native.packing import contiguous, pack_ids, require_cpu
from pocketrec.native.program import LINEAR_MODULUS, MOST_SLOTS, BlockFlag, Column, Kind
from pocketrec.native.program_check import check_program
from pocketrec.native.request import Request, check_ids
from pocketrec.native.values import Values, values_of

__all__ = ["RULES", "addresses", "block_hashes", "compute_addresses"]

_FAR: Final = 1 << 62

_Rule = Callable[[Tensor, Tensor, Tensor | None, int], Tensor]


def _row(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    start, size, fold = row[:, Column.START], row[:, Column.SIZE], row[:, Column.A]
    inside = ids < size
    return torch.where(inside | (fold >= 0), start + torch.where(inside, ids, fold), -1)[:, None]


def _hash(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    exact = row[:, Column.A]
    hashed = exact + bucket(mix(ids, row[:, Column.SEED]), row[:, Column.SIZE])
    return (row[:, Column.START] + torch.where(ids < exact, ids, hashed))[:, None]


def _hashes(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    start, exact, numbers = row[:, Column.START], row[:, Column.A], torch.arange(parts, device=ids.device)
    hashed = mix(mix(ids, row[:, Column.SEED])[:, None], numbers)
    found = (start + exact)[:, None] + bucket(hashed, row[:, Column.SIZE, None])
    own = torch.where(numbers == 0, (start + ids)[:, None], -1)
    return torch.where((ids < exact)[:, None], own, torch.where(numbers < row[:, Column.N, None], found, -1))


def _quotient_remainder(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    remainders, count = row[:, Column.SIZE], row[:, Column.N]
    known = torch.where(ids < count, ids, 0)
    permuted = (known * row[:, Column.P] + row[:, Column.Q]) % count
    return torch.stack((row[:, Column.START] + permuted // remainders, row[:, Column.A] + permuted % remainders), dim=1)


def block_hashes(ids: Tensor, seeds: Tensor, blocks: Tensor) -> Tensor:
    """The 64-bit hash of block `blocks` of each id, from which its start and its signs are drawn. Shapes broadcast."""
    return mix(mix(ids, seeds), blocks)


def _block(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    size, length, flags = row[:, Column.SIZE, None], row[:, Column.A, None], row[:, Column.B, None]
    blocks = torch.arange(parts, device=ids.device)
    hashes = block_hashes(ids[:, None], row[:, Column.SEED, None], blocks)
    aligned, no_wrap = (flags & BlockFlag.ALIGNED) != 0, (flags & BlockFlag.NO_WRAP) != 0
    choices = torch.where(aligned, size // length, torch.where(no_wrap, size - length + 1, size))
    starts = bucket(hashes, choices) * torch.where(aligned, length, 1)
    return row[:, Column.START, None] + starts


def _linear_block(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    size, length = row[:, Column.SIZE, None], row[:, Column.A, None]
    r1, r2, r3 = row[:, Column.SEED, None], row[:, Column.Q, None], row[:, Column.P, None]
    # Reduced first, so that x * r3 stays below 2^62 for any id; the residue is the same.
    x = (ids[:, None] % LINEAR_MODULUS + row[:, Column.GLOBAL, None] % LINEAR_MODULUS) % LINEAR_MODULUS
    blocks = torch.arange(parts, device=ids.device)
    return row[:, Column.START, None] + (x * r3 + blocks * r2 + r1) % LINEAR_MODULUS % (size - length + 1)


def _mapped(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    if maps is None or maps.shape[0] == 0:  # check_program let only maps without entries pass
        return torch.full_like(ids, -1)[:, None]
    fold = row[:, Column.A]
    inside = ids < row[:, Column.SIZE]
    entry = row[:, Column.B] + torch.where(inside, ids, fold)
    read = inside | (fold >= 0)
    target = torch.where(read, maps.index_select(0, torch.where(read, entry, 0)).long(), -1)
    return _target_addresses(row, target)[:, None]


def _target_addresses(row: Tensor, target: Tensor) -> Tensor:
    # Clamped, so that a wild entry is found beyond the regions instead of wrapping around.
    return torch.where(target >= 0, row[:, Column.START] + target.clamp(max=_FAR), -1)


def _first_place(maps: Tensor, entries: Tensor, inside: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
    """Which entry [n, 32] of the maps, of those inside, first is the tag [n]; and whether one is."""
    read = maps.index_select(0, torch.where(inside, entries, 0).reshape(-1)).view(entries.shape)
    found = inside & (read == tags[:, None])
    return found.int().argmax(dim=1), found.any(dim=1)


def _sketched(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    assert maps is not None, "check_program lets no sketch pass without entries"
    keys, slots = mix(ids, row[:, Column.SEED]), torch.arange(MOST_SLOTS, device=ids.device)
    first = row[:, Column.B] + bucket(keys, row[:, Column.SIZE]) * row[:, Column.A] * 3
    slot, known = _first_place(maps, first[:, None] + 3 * slots, slots < row[:, Column.A, None], tag(keys))
    place = maps.index_select(0, torch.where(known, first + 3 * slot + 2, 0)).long()
    return _target_addresses(row, torch.where(known, place, -1))[:, None]


def _tagged(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    assert maps is not None, "check_program lets no tags pass without entries"
    keys, count = mix(ids, row[:, Column.SEED]), row[:, Column.N]
    offset = row[:, Column.B] + bucket(keys, row[:, Column.SIZE])
    begin, end = (  # kept inside the tags, whatever the map says
        torch.minimum(maps.index_select(0, place).long().clamp(min=0), count) for place in (offset, offset + 1)
    )
    places = begin[:, None] + torch.arange(MOST_SLOTS, device=ids.device)
    entries = (row[:, Column.B] + row[:, Column.SIZE] + 1)[:, None] + places
    place, known = _first_place(maps, entries, places < end[:, None], tag(keys))
    return torch.where(known, row[:, Column.START] + begin + place, -1)[:, None]


RULES: Final[Mapping[Kind, _Rule]] = {
    Kind.ROW: _row,
    Kind.HASH: _hash,
    Kind.QUOTIENT_REMAINDER: _quotient_remainder,
    Kind.BLOCK: _block,
    Kind.LINEAR_BLOCK: _linear_block,
    Kind.MAPPED: _mapped,
    Kind.HASHES: _hashes,
    Kind.SKETCHED: _sketched,
    Kind.TAGGED: _tagged,
}
"""Per kind: from ids int64 [n], the program rows of each [n, 13], maps and parts to addresses int64 [n, 1 to parts]."""


def compute_addresses(values: Values, program: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    """Addresses int64 [n, parts] of n values; -1 for padding, null addresses and parts that a kind does not use."""
    out = torch.full((values.ids.shape[0], parts), -1, dtype=torch.int64, device=values.ids.device)
    kinds = program[:, Column.KIND].index_select(0, values.fields)
    for kind, rule in RULES.items():
        chosen = ((kinds == kind) & ~values.padding).nonzero().squeeze(1)
        if chosen.shape[0]:
            row = program.index_select(0, values.fields.index_select(0, chosen))
            found = rule(values.ids.index_select(0, chosen), row, maps, parts)
            out[chosen, : found.shape[1]] = found
    return out


def _compiled(
    kernels: Any, ids: Tensor, offsets: Tensor | None, program: Tensor, maps: Tensor | None, parts: int
) -> Tensor:
    request = contiguous(Request((), ids, offsets, None, program, maps, (), 0, parts, 0, 0))
    require_cpu((offsets, program, maps))
    numbers = pack_ids(request.ids, request.offsets, request.program, request.maps)
    values = ids.shape[0] * program.shape[0] if offsets is None else ids.shape[0]
    out = ids.new_empty((values, parts))
    kernels.addresses([*numbers, 0, parts, 0, 0, 1], out.data_ptr())
    return out


def _addresses(ids: Tensor, offsets: Tensor | None, program: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    check_ids(ids, offsets, program, maps, parts)
    kernels = kernels_for(ids)
    if kernels is not None:
        return _compiled(kernels, ids, offsets, program, maps, parts)
    check_program(program, maps, parts)
    values = values_of(ids, offsets, program)
    found = compute_addresses(values, program, maps, parts)
    if offsets is None:
        return found
    out = torch.full((ids.shape[0], parts), -1, dtype=torch.int64, device=ids.device)
    return out.index_copy_(0, values.positions, found)


def _fake(ids: Tensor, offsets: Tensor | None, program: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    check_ids(ids, offsets, program, maps, parts)
    values = ids.shape[0] * program.shape[0] if offsets is None else ids.shape[0]
    return ids.new_empty((values, parts))


_OP: Final = define(
    "addresses", "(Tensor ids, Tensor? offsets, Tensor program, Tensor? maps, int parts) -> Tensor", _addresses, _fake
)


def addresses(
    ids: Tensor, program: Tensor, *, parts: int = 1, offsets: Tensor | None = None, maps: Tensor | None = None
) -> Tensor:
    """Addresses of the values of a call.

    Args:
        ids: int64 [batch, columns], or int64 [values] with offsets.
        program: int64 [fields, 13].
        parts: addresses per value.
        offsets: as in `pocketrec.native.request.Request`.
        maps: int32 or int64, the maps of mapped, sketched and tagged fields, or None.

    Returns:
        int64 [values, parts], -1 for padding and null addresses: for 2-D ids one value per batch row and program field
        (row-major), else one per id; an id in no bag has null addresses, and so has an id that two bags of a 2-D
        `offsets` share all but the last one's. Blocks: the address of the first weight of each.

    Raises:
        IdError: a negative id that is not the padding id of its field.
        TypeError, ValueError: arguments or a program that do not fit.
    """
    result: Tensor = _OP(ids, offsets, program, maps, parts)
    return result
