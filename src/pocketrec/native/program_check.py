"""Refuse a program whose numbers do not fit together (reference; csrc/program.cpp has the same rules)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pocketrec.native.keyed_codes import sizes_of
from pocketrec.native.packed_codes import WORD_BITS
from pocketrec.native.program import (
    BLOCKS,
    LINEAR_MODULUS,
    MOST_CORES,
    MOST_DEALT_BITS,
    MOST_PICKS,
    MOST_RANK,
    MOST_SLOTS,
    Column,
    Combining,
    Kind,
)
from pocketrec.native.static_function import MOST_BITS

__all__ = ["check_blocks", "check_program"]

# start + a + (a number below size or n) must stay below 2^63.
_RANGES = (
    (Column.START, 0, 1 << 61),
    (Column.A, -1, 1 << 61),
    (Column.SIZE, 0, 1 << 62),
    (Column.N, 0, 1 << 62),
    (Column.R, 0, 1 << 62),
)
_BLOCK_FLAGS_END = 8
_MOST_KEYS = 1 << 20
_MOST_LEAST_HASHES = 64
_MOST_FUNCTION_KEYS = 1 << 32
_MOST_CODED = 1 << 40
_MOST_CODE_PARTS = 1 << 16


def check_program(program: Tensor, maps: Tensor | None, parts: int) -> None:
    """Refuse a program that would divide by zero, overflow, or read outside the maps.

    Addresses beyond the regions are found when they are read.

    Raises:
        ValueError: names the first bad field and what its kind asks for.
    """
    kinds = program[:, Column.KIND]
    _refuse((kinds < 0) | (kinds > max(Kind)), program, f"kind must lie in 0..{int(max(Kind))}")
    for column, least, end in _RANGES:
        numbers = program[:, column]
        _refuse((numbers < least) | (numbers >= end), program, f"{column.name.lower()} must lie in {least}..{end - 1}")
    limits = program[:, Column.LIMIT]
    _refuse((limits < 1) & (limits != -1), program, "limit must be -1, or 1 or more")
    for kind in Kind:
        of_kind = kinds == kind
        if bool(of_kind.any()):
            for wrong, rule in _rules(kind, program, maps, parts):
                _refuse(of_kind & wrong, program, f"{kind.name.lower()} needs {rule}")


def check_blocks(program: Tensor, dim: int, parts: int, combining: int) -> None:
    """Refuse a program whose kinds do not fit the way of combining, or whose blocks do not cover `dim`.

    Raises:
        ValueError: names the first bad field.
    """
    kinds = program[:, Column.KIND]
    blocks, chains = torch.isin(kinds, torch.tensor(BLOCKS)), kinds == Kind.CHAIN
    _refuse(chains != (combining == Combining.CONTRACT), program, "chain and combining CONTRACT need one another")
    if combining == Combining.CONTRACT:
        factors = program[:, [Column.A, Column.R, Column.S, Column.T, Column.N]]
        outer = program[:, Column.SEED].clamp(min=1)
        wrong = (factors != factors[0]).any(dim=1) | (factors[:, :-1].prod(dim=1) != dim) | (outer != outer[0])
        _refuse(wrong, program, "chains of one call need the same factors of its dim, the same n and the same seed")
    if combining != Combining.CONCAT:
        _refuse(blocks, program, "blocks need combining CONCAT")
        return
    _refuse(~blocks, program, "combining CONCAT is for blocks")
    length = program[:, Column.A]
    _refuse(length < -(-dim // parts), program, "the blocks of all parts must cover dim")


def _rules(kind: Kind, program: Tensor, maps: Tensor | None, parts: int) -> Iterator[tuple[Tensor, str]]:
    map_entries = 0 if maps is None else maps.shape[0]
    size, seed, a, b = (program[:, column] for column in (Column.SIZE, Column.SEED, Column.A, Column.B))
    n, p, q = (program[:, column] for column in (Column.N, Column.P, Column.Q))
    if kind == Kind.ROW:
        yield (b < 0) | (b > size) | ((a != -1) & (a < b)), "0 <= b <= size, and a of -1 or at least b"
    elif kind == Kind.HASH:
        yield (size < 1) | (a < 0), "size >= 1 and a >= 0"
    elif kind == Kind.HASHES:
        yield (size < 1) | (a < 0), "size >= 1 and a >= 0"
        yield (n < 1) | (n > parts), "1 <= n <= parts"
    elif kind == Kind.QUOTIENT_REMAINDER:
        yield torch.full_like(size, parts) != 2, "2 parts per value"
        yield (size < 1) | (n < 1) | (a < 0) | (p < 1) | (q < 0), "size, n, p >= 1 and a, q >= 0"
        yield _no_permutation(program)
    elif kind in (Kind.BLOCK, Kind.SIGNATURE, Kind.SETS):
        yield (a < 1) | (size < a), "1 <= a <= size"
        yield (b < 0) | (b >= _BLOCK_FLAGS_END), "flags b in 0..7"
        # p + n q <= start, without computing what may overflow
        inside = (p >= 0) & (q >= 0) & (p <= program[:, Column.START])
        room = (program[:, Column.START] - p) // n.clamp(min=1)
        yield (n > 0) & (~inside | (q > room)), "p, q >= 0 and p + n * q <= start where n is above 0"
        if kind != Kind.BLOCK:
            yield from _words_rules(kind, program, maps)
    elif kind == Kind.LINEAR_BLOCK:
        yield (a < 1) | (size < a) | (program[:, Column.GLOBAL] < 0), "1 <= a <= size and global >= 0"
        for coefficient in (seed, q, p):
            yield (coefficient < 0) | (coefficient >= LINEAR_MODULUS), f"seed, p and q in 0..{LINEAR_MODULUS - 1}"
    elif kind == Kind.MAPPED:
        inside = (b >= 0) & (b <= map_entries - size) & (b < map_entries - a)
        yield ~inside, "0 <= b, b + size <= entries of maps and b + a < entries of maps"
    elif kind == Kind.PAGED:
        yield (n < 1) | (n >= 1 << 31), f"n in 1..{(1 << 31) - 1}"
        yield (q < 0) | (q >= 1 << 61), f"q in 0..{(1 << 61) - 1}"
        most = torch.maximum(size - 1, a)  # below 0 where no id is taken
        end = torch.where(most < 0, map_entries + 1, map_entries - (q + most) // n.clamp(min=1))
        yield (b < 0) | (b >= end), "0 <= b and b + (q + max(size - 1, a)) // n < entries of maps"
    elif kind == Kind.SKETCHED:
        yield (size < 1) | (a < 1) | (a > MOST_SLOTS), f"size >= 1 and a in 1..{MOST_SLOTS}"
        # Not b + 3 a size <= entries, which may overflow.
        inside = (b >= 0) & (b <= map_entries) & (size <= (map_entries - b) // (3 * a.clamp(min=1)))
        yield ~inside, "0 <= b and b + 3 * a * size <= entries of maps"
        yield _no_shared_rows(program)
    elif kind == Kind.KEYED_CODES:
        yield from _keyed_codes_rules(program, maps, parts)
    elif kind == Kind.PACKED_CODES:
        yield from _packed_codes_rules(program, maps, parts)
    elif kind == Kind.CHAIN:
        yield from _chain_rules(program, parts)
    elif kind == Kind.DIGITS:
        u = program[:, Column.U]
        yield (u < 1) | (u > parts), "1 <= u <= parts"
        yield (size < 1) | (n < 1) | (p < 1) | (q < 0), "size, n, p >= 1 and q >= 0"
        yield size > (1 << 61) // u.clamp(min=1), "u * size <= 2**61"
        yield (
            (b < 0) | (b > MOST_DEALT_BITS) | ((b > 0) & (u > b)),
            f"b in 0..{MOST_DEALT_BITS}, and u <= b unless b is 0",
        )
        yield _no_permutation(program)
    else:
        yield size < 1, "size >= 1"
        inside = (b >= 0) & (b <= map_entries) & (size < map_entries - b) & (n < map_entries - b - size)
        yield ~inside, "0 <= b and b + size + 1 + n <= entries of maps"
        yield _no_shared_rows(program)
        r, s = program[:, Column.R], program[:, Column.S]
        inside = (r <= map_entries) & (s >= 0) & (size < map_entries - r) & (s < map_entries - r - size)
        yield (
            (program[:, Column.U] > 0) & ~inside,
            "r, s >= 0 and r + size + 1 + s <= entries of maps where u is above 0",
        )


def _no_permutation(program: Tensor) -> tuple[Tensor, str]:
    """Where the place of an id in the permutation of its table overflows: (n - 1) p + q, without computing it."""
    n, p, q = (program[:, column] for column in (Column.N, Column.P, Column.Q))
    limit = (torch.iinfo(torch.int64).max - q) // (n - 1).clamp(min=1)
    return (n > 1) & (p > limit), "(n - 1) * p + q < 2**63"


def _no_shared_rows(program: Tensor) -> tuple[Tensor, str]:
    """Where numbers of the rows that medium ids share are out of range."""
    u, q = program[:, Column.U], program[:, Column.Q]
    wrong = (u < 0) | (u >= 1 << 31) | (q < 0) | (q >= 1 << 61)
    return wrong, f"u in 0..{(1 << 31) - 1} and q in 0..{(1 << 61) - 1}"


def _words_rules(kind: Kind, program: Tensor, maps: Tensor | None) -> Iterator[tuple[Tensor, str]]:
    """What lies in the maps lies inside them; where there are no ids with a signature or a set nothing is read."""
    r, s, t, u = (program[:, column] for column in (Column.R, Column.S, Column.T, Column.U))
    entries, place = 0 if maps is None else maps.shape[0], program[:, Column.GLOBAL]
    some = r > 0
    if kind == Kind.SETS:
        yield some & ((s < 1) | (s > _MOST_LEAST_HASHES)), f"1 <= s <= {_MOST_LEAST_HASHES}"
        yield some & (maps is None or maps.dtype is not torch.int32), "maps of int32"
        yield some & ((place < 0) | (place >= entries) | (r >= entries - place)), "global and r inside maps"
        return
    yield some & ((s < 1) | (s > _MOST_KEYS) | (t < 1) | (t > 32)), f"1 <= s <= {_MOST_KEYS} and 1 <= t <= 32"
    yield some & ((u < 1) | (u > MOST_PICKS) | (u * t > 62)), f"1 <= u <= {MOST_PICKS} and u * t <= 62"
    yield some & (maps is None or maps.dtype is not torch.int64), "maps of int64"
    words = (-(-s // (64 // t.clamp(1, 64)))).clamp(min=1)
    yield some & ((place < 0) | (place > entries) | (r > (entries - place) // words)), "global and r inside maps"


def _keyed_codes_rules(program: Tensor, maps: Tensor | None, parts: int) -> Iterator[tuple[Tensor, str]]:
    """Codewords never run over the end, and what a function says is looked at before it becomes an address."""
    length, size, n, p, q = (program[:, c] for c in (Column.A, Column.SIZE, Column.N, Column.P, Column.Q))
    b, place, r, s, t, u = (program[:, c] for c in (Column.B, Column.GLOBAL, *list(Column)[Column.R :]))
    start, end = program[:, Column.START], program[:, Column.START] + size
    yield (length < 1) | (length > size // parts), "a >= 1 and parts * a <= size"
    yield (t < 1) | (t > 16) | (parts * t.clamp(1, 16) > MOST_BITS), "1 <= t <= 16 and parts * t <= 32"
    yield (u < 2) | (u > 16) | (b == torch.iinfo(torch.int64).min) | (b > 16), "2 <= u <= 16 and -2**63 < b <= 16"
    yield (
        (n > _MOST_FUNCTION_KEYS) | (r > _MOST_FUNCTION_KEYS) | (s < 0) | (s > _MOST_FUNCTION_KEYS),
        (f"n, r and s in 0..{_MOST_FUNCTION_KEYS}"),
    )
    width = parts * length.clamp(min=1)
    yield (p < start) | (p > end - width), "start <= p and p + parts * a <= start + size"
    some, coded = (n > 0) | (r > 0) | (s > 0), (r > 0) | (s > 0)
    words = torch.where(coded, (1 << t.clamp(1, 16)) + (1 << u.clamp(2, 16)) - 2, 0)
    inside = (q >= start) & (q <= end) & (n <= (end - q) // width - words)
    yield some & ~inside, "start <= q and q + parts * a * (n + 2**t + 2**u - 2) <= start + size"
    yield some & (maps is None or maps.dtype is not torch.int32), "maps of int32"
    entries = 0 if maps is None else maps.shape[0]
    inside = (place >= 0) & (place <= entries)
    for at in (some & inside & (program[:, Column.KIND] == Kind.KEYED_CODES)).nonzero()[:, 0].tolist():
        needed = sum(words for _, _, words in sizes_of(program[at].tolist(), parts))
        inside[at] = needed <= entries - int(place[at])
    yield some & ~inside, "its functions inside maps"


def _packed_codes_rules(program: Tensor, maps: Tensor | None, parts: int) -> Iterator[tuple[Tensor, str]]:
    """No code that its bits can hold leads out of start .. start + size, and all codes lie inside the maps."""
    length, size, n, p = (program[:, c] for c in (Column.A, Column.SIZE, Column.N, Column.P))
    place, r, t, u = (program[:, c] for c in (Column.GLOBAL, Column.R, Column.T, Column.U))
    start, end = program[:, Column.START], program[:, Column.START] + size
    few = parts <= _MOST_CODE_PARTS
    yield (length < 1) | (length > size // parts), "a >= 1 and parts * a <= size"
    yield (t < 1) | (t > 16) | (u < 1) | (u > t) | (not few), f"1 <= u <= t <= 16 and at most {_MOST_CODE_PARTS} parts"
    yield (n > r) | (r > _MOST_CODED), f"n <= r <= {_MOST_CODED}"
    wide, narrow = (min(parts, _MOST_CODE_PARTS) * bits.clamp(1, 16) for bits in (t, u))
    words = min(parts, _MOST_CODE_PARTS) << t.clamp(1, 16)
    inside = (p >= start) & (p <= end) & (length <= (end - p) // words)
    yield (r > 0) & ~inside, "start <= p and p + parts * 2**t * a <= start + size"
    yield (r > 0) & (maps is None or maps.dtype is not torch.int32), "maps of int32"
    entries = 0 if maps is None else maps.shape[0]
    inside = (place >= 0) & (place <= entries)
    room = torch.where(inside, entries - place, 0) * WORD_BITS
    inside &= n <= room // wide
    inside &= r - n <= (room - torch.where(inside, n, 0) * wide) // narrow
    yield (r > 0) & ~inside, "its codes inside maps"


def _chain_rules(program: Tensor, parts: int) -> Iterator[tuple[Tensor, str]]:
    """Every slice of every id lies between start and the end of the last core."""
    cores, rank, ids = program[:, Column.U], program[:, Column.N], torch.ones_like(program[:, 0])
    yield (cores < 2) | (cores > MOST_CORES) | (cores != parts), "2 <= u <= 4, and u parts per value"
    yield (rank < 1) | (rank > MOST_RANK), f"n in 1..{MOST_RANK}"
    outer = program[:, Column.SEED]
    yield (outer < 0) | (outer > MOST_RANK), f"seed in 0..{MOST_RANK}"
    dims, rows = (Column.A, Column.R, Column.S, Column.T), (Column.B, Column.P, Column.Q, Column.GLOBAL)
    for core, (dim, row) in enumerate(zip(dims, rows, strict=True)):
        q, p = program[:, dim], program[:, row]
        most_q, most_p = (torch.where(core < cores, most, 1) for most in (MOST_RANK, (1 << 31) - 1))
        yield (q < 1) | (q > most_q), f"factors of dim in 1..{MOST_RANK}, those beyond u 1"
        yield (p < 1) | (p > most_p), f"factors of rows in 1..{(1 << 31) - 1}, those beyond u 1"
        yield ids > (1 << 62) // p.clamp(min=1), f"factors of rows whose product is at most {1 << 62}"
        ids = ids * p
    yield (program[:, Column.SIZE] < 1) | (program[:, Column.SIZE] > ids), "1 <= size <= b * p * q * global"


def _refuse(wrong: Tensor, program: Tensor, rule: str) -> None:
    if bool(wrong.any()):
        field = int(wrong.nonzero()[0])
        raise ValueError(f"program field {field}: {rule}; its row is {program[field].tolist()}.")
