"""What the tests of the ops share: both backends, calls of every kind, and an oracle in Python integers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec import native
from pocketrec.native import Access, BlockFlag, Combining, Kind, Pooling, Storage, binding, program_row
from pocketrec.native.keyed_codes import keyed_words
from pocketrec.native.mix import mix
from pocketrec.native.program import HASHED_BLOCKS

WORD = 2**64 - 1
BIG_IDS = (0, 1, 2, 3, 9, 10, 2**31 - 1, 2**31, 2**32 + 5, 2**53 + 1, 2**62, 2**63 - 1)
# Their hashes are frozen in test_mix.py and test_addresses.py.
GOLDEN_IDS = (
    0, 1, 2, 3, 10, 255, 65_535, 65_536, 1_000_003, 2**31 - 1, 2**31, 2**32 - 1, 2**32 + 5, 10**12 + 39, 2**53 - 1,
    2**53 + 1, 2**61 - 1, 2**62, 2**63 - 2, 2**63 - 1,
)  # fmt: skip

# Storages of codes, by their names in `make_call`.
CODES = {"int4": Storage.INT4, "int8": Storage.INT8, "int16": Storage.INT16}


@pytest.fixture(params=["reference", "compiled"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test once with each backend."""
    if request.param == "compiled" and binding._built is None:
        pytest.skip("pocketrec._native was not built, or POCKETREC_NATIVE=0")
    with native.use_backend(request.param):
        yield request.param


@pytest.fixture
def compiled() -> None:
    """For tests that compare the backends."""
    if binding._built is None:
        pytest.skip("pocketrec._native was not built, or POCKETREC_NATIVE=0")


class Oracle:
    """The definitions of NATIVE ops once more, one id at a time, in unbounded Python integers."""

    @staticmethod
    def fin(z: int) -> int:
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
        z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
        return z ^ z >> 31

    @classmethod
    def mix(cls, x: int, seed: int) -> int:
        inner = cls.fin(x + 0x9E3779B97F4A7C15 * (seed + 1) & WORD)
        return cls.fin(inner ^ (seed * 0xD6E8FEB86659FD93 & WORD))

    @staticmethod
    def bucket(h: int, m: int) -> int:
        return (h >> 1) * m >> 63

    @classmethod
    def tag(cls, h: int) -> int:
        low = cls.fin(h ^ 0x2545F4914F6CDD1D) % 2**32 or 1
        return low - 2**32 if low >= 2**31 else low

    @classmethod
    def addresses(cls, x: int, row: list[int], parts: int, maps: list[int]) -> list[int]:
        _, kind, start, size, seed, a, b, n, padding, p, q, shift, *_ = row
        if x == padding != -1:
            return [-1] * parts
        if kind == Kind.ROW:
            found = [start - b + x if b <= x < size else start - b + a if a >= 0 else -1]
        elif kind == Kind.HASH:
            found = [start + x if x < a else start + a + cls.bucket(cls.mix(x, seed), size)]
        elif kind == Kind.QUOTIENT_REMAINDER:
            permuted = ((x if x < n else 0) * p + q) % n
            found = [start + permuted // size, a + permuted % size]
        elif kind in (Kind.BLOCK, Kind.SIGNATURE, Kind.SETS):
            own = [p + (x - 1) * q + c * a for c in range(parts)]
            found = own if 1 <= x <= n else [start + cls.block(x, row, c, maps)[0] for c in range(parts)]
        elif kind == Kind.HASHES:
            hashes = [cls.mix(cls.mix(x, seed), part) for part in range(n)]
            found = [start + x] if x < a else [start + a + cls.bucket(h, size) for h in hashes]
        elif kind == Kind.LINEAR_BLOCK:
            found = [start + ((x + shift) * p + c * q + seed) % 2038074743 % (size - a + 1) for c in range(parts)]
        elif kind == Kind.MAPPED:
            entry = x if x < size else a
            target = maps[b + entry] if entry >= 0 else -1
            found = [start + target if target >= 0 else -1]
        elif kind == Kind.PAGED:
            entry = x if x < size else a
            page, place = divmod(q + entry, n)
            target = maps[b + page] if entry >= 0 else -1
            found = [start + min(target, 2**61 // n) * n + place if target >= 0 else -1]
        elif kind == Kind.KEYED_CODES:
            found = cls.keyed_codes(x, row, parts, maps)
        elif kind == Kind.PACKED_CODES:
            found = cls.packed_codes(x, row, parts, maps)
        elif kind == Kind.CHAIN:
            found = cls.chain(x if x < size else 0, row)
        elif kind == Kind.DIGITS:
            found = cls.digits(((x if x < n else 0) * p + q) % n, row)
        else:
            key = cls.mix(x, seed)
            home, own, (r, s, _, u) = cls.bucket(key, size), cls.tag(key), row[13:]
            if kind == Kind.SKETCHED:
                slots = [maps[at : at + 3] for at in range(b + home * a * 3, b + (home + 1) * a * 3, 3)]
                _, score, target = next((slot for slot in slots if slot[0] == own), (0, 0, -1))
                medium = score < 0 and target < 0
            else:
                target = cls.place_of_tag(maps[b:], home, size, n, own)
                medium = u > 0 and target < 0 and cls.place_of_tag(maps[r:], home, size, s, own) >= 0
            found = [start + min(target, 2**62) if target >= 0 else -1]
            if medium and u > 0:
                found = [q + ((own & 0xFFFFFFFF) * u >> 32)]
        return found + [-1] * (parts - len(found))

    @staticmethod
    def chain(x: int, row: list[int]) -> list[int]:
        """Where the slices begin; digits are found from the last core on."""
        _, _, start, _, outer, a, b, n, _, p, q, shift, _, r, s, t, cores = row
        rows, dims = [b, p, q, shift][:cores], [a, r, s, t][:cores]
        slices = [d * (n if 0 < k < cores - 1 else outer) for k, d in enumerate(dims)]
        starts = [start, *accumulate((k * s for k, s in zip(rows, slices, strict=True)), initial=start)]
        digits = []
        for k in reversed(rows):
            x, digit = divmod(x, k)
            digits.append(digit)
        return [first + digit * s for first, digit, s in zip(starts[1:], reversed(digits), slices, strict=False)]

    @staticmethod
    def digits(x: int, row: list[int]) -> list[int]:
        """Of a number in some base, or of its bits, written down from the lowest on and taken in strides."""
        start, base, bits, count = row[2], row[3], row[6], row[16]
        if not bits:
            return [start + j * base + x // base**j % base for j in range(count)]
        written, found = format(x, f"0{bits}b")[::-1][:bits], []
        for j in range(count):
            own = written[j::count]
            found.append(start + int(own[::-1], 2))
            start += 2 ** len(own)
        return found

    @staticmethod
    def place_of_tag(maps: list[int], home: int, buckets: int, count: int, tag: int) -> int:
        """Of a tag among those of its bucket, -1 where it is not there."""
        begin, end = (min(max(offset, 0), count) for offset in maps[home : home + 2])
        tags = maps[buckets + 1 + begin : buckets + 1 + min(end, begin + 32)] if begin < end else []
        return begin + tags.index(tag) if tag in tags else -1

    @classmethod
    def function(cls, words: list[int], key: int, keys: int, bits: int) -> tuple[int, int]:
        """A static function's value, and how many words it has."""
        if not keys:
            return 0, 0
        slots = -(-(keys + keys // 256 * 3 * max(0, keys.bit_length() - 10) + 64) // 32) * 32
        h = cls.mix(key, words[0] & 0xFFFFFFFF)
        start, chosen, value = cls.bucket(h, slots - 64), cls.fin(h ^ 0xD1342543DE82EF95) | 1, 0
        for i in range(64):
            block, inside = divmod(start + i, 32)
            for bit in range(bits if chosen >> i & 1 else 0):
                value ^= (words[1 + block * bits + bit] >> inside & 1) << bit
        return value, 1 + slots // 32 * bits

    @classmethod
    def keyed_codes(cls, x: int, row: list[int], parts: int, maps: list[int]) -> list[int]:
        """Three functions of the key: what it is, its codes, its number."""
        length, b, n, p, q, (r, s, t, u) = row[5], row[6], row[7], row[9], row[10], row[13:]
        key, words, values = cls.mix(x, row[4]), maps[row[11] :], []
        for keys, bits in ((n + r + s, u + max(b, 0)), (r, parts * t), (n, max(1, (n - 1).bit_length()))):
            value, taken = cls.function(words, key, keys, bits)
            values.append(value)
            words = words[taken:]
        symbol, width = values[0] % 2**u, parts * length
        first, known = p, 0 < x < -b if b < 0 else values[0] >> u == cls.tag(key) % 2**b
        if n + r + s and known:
            codewords = q + n * width
            if symbol == 0 and r:
                codes = [values[1] >> t * c & 2**t - 1 for c in range(parts)]
                return [codewords + (2**t * c + code) * length for c, code in enumerate(codes)]
            if symbol == 1 and values[2] < n:
                first = q + values[2] * width
            if symbol >= 2:
                first = codewords + 2**t * width + (symbol - 2) * width
        return [first + c * length for c in range(parts)]

    @staticmethod
    def packed_codes(x: int, row: list[int], parts: int, maps: list[int]) -> list[int]:
        """All codes of the table as one large number."""
        length, n, p, (r, _, t, u) = row[5], row[7], row[9], row[13:]
        if not r:
            return [-1] * parts
        x = x if x < r else 0
        written = sum((word & 0xFFFFFFFF) << 32 * i for i, word in enumerate(maps[row[11] :]))
        bits, first = (t, x * parts * t) if x < n else (u, n * parts * t + (x - n) * parts * u)
        return [p + (c * 2**t + (written >> first + c * bits) % 2**bits) * length for c in range(parts)]

    @classmethod
    def block(cls, x: int, row: list[int], c: int, maps: list[int]) -> tuple[int, int]:
        """(start, hash) of block c."""
        size, length, flags = row[3], row[5], row[6]
        h = cls.mix(cls.word(x, row, c, maps), c)
        if flags & BlockFlag.ALIGNED:
            return cls.bucket(h, size // length) * length, h
        return cls.bucket(h, size - length + 1 if flags & BlockFlag.NO_WRAP else size), h

    @classmethod
    def word(cls, x: int, row: list[int], c: int, maps: list[int]) -> int:
        """What block c is drawn from."""
        kind, n, place, r, s, t, u = row[1], row[7], row[11], *row[13:]
        number = x - n - 1
        if kind == Kind.SIGNATURE and 0 <= number < r:
            per = 64 // t
            words = [w & WORD for w in maps[place + number * math.ceil(s / per) :]]
            picks = [cls.bucket(cls.mix(64 * c + j, 0xA0761D6478BD642F), s) for j in range(u)]
            keys = [words[k // per] >> k % per * t & (1 << t) - 1 for k in ([c % s] if u == 1 else picks)]
            if words[0]:
                return sum(key << j * t for j, key in enumerate(keys))
        if kind == Kind.SETS and 0 <= number < r:
            members, begin, end = maps[place + r + 1 :], maps[place + number], maps[place + number + 1]
            if 0 <= begin < end <= len(members):
                return cls.joined([cls.least(members[begin:end], c * s + j, t) for j in range(s)])
        return cls.mix(x, row[4])

    @classmethod
    def least(cls, members: list[int], j: int, seed: int) -> int:
        """Least hash number j."""
        step = 0x9E3779B97F4A7C15 * (j + 1)
        return min(cls.fin(cls.mix(member, seed) + step & WORD) >> 1 for member in members)

    @classmethod
    def joined(cls, least: list[int]) -> int:
        word = 0
        for j, number in enumerate(least):
            word = cls.mix(word ^ number, j)
        return word

    @classmethod
    def weights(cls, x: int, row: list[int], dim: int, maps: list[int] | None = None) -> tuple[list[int], list[float]]:
        """Addresses and signs of all weights of an id of a block field."""
        _, kind, start, size, _, length, flags, n, *_ = row
        starts, owned = cls.addresses(x, row, math.ceil(dim / length), maps or []), 1 <= x <= n
        places, signs = [], []
        for d in range(dim):
            c, j = divmod(d, length)
            places.append(
                starts[c] + j if owned or kind == Kind.KEYED_CODES else start + (starts[c] - start + j) % size
            )
            negative = 0
            if kind in HASHED_BLOCKS and flags & BlockFlag.SIGN and not owned:
                h = cls.block(x, row, c, maps or [])[1]
                negative = cls.mix(h ^ 0x5851F42D4C957F2D, 1 + j // 64) >> j % 64 & 1
            signs.append(-1.0 if negative else 1.0)
        return places, signs


@pytest.fixture(scope="session")
def golden_ids() -> Tensor:
    """The ids whose hashes are frozen."""
    return torch.tensor(GOLDEN_IDS)


@pytest.fixture(scope="session")
def oracle() -> type[Oracle]:
    return Oracle


@dataclass
class Call:
    """The arguments of one lookup."""

    regions: list[Tensor]
    ids: Tensor
    access: Access
    offsets: Tensor | None = None
    weights: Tensor | None = None
    pooling: int = Pooling.NONE

    def lookup(self, **changes: Any) -> Tensor:
        return native.lookup(self.regions, self.ids, self.access, **(self._bags() | changes))

    def compact(self, grad: Tensor, **changes: Any) -> tuple[Tensor, Tensor, Tensor]:
        return native.compact(grad, self.regions, self.ids, self.access, **(self._bags() | changes))

    def addresses(self) -> Tensor:
        program, maps, parts = self.access.program, self.access.maps, self.access.parts
        return native.addresses(self.ids, program, parts=parts, offsets=self.offsets, maps=maps)

    def _bags(self) -> dict[str, Any]:
        return {"offsets": self.offsets, "weights": self.weights, "pooling": self.pooling}


def encoded(rows: Tensor, storage: str) -> Tensor:
    """A region of the storage that holds about these rows, float32 [rows, width]."""
    if storage not in CODES:
        return rows.to(getattr(torch, storage))
    levels, dtype = (
        {"int16": 65535, "int8": 255, "int4": 15}[storage],
        torch.float16 if storage == "int4" else torch.float32,
    )
    low, high = rows.min(dim=1, keepdim=True).values, rows.max(dim=1, keepdim=True).values
    scale = (high - low).clamp(min=1e-6) / levels
    codes = ((rows - low) / scale).round().clamp(0, levels).int()
    if storage == "int4":
        codes = torch.nn.functional.pad(codes, (0, codes.shape[1] % 2))
        codes = codes[:, ::2] + 16 * codes[:, 1::2]
    if storage == "int16":
        codes = torch.stack((codes % 256, codes // 256), dim=2).flatten(1)
    return torch.cat((codes.to(torch.uint8), torch.cat((scale, low), dim=1).to(dtype).view(torch.uint8)), dim=1)


def sketch_of(places: dict[int, int], seed: int, buckets: int, slots: int) -> list[int]:
    """The words of a sketch in which ids own rows, or none where a place is negative: every other of these is medium.

    Some find their bucket full.
    """
    words = [0] * (buckets * slots * 3)
    for x, place in places.items():
        key = Oracle.mix(x, seed)
        first = Oracle.bucket(key, buckets) * slots * 3
        free = [at for at in range(first, first + slots * 3, 3) if words[at] == 0]
        if free:
            words[free[0] : free[0] + 3] = [Oracle.tag(key), -(place % 2), place]
    return words


def tags_of(ids: Sequence[int], seed: int, buckets: int) -> list[int]:
    """Offsets [buckets + 1] and tags of ids."""
    keys = [Oracle.mix(x, seed) for x in ids]
    homes = [[Oracle.tag(key) for key in keys if Oracle.bucket(key, buckets) == home] for home in range(buckets)]
    return [*accumulate((len(home) for home in homes), initial=0), *(tag for home in homes for tag in home)]


def _rows(dim: int, storage: str, generator: torch.Generator) -> tuple[list[Tensor], list[list[int]], Tensor, int, int]:
    regions = [encoded(torch.randn(n, dim, generator=generator), storage) for n in (10, 7, 0, 13)]
    rows = [
        program_row(column=2, kind=Kind.ROW, start=0, size=10, a=0),
        program_row(column=0, kind=Kind.ROW, start=10, size=7, a=-1, padding=2),
        program_row(column=4, kind=Kind.HASH, start=17, size=8, seed=-5, a=3),
        program_row(column=2, kind=Kind.HASH, start=5, size=25, seed=2**63 - 1, padding=2**53 + 1),
        program_row(column=3, kind=Kind.MAPPED, start=10, size=9, b=2, a=9),
        program_row(column=1, kind=Kind.SKETCHED, start=3, size=3, a=3, b=12, seed=-9, padding=3, q=11, u=7),
        program_row(column=0, kind=Kind.TAGGED, start=9, size=4, n=8, b=39, seed=2**62, q=12, s=2, u=9),
        program_row(column=1, kind=Kind.ROW, start=17, size=6, b=1, a=-1),
        program_row(column=1, kind=Kind.ROW, start=3, size=9, b=2, a=4, padding=5),
        program_row(column=3, kind=Kind.PAGED, start=4, size=9, n=4, q=3, a=9, padding=4),
        program_row(column=2, kind=Kind.PAGED, start=1, size=7, n=5, a=-1),
    ]
    maps = [-1, -1, 3, -1, 19, 0, 0, 5, 1, -1, 2, 7]
    maps += sketch_of({x: 3 * i - 5 for i, x in enumerate(BIG_IDS[:10])}, -9, 3, 3) + tags_of(BIG_IDS[4:], 2**62, 4)
    rows[6][native.Column.R] = len(maps)
    maps += tags_of(BIG_IDS[:2], 2**62, 4)
    for row, pages in ((rows[9], [5, 0, -1, 1]), (rows[10], [4, 0])):
        row[native.Column.B] = len(maps)
        maps += pages
    return regions, rows, torch.tensor(maps, dtype=torch.int32), 1, Combining.COPY


def _parts(combining: int) -> Callable[..., tuple[list[Tensor], list[list[int]], None, int, int]]:
    def build(dim: int, storage: str, generator: torch.Generator) -> Any:
        regions = [encoded(torch.randn(n, dim, generator=generator), storage) for n in (12, 5, 20)]
        quotient_remainder = Kind.QUOTIENT_REMAINDER
        rows = [
            program_row(column=1, kind=quotient_remainder, start=0, size=5, a=12, n=60, p=7, q=11),
            program_row(column=0, kind=quotient_remainder, start=17, size=10, a=27, n=97, padding=1),
            program_row(column=3, kind=Kind.ROW, start=4, size=9, a=-1),
        ]
        return regions, rows, None, 2, combining

    return build


def _hashes(dim: int, storage: str, generator: torch.Generator) -> tuple[list[Tensor], list[list[int]], None, int, int]:
    regions = [encoded(torch.randn(n, dim, generator=generator), storage) for n in (12, 25)]
    rows = [
        program_row(column=1, kind=Kind.HASHES, start=0, size=10, a=2, n=3, seed=-7),
        program_row(column=0, kind=Kind.HASHES, start=12, size=25, n=2, seed=2**62, padding=9),
        program_row(column=2, kind=Kind.HASH, start=5, size=20, seed=3),
        program_row(column=3, kind=Kind.HASHES, start=30, size=1, a=3, n=1),
    ]
    return regions, rows, None, 3, Combining.SUM


def _digits(dim: int, storage: str, generator: torch.Generator) -> tuple[list[Tensor], list[list[int]], None, int, int]:
    regions = [encoded(torch.randn(n, dim, generator=generator), storage) for n in (12, 25)]
    rows = [
        program_row(column=1, kind=Kind.DIGITS, start=0, size=4, n=60, u=3, p=7, q=11),
        program_row(column=0, kind=Kind.DIGITS, start=12, size=5, n=2**40, u=2, padding=9),
        program_row(column=2, kind=Kind.DIGITS, start=5, n=13, b=4, u=3, size=1),
        program_row(column=4, kind=Kind.DIGITS, start=30, size=7, n=2**31 + 9, u=1),
        program_row(column=3, kind=Kind.ROW, start=4, size=9, a=-1),
    ]
    return regions, rows, None, 3, Combining.SUM


def _remainders(
    dim: int, storage: str, generator: torch.Generator
) -> tuple[list[Tensor], list[list[int]], None, int, int]:
    regions = [encoded(torch.randn(n, dim, generator=generator), storage) for n in (12, 25)]
    rows = [
        program_row(column=f % 5, kind=Kind.DIGITS, start=3 * f, size=7 + f, n=(10, 2**62 - 1)[f % 2], u=1,
                    padding=(-1, 9)[f % 2])
        for f in range(9)
    ]  # fmt: skip
    return regions, rows, None, 1, Combining.COPY


def _blocks(dim: int, storage: str, generator: torch.Generator) -> tuple[list[Tensor], list[list[int]], None, int, int]:
    length, weights = max(1, dim // 3), 64 * 7
    array = torch.randn(weights // 64, 64, generator=generator)
    region = encoded(array, storage) if storage in CODES else encoded(array.view(-1), storage)
    sizes = (weights, 3 * length + 1, length)
    rows = [
        program_row(column=f % 5, kind=Kind.BLOCK, start=0, size=sizes[f % 3], seed=f, a=length, b=f) for f in range(8)
    ]
    linear = {"kind": Kind.LINEAR_BLOCK, "p": 2038074742, "q": 91, "seed": 5}
    rows.append(program_row(column=2, start=60, size=300, a=length, **linear, padding=3, **{"global": 2**40}))
    return [region], rows, None, math.ceil(dim / length), Combining.CONCAT


def _words(kind: Kind) -> Callable[..., tuple[list[Tensor], list[list[int]], Tensor, int, int]]:
    """Fields of which some ids have weights of their own, and some signatures or sets."""

    def build(dim: int, storage: str, generator: torch.Generator) -> Any:
        length = max(1, dim // 3)
        own = 64 * (1 + length // 8)
        weights = own + 384
        array = torch.randn(weights // 64, 64, generator=generator)
        region = encoded(array, storage) if storage in CODES else encoded(array.view(-1), storage)
        shared = {"kind": kind, "start": own, "size": weights - own, "a": length, "q": 4 * length}
        rows = [
            program_row(
                column=f % 5,
                **shared,
                seed=f,
                b=f,
                n=f % 3,
                p=min(f, own - 8 * length),
                padding=9 if f == 2 else -1,
                **more,
            )
            for f, more in enumerate(_SIGNED if kind is Kind.SIGNATURE else _SET)
        ]
        return [region], rows, _signatures(generator) if kind is Kind.SIGNATURE else _SETS, math.ceil(dim / length), 3

    return build


def _keyed_codes(
    dim: int, storage: str, generator: torch.Generator
) -> tuple[list[Tensor], list[list[int]], Tensor, int, int]:
    """Fields that share three functions, fields that have less, and one whose words are as good as random."""
    length = max(1, dim // 3)
    parts = math.ceil(dim / length)
    width = parts * length
    weights = 64 * math.ceil((7 + 34 * width) / 64)
    array = torch.randn(weights // 64, 64, generator=generator)
    region = encoded(array, storage) if storage in CODES else encoded(array.view(-1), storage)
    size = {"kind": Kind.KEYED_CODES, "a": length, "size": weights}
    given = torch.tensor(BIG_IDS)
    keys = torch.cat((mix(given[:9], 5), mix(given[3:12], 6)))

    def words(own: int, fine: int, whole: int, *, t: int, u: int, b: int) -> Tensor:
        codes = torch.randint(2**t, (fine, parts), generator=generator)
        of_whole = torch.randint(2**u - 2, (whole,), generator=generator)
        return keyed_words(
            own=keys[:own], fine=keys[own : own + fine], fine_codes=codes, whole=keys[own + fine :][:whole],
            whole_codes=of_whole, bits=t, whole_bits=u, key_bits=b,
        )  # fmt: skip

    shared, less = words(5, 6, 7, t=3, u=3, b=4), words(0, 0, 18, t=1, u=4, b=0)
    lies = torch.randint(-(2**31), 2**31, (200,), generator=generator).to(torch.int32)
    maps = torch.cat((lies[:1], shared, less, lies))
    at = {"global": 1, "n": 5, "r": 6, "s": 7, "t": 3, "u": 3, "b": 4}
    rows = [
        program_row(column=0, **size, **at, seed=5, p=7, q=width),
        program_row(column=1, **size, **at, seed=6, p=0, q=7 + width, padding=3),
        program_row(column=2, **size, n=0, r=0, s=18, t=1, u=4, b=-10, q=2, p=1, seed=6, **{"global": 1 + len(shared)}),
        program_row(column=3, **size, n=0, r=0, s=0, t=6, u=16, b=16, q=-1, p=width, padding=2**53 + 1),
        program_row(
            column=4, **size | {"start": 7, "size": weights - 7}, n=3, r=4, s=5, t=2, u=3, b=1, p=9, q=8,
            **{"global": 1 + len(shared) + len(less)},
        ),
    ]  # fmt: skip
    return [region], rows, maps, parts, Combining.CONCAT


def _packed_codes(
    dim: int, storage: str, generator: torch.Generator
) -> tuple[list[Tensor], list[list[int]], Tensor, int, int]:
    """Two fields of the same codes, one of codes of one length, one without, and one whose codes end with the maps."""
    length = max(1, dim // 3)
    parts = math.ceil(dim / length)
    width = parts * length
    weights = 64 * math.ceil((9 + 2**7 * width) / 64)
    array = torch.randn(weights // 64, 64, generator=generator)
    region = encoded(array, storage) if storage in CODES else encoded(array.view(-1), storage)
    size = {"kind": Kind.PACKED_CODES, "a": length, "size": weights}
    words = [math.ceil(bits * parts / 32) for bits in (4 * 5 + 6 * 3, 3, 12 * 7)]
    maps = torch.randint(-(2**31), 2**31, (1 + sum(words),), generator=generator).to(torch.int32)
    rows = [
        program_row(column=0, **size, n=4, r=10, t=5, u=3, p=9, **{"global": 1}),
        program_row(column=1, **size, n=4, r=10, t=5, u=3, p=9, padding=3, **{"global": 1}),
        program_row(column=2, **size, n=3, r=3, t=1, u=1, p=0, **{"global": 1 + words[0]}),
        program_row(column=3, **size, t=16, u=1, p=-1, padding=2**53 + 1, **{"global": -1}),
        program_row(
            column=4, **size | {"start": 7, "size": weights - 7}, n=2, r=12, t=7, u=7, p=8,
            **{"global": 1 + sum(words[:2])},
        ),
    ]  # fmt: skip
    return [region], rows, maps, parts, Combining.CONCAT


def _chains(cores: int, outer: int = 1) -> Callable[..., tuple[list[Tensor], list[list[int]], None, int, int]]:
    """Tables of few and of many ids, two fields that share one, and one whose cores are as small as can be."""

    def build(dim: int, storage: str, generator: torch.Generator) -> Any:
        rank, factors, left = 5, [], dim
        for _ in range(cores - 1):
            factors.append(next((f for f in (2, 3) if left % f == 0), 1))
            left //= factors[-1]
        of_dim = dict(zip("arst", [*factors, left, 1, 1, 1], strict=False))

        def table(start: int, rows: Sequence[int], ids: int, **more: int) -> tuple[list[int], int]:
            of_rows = dict(zip(("b", "p", "q", "global"), [*rows, 1, 1, 1], strict=False))
            made = program_row(
                kind=Kind.CHAIN, start=start, size=ids, n=rank, u=cores, seed=outer, **of_dim, **of_rows, **more
            )
            slices = [d * (rank if 0 < k < cores - 1 else outer) for k, d in enumerate([*factors, left])]
            return made, start + sum(n * s for n, s in zip(rows, slices, strict=True))

        first, end = table(3, [3, 2, 4, 2][:cores], 6, column=1)
        again, _ = table(3, [3, 2, 4, 2][:cores], 6, column=3, padding=2)
        large, end = table(end, [4, *[3] * (cores - 1)], 4 * 3 ** (cores - 1), column=0)
        small, end = table(end, [1] * cores, 1, column=4, padding=0)
        region = encoded(torch.randn(end + 2, rank, generator=generator), storage)
        return [region], [first, again, large, small], None, cores, Combining.CONTRACT

    return build


# Ids n + 1 to n + 10, with words of one key each, of four and of the published sixteen; no id; the maps' last words.
_SIGNED = [
    {"global": 0, "r": 10, "s": 1, "t": 32, "u": 1},
    {"global": 3, "r": 10, "s": 4, "t": 16, "u": 1},
    {"global": 0, "r": 10, "s": 15, "t": 4, "u": 8},
    {"r": 0},
    {"global": 1, "r": 7, "s": 9, "t": 16, "u": 3},
    {"global": 12, "r": 10, "s": 64, "t": 1, "u": 2},
]
# Sets of ten ids: alike, empty, large; then what lies: ends before it begins, or beyond the maps.
_SETS = torch.tensor(
    [0, 3, 6, 6, 7, 27, 28, 28, 30, 31, 32, *(5, 9, 7), *(9, 5, 7), 2**31 - 1, *range(20, 40), 1, 5, 9, 3, 4,
     4, 2, 90, -3, 3, 1, 2],
    dtype=torch.int32,
)  # fmt: skip
_SET = [
    {"global": 0, "r": 10, "s": 1, "t": 7},
    {"global": 0, "r": 10, "s": 3, "t": -(2**62)},
    {"global": 0, "r": 10, "s": 2, "t": 7},
    {"r": 0},
    {"global": len(_SETS) - 7, "r": 3, "s": 1, "t": 7},
]


def _signatures(generator: torch.Generator) -> Tensor:
    words = torch.randint(-(2**63), 2**63 - 1, (22,), generator=generator)
    words[5] = words[6]
    words[8] = 0
    return words


GROUPS: dict[str, Callable[..., Any]] = {
    "rows": _rows,
    "sum": _parts(Combining.SUM),
    "product": _parts(Combining.PRODUCT),
    "hashes": _hashes,
    "digits": _digits,
    "remainders": _remainders,
    "blocks": _blocks,
    "signatures": _words(Kind.SIGNATURE),
    "sets": _words(Kind.SETS),
    "keyed_codes": _keyed_codes,
    "packed_codes": _packed_codes,
    "chains_2": _chains(2),
    "chains_3": _chains(3),
    "chains_4": _chains(4),
    "rings_2": _chains(2, outer=2),
    "rings_3": _chains(3, outer=3),
    "rings_4": _chains(4, outer=2),
}


@pytest.fixture
def make_call() -> Callable[..., Call]:
    """Calls with every kind of field, duplicates, folded, huge and padding ids, and empty bags.

    Arguments: group (one of GROUPS), storage ("float32", "float16", "bfloat16", "int16", "int8", "int4"), dim, batch,
    pooling (None for 2-D ids), weighted, seed.
    """

    def make(
        group: str, *, storage: str = "float32", dim: int = 7, batch: int = 5, pooling: int | None = None,
        weighted: bool = False, seed: int = 0,
    ) -> Call:  # fmt: skip
        generator = torch.Generator().manual_seed(seed)
        regions, rows, maps, parts, combining = GROUPS[group](dim, storage, generator)
        code = CODES.get(storage, Storage.FLOAT)
        access = Access(torch.tensor(rows), (code,) * len(regions), dim, parts, combining, maps)
        choose = torch.tensor(BIG_IDS)
        if pooling is None:
            ids = choose[torch.randint(len(BIG_IDS), (batch, 5), generator=generator)]
            return Call(regions, ids, access)
        lengths = torch.randint(0, 4, (len(rows) * batch,), generator=generator)
        offsets = torch.cat((torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)))
        ids = choose[torch.randint(len(BIG_IDS), (int(offsets[-1]),), generator=generator)]
        weights = torch.randn(ids.shape[0], generator=generator) if weighted else None
        return Call(regions, ids, access, offsets, weights, pooling)

    return make
