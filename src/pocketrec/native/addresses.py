"""Turn ids into addresses: op ``pocketrec::addresses`` and the definition of every kind of addressing.

With the columns of the program called by their names, and ``mix`` and ``bucket`` of `pocketrec.native.mix`:

* row: ``start - b + (id if b <= id < size else a)``; null when a is -1 in place of an id.
* hash: ``start + id`` for id < a, else ``start + a + bucket(mix(id, seed), size)``.
* quotient_remainder: with ``x = (id * p + q) mod n``: ``start + x // size`` and ``a + x % size``
  (Shi et al., Compositional Embeddings Using Complementary Partitions, KDD 2020, arXiv:1909.02107).
* block c: ``start + s`` with ``s = bucket(mix(mix(id, seed), c), M)``, where M is size (wrapping), size - Z + 1 (no
  wrap), or size // Z and s times Z (aligned). Element j reads weight ``start + (s + j) mod size``
  (ROBE: Desai, Chou, Shrivastava, MLSys 2022, arXiv:2108.02191).
  Ids 1 to n have weights of their own: block c of id i is at ``p + (i - 1) q + c Z``.
* signature c, sets c: as block c, but for an id that has a signature or a set the start is drawn from
  ``mix(word, c)`` in the place of ``mix(mix(id, seed), c)``, so that ids with the same word c share block c, whichever
  table they are of (LMA: Desai et al., Semantically Constrained Memory Allocation, arXiv:2103.06124). Word c of a
  signature joins u of its keys: key ``c mod s`` where u is 1, else keys ``bucket(mix(64 c + j, PICK_SALT), s)`` for j
  from 0, the first in the lowest bits. Word c of a set joins s least hashes, numbers c s to c s + s - 1 of
  `pocketrec.native.minhash`: ``w = mix(w ^ least_j, j)`` for j from 0, from w = 0.
* keyed codes c: `pocketrec.native.keyed_codes`.
* packed codes c: `pocketrec.native.packed_codes`.
* chain: the first row of the id's slice of each core, `pocketrec.native.chain`.
* digits, with x as for quotient_remainder: part j of u is ``start + j * size + (x // size**j) mod size``, null from u
  on. Where b is above 0, x has b bits, which are dealt out to the parts: bit t of part j is bit j + t u of x, and
  part j has ``2**k`` addresses, with its k of the b bits, behind those of the parts before it.
* linear_block c: ``s = ((x * r3 + c * r2 + r1) mod P) mod (size - Z + 1)`` with x = id + global, as the published ROBE
  code.
* mapped: ``start + maps[b + (id if id < size else a)]``; null where the map says -1, or when a is -1 and id >= size.
* paged: with ``x = q + (id if id < size else a)``: ``start + maps[b + x // n] * n + x mod n``; null as for mapped.
* sketched: with ``key = mix(id, seed)``, ``start + place`` of the first slot with ``tag(key)`` in bucket
  ``bucket(key, size)`` of the sketch [size, a, 3] at maps[b] (`pocketrec.native.sketch`); null where there is none, or
  its place is negative. But ``q + floor(tag * u / 2**32)``, with the tag as a number from 0, where u is above 0 and the
  slot's score is negative too: the key is medium.
* tagged: ``start + place`` of the first tag of that key among the first 32 of its bucket: bucket i has tags
  ``maps[b + i]`` to ``maps[b + i + 1]`` of the n ones from ``maps[b + size + 1]`` on (`pocketrec.native.tagged`). Where
  there is none, u is above 0, and the tag is among those that lie in the same way at maps[r], s of them:
  ``q + floor(tag * u / 2**32)``; else null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.chain import chain_addresses
from pocketrec.native.keyed_codes import keyed_codes
from pocketrec.native.library import define
from pocketrec.native.minhash import STEP
from pocketrec.native.mix import as_int64, bucket, fin, mix, shift_right, tag
from pocketrec.native.packed_codes import packed_codes
from pocketrec.native.packing import contiguous, pack_ids, require_cpu
from pocketrec.native.program import (
    HASHED_BLOCKS,
    LINEAR_MODULUS,
    MOST_DEALT_BITS,
    MOST_PICKS,
    MOST_SLOTS,
    BlockFlag,
    Column,
    Kind,
)
from pocketrec.native.program_check import check_program
from pocketrec.native.request import Request, check_ids
from pocketrec.native.values import Values, values_of

__all__ = ["RULES", "addresses", "block_hashes", "compute_addresses", "owned"]

_FAR: Final = 1 << 62
_FAR_ROWS: Final = 1 << 61
_LOW: Final = (1 << 32) - 1

PICK_SALT: Final = as_int64(0xA0761D6478BD642F)
"""Seed of the choice of keys of a signature."""

_Rule = Callable[[Tensor, Tensor, Tensor | None, int], Tensor]


def _row(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    first, size, fold = row[:, Column.B], row[:, Column.SIZE], row[:, Column.A]
    inside, start = (ids >= first) & (ids < size), row[:, Column.START] - first
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


def _permuted(ids: Tensor, row: Tensor) -> Tensor:
    """Where the ids stand in the permutation of their table; ids that it does not have are id 0."""
    count = row[:, Column.N]
    return (torch.where(ids < count, ids, 0) * row[:, Column.P] + row[:, Column.Q]) % count


def _quotient_remainder(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    remainders, permuted = row[:, Column.SIZE], _permuted(ids, row)
    return torch.stack((row[:, Column.START] + permuted // remainders, row[:, Column.A] + permuted % remainders), dim=1)


def _digits(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    base, bits, count = row[:, Column.SIZE], row[:, Column.B], row[:, Column.U]
    permuted, start, found = _permuted(ids, row), row[:, Column.START], []
    left = permuted
    for part in range(parts):
        own = torch.where(part < count, (bits - part + count - 1) // count, 0)  # bits that are dealt to it
        dealt = torch.zeros_like(ids)
        for bit in range(MOST_DEALT_BITS if part < MOST_DEALT_BITS else 0):
            place = torch.where(bit < own, part + bit * count, 0)
            dealt = dealt | torch.where(bit < own, permuted >> place & 1, 0) << bit
        address = start + torch.where(bits > 0, dealt, left % base)
        found.append(torch.where(part < count, address, -1))
        start, left = start + torch.where(bits > 0, 1 << own.clamp(min=0), base), left // base
    return torch.stack(found, dim=1)


def owned(ids: Tensor, row: Tensor) -> Tensor:
    """Which ids have weights of their own in an array of hashed blocks, and so no signs: bool [n]."""
    hashed = torch.isin(row[:, Column.KIND], torch.tensor(HASHED_BLOCKS, device=row.device))
    return (ids >= 1) & (ids <= row[:, Column.N]) & hashed


def block_hashes(ids: Tensor, row: Tensor, blocks: Tensor, maps: Tensor | None) -> Tensor:
    """The 64-bit hash of some blocks of ids, from which a block's start and its signs are drawn.

    Args:
        ids: int64 [n].
        row: int64 [n, 17], the program row of each.
        blocks: int64 [n, k] or [1, k], numbers of blocks.
        maps: of the call.

    Returns:
        int64 [n, k].
    """
    words = mix(ids, row[:, Column.SEED])[:, None].expand(-1, blocks.shape[1])
    if maps is not None and maps.shape[0]:
        found = signature_words if maps.dtype is torch.int64 else set_words
        words = found(ids, row, blocks, maps, words)
    return mix(words, blocks)


def _number(ids: Tensor, row: Tensor, kind: Kind) -> tuple[Tensor, Tensor]:
    """Number of each id among those that have a signature or a set, 0 for others, and which have: [n] each."""
    number = ids - row[:, Column.N] - 1
    has = (row[:, Column.KIND] == kind) & (number >= 0) & (number < row[:, Column.R]) & (ids >= 1)
    return torch.where(has, number, 0), has


def signature_words(ids: Tensor, row: Tensor, blocks: Tensor, maps: Tensor, others: Tensor) -> Tensor:
    """The words of blocks of ids that have a signature; `others` for those that have none. All int64 [n, k]."""
    number, has = _number(ids, row, Kind.SIGNATURE)
    # fields of other kinds have no bits and keys: any that do not divide by zero
    bits = torch.where(has, row[:, Column.T], 1)[:, None]
    keys = torch.where(has, row[:, Column.S], 1)[:, None]
    picks = row[:, Column.U, None]
    per_word = 64 // bits
    place = torch.where(has, row[:, Column.GLOBAL] + number * (-(-keys // per_word))[:, 0], 0)
    has = has & (maps.index_select(0, place) != 0)
    words = torch.zeros_like(others)
    for j in range(MOST_PICKS):
        key = torch.where(picks == 1, blocks % keys, bucket(mix(64 * blocks + j, PICK_SALT), keys))
        held = maps[torch.where(has[:, None], place[:, None] + key // per_word, 0)]
        number_of_key = (held >> key % per_word * bits) & ((1 << bits) - 1)
        words = torch.where(picks > j, words | number_of_key << j * bits, words)
    return torch.where(has[:, None], words, others)


def set_words(ids: Tensor, row: Tensor, blocks: Tensor, maps: Tensor, others: Tensor) -> Tensor:
    """The words of blocks of ids that have a set; `others` for those that have none. All int64 [n, k]."""
    number, has = _number(ids, row, Kind.SETS)
    first = torch.where(has, row[:, Column.GLOBAL], 0)
    members = first + torch.where(has, row[:, Column.R], 0) + 1
    begin, end = (maps.index_select(0, first + number + more).long() for more in (0, 1))
    room = maps.shape[0] - members
    has = has & (begin >= 0) & (begin < end) & (end <= room)
    words = others.clone()
    for at in has.nonzero()[:, 0].tolist():  # one id at a time: a definition, not a way to compute
        own = maps[int(members[at] + begin[at]) : int(members[at] + end[at])].long()
        power, seed = int(row[at, Column.S]), row[at, Column.T]
        of = blocks.expand(others.shape)[at]
        word = torch.zeros_like(of)
        for j in range(power):
            steps = (of * power + j + 1) * STEP
            least = shift_right(fin(mix(own, seed)[None, :] + steps[:, None]), 1).amin(dim=1)
            word = mix(word ^ least, j)
        words[at] = word
    return words


def _block(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    size, length, flags = row[:, Column.SIZE, None], row[:, Column.A, None], row[:, Column.B, None]
    blocks = torch.arange(parts, device=ids.device)[None, :]
    hashes = block_hashes(ids, row, blocks, maps)
    aligned, no_wrap = (flags & BlockFlag.ALIGNED) != 0, (flags & BlockFlag.NO_WRAP) != 0
    choices = torch.where(aligned, size // length, torch.where(no_wrap, size - length + 1, size))
    starts = row[:, Column.START, None] + bucket(hashes, choices) * torch.where(aligned, length, 1)
    own = row[:, Column.P, None] + (ids[:, None] - 1) * row[:, Column.Q, None] + blocks * length
    return torch.where(owned(ids, row)[:, None], own, starts)


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


def _paged(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    if maps is None or maps.shape[0] == 0:
        return torch.full_like(ids, -1)[:, None]
    inside, fold, length = ids < row[:, Column.SIZE], row[:, Column.A], row[:, Column.N]
    read = inside | (fold >= 0)
    place = row[:, Column.Q] + torch.where(inside, ids, fold.clamp(min=0))
    entry = torch.where(read, row[:, Column.B] + place // length, 0)
    kept = torch.where(read, maps.index_select(0, entry).long(), -1)
    # a wild entry is cut to a page far beyond the regions, where it is found
    address = row[:, Column.START] + torch.minimum(kept, _FAR_ROWS // length) * length + place % length
    return torch.where(kept >= 0, address, -1)[:, None]


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
    score, place = (maps.index_select(0, torch.where(known, first + 3 * slot + word, 0)).long() for word in (1, 2))
    medium = known & (score < 0) & (place < 0)
    own = _target_addresses(row, torch.where(known, place, -1))
    return torch.where(medium, _shared_rows(tag(keys), row), own)[:, None]


def _shared_rows(tags: Tensor, row: Tensor) -> Tensor:
    """The rows that ids of a tag share, null where the field has none."""
    rows = row[:, Column.U]
    return torch.where(rows > 0, row[:, Column.Q] + shift_right((tags & _LOW) * rows, 32), -1)


def _tagged(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    assert maps is not None, "check_program lets no tags pass without entries"
    keys = mix(ids, row[:, Column.SEED])
    own = _place_of_tags(maps, row[:, Column.B], row[:, Column.SIZE], row[:, Column.N], keys)
    has = row[:, Column.U] > 0
    first, count = (torch.where(has, row[:, column], 0) for column in (Column.R, Column.S))
    medium = has & (_place_of_tags(maps, first, row[:, Column.SIZE], count, keys) >= 0)
    shared = torch.where(medium, _shared_rows(tag(keys), row), -1)
    return torch.where(own >= 0, row[:, Column.START] + own, shared)[:, None]


def _place_of_tags(maps: Tensor, first: Tensor, buckets: Tensor, count: Tensor, keys: Tensor) -> Tensor:
    """The place of the tag of each key [n] among `count` tags behind buckets + 1 offsets at maps[first], or -1."""
    offset = first + bucket(keys, buckets)
    begin, end = (  # kept inside the tags, whatever the map says
        torch.minimum(maps.index_select(0, place).long().clamp(min=0), count) for place in (offset, offset + 1)
    )
    places = begin[:, None] + torch.arange(MOST_SLOTS, device=maps.device)
    place, known = _first_place(maps, (first + buckets + 1)[:, None] + places, places < end[:, None], tag(keys))
    return torch.where(known, begin + place, -1)


RULES: Final[Mapping[Kind, _Rule]] = {
    Kind.ROW: _row,
    Kind.HASH: _hash,
    Kind.QUOTIENT_REMAINDER: _quotient_remainder,
    Kind.BLOCK: _block,
    Kind.LINEAR_BLOCK: _linear_block,
    Kind.MAPPED: _mapped,
    Kind.HASHES: _hashes,
    Kind.SIGNATURE: _block,
    Kind.SETS: _block,
    Kind.SKETCHED: _sketched,
    Kind.TAGGED: _tagged,
    Kind.KEYED_CODES: keyed_codes,
    Kind.CHAIN: chain_addresses,
    Kind.DIGITS: _digits,
    Kind.PAGED: _paged,
    Kind.PACKED_CODES: packed_codes,
}
"""Per kind: from ids int64 [n], the program rows of each [n, 17], maps and parts to addresses int64 [n, 1 to parts]."""


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
        program: int64 [fields, 17].
        parts: addresses per value.
        offsets: as in `pocketrec.native.request.Request`.
        maps: int32 or int64, the maps of mapped, paged, sketched and tagged fields, or None.

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
