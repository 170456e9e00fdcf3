from __future__ import annotations

import re

import pytest
import torch

from pocketrec.native import Access, Combining, Kind, addresses, lookup, program_row

ROW, HASH, QUOTIENT_REMAINDER, BLOCK, LINEAR_BLOCK, MAPPED, HASHES, SIGNATURE, SETS, SKETCHED, TAGGED, *_ = Kind
KEYED, CHAIN, DIGITS, PAGED, PACKED = (
    Kind.KEYED_CODES, Kind.CHAIN, Kind.DIGITS, Kind.PAGED, Kind.PACKED_CODES
)  # fmt: skip
LINEAR = {"kind": LINEAR_BLOCK, "size": 9, "a": 4, "p": 3, "q": 5, "seed": 7}
MAP = torch.arange(10)
SIGNED = {"kind": SIGNATURE, "size": 9, "a": 4, "r": 5, "s": 4, "t": 16, "u": 1, "global": 5}
SET = {"kind": SETS, "size": 9, "a": 4, "r": 5, "s": 2, "global": 4}
OWN = {"kind": BLOCK, "size": 9, "a": 4, "start": 20, "n": 3, "p": 2, "q": 6}
# Weights of 4 for ids without an entry, of one own entry, and two times 2 codewords; no functions yet.
KEYED_CODED = {"kind": KEYED, "start": 2, "size": 28, "a": 4, "p": 2, "q": 6, "t": 1, "u": 2, "b": 3, "r": 0, "s": 0}

# Two times 4 codewords of 3 weights; no codes yet.
PACKED_CODED = {"kind": PACKED, "start": 2, "size": 27, "a": 3, "p": 5, "t": 2, "u": 1}

# Sixty ids of dim 16, in cores of rank 3.
TRAIN = {"kind": CHAIN, "size": 60, "n": 3, "u": 3, "a": 2, "r": 2, "s": 4, "t": 1, "b": 3, "p": 4, "q": 5, "global": 1}
DIGIT = {"kind": DIGITS, "size": 3, "n": 9, "u": 1}

# (row, parts, what is said): each breaks one rule by the least.
BAD = [
    ({"kind": 16}, 1, "kind must lie in 0..15"),
    ({"kind": -1}, 1, "kind must lie in 0..15"),
    ({"r": -1}, 1, "r must lie in 0..4611686018427387903"),
    ({"r": 2**62}, 1, "r must lie in 0..4611686018427387903"),
    ({"start": -1}, 1, "start must lie in 0..2305843009213693951"),
    ({"start": 2**61}, 1, "start must lie in 0..2305843009213693951"),
    ({"a": -2}, 1, "a must lie in -1..2305843009213693951"),
    ({"a": 2**61}, 1, "a must lie in -1..2305843009213693951"),
    ({"size": -1}, 1, "size must lie in 0..4611686018427387903"),
    ({"size": 2**62}, 1, "size must lie in 0..4611686018427387903"),
    ({"n": 2**62}, 1, "n must lie in 0..4611686018427387903"),
    ({"limit": 0}, 1, "limit must be -1, or 1 or more"),
    ({"limit": -2}, 1, "limit must be -1, or 1 or more"),
    ({"size": 3, "b": -1}, 1, "row needs 0 <= b <= size, and a of -1 or at least b"),
    ({"size": 3, "b": 4, "a": -1}, 1, "row needs 0 <= b <= size, and a of -1 or at least b"),
    ({"size": 3, "b": 2, "a": 1}, 1, "row needs 0 <= b <= size, and a of -1 or at least b"),
    ({"kind": HASH, "size": 0}, 1, "hash needs size >= 1 and a >= 0"),
    ({"kind": HASH, "size": 1, "a": -1}, 1, "hash needs size >= 1 and a >= 0"),
    ({"kind": QUOTIENT_REMAINDER, "size": 3, "n": 9}, 1, "quotient_remainder needs 2 parts per value"),
    ({"kind": QUOTIENT_REMAINDER, "size": 0, "n": 9}, 2, "quotient_remainder needs size, n, p >= 1 and a, q >= 0"),
    ({"kind": QUOTIENT_REMAINDER, "size": 3, "n": 0}, 2, "quotient_remainder needs size, n, p >= 1 and a, q >= 0"),
    ({"kind": QUOTIENT_REMAINDER, "size": 3, "n": 9, "p": 0}, 2, "size, n, p >= 1 and a, q >= 0"),
    ({"kind": QUOTIENT_REMAINDER, "size": 3, "n": 2**32 + 1, "p": 2**31}, 2, "needs (n - 1) * p + q < 2**63"),
    ({"kind": QUOTIENT_REMAINDER, "size": 3, "n": 9, "p": 2**60 - 1, "q": 8}, 2, "needs (n - 1) * p + q < 2**63"),
    ({"kind": HASHES, "size": 0, "n": 1}, 1, "hashes needs size >= 1 and a >= 0"),
    ({"kind": HASHES, "size": 3, "n": 0}, 1, "hashes needs 1 <= n <= parts"),
    ({"kind": HASHES, "size": 3, "n": 3}, 2, "hashes needs 1 <= n <= parts"),
    ({"kind": BLOCK, "size": 9, "a": 0}, 1, "block needs 1 <= a <= size"),
    ({"kind": BLOCK, "size": 9, "a": 10}, 1, "block needs 1 <= a <= size"),
    ({"kind": BLOCK, "size": 9, "a": 4, "b": 8}, 1, "block needs flags b in 0..7"),
    (OWN | {"q": 7}, 1, "block needs p, q >= 0 and p + n * q <= start"),
    (OWN | {"p": 3}, 1, "block needs p, q >= 0 and p + n * q <= start"),
    (OWN | {"p": -1}, 1, "block needs p, q >= 0 and p + n * q <= start"),
    (OWN | {"n": 2**61, "q": 2**61}, 1, "block needs p, q >= 0 and p + n * q <= start"),
    (SIGNED | {"a": 10}, 1, "signature needs 1 <= a <= size"),
    (SIGNED | {"s": 0}, 1, "signature needs 1 <= s <= 1048576 and 1 <= t <= 32"),
    (SIGNED | {"t": 33}, 1, "signature needs 1 <= s <= 1048576 and 1 <= t <= 32"),
    (SIGNED | {"u": 0}, 1, "signature needs 1 <= u <= 8 and u * t <= 62"),
    (SIGNED | {"u": 4}, 1, "signature needs 1 <= u <= 8 and u * t <= 62"),
    (SIGNED | {"r": 6}, 1, "signature needs global and r inside maps"),
    (SIGNED | {"s": 5}, 1, "signature needs global and r inside maps"),
    (SIGNED | {"global": -1}, 1, "signature needs global and r inside maps"),
    (SIGNED | {"global": 2**62}, 1, "signature needs global and r inside maps"),
    (SIGNED | {"r": 2**62 - 1}, 1, "signature needs global and r inside maps"),
    (SET, 1, "sets needs maps of int32"),
    (SET | {"s": 0}, 1, "sets needs 1 <= s <= 64"),
    (SET | {"s": 65}, 1, "sets needs 1 <= s <= 64"),
    (LINEAR | {"a": 10}, 1, "linear_block needs 1 <= a <= size and global >= 0"),
    (LINEAR | {"global": -1}, 1, "linear_block needs 1 <= a <= size and global >= 0"),
    (LINEAR | {"p": 2038074743}, 1, "linear_block needs seed, p and q in 0..2038074742"),
    (LINEAR | {"q": -1}, 1, "linear_block needs seed, p and q in 0..2038074742"),
    (LINEAR | {"seed": -1}, 1, "linear_block needs seed, p and q in 0..2038074742"),
    ({"kind": MAPPED, "size": 8, "b": 3}, 1, "mapped needs 0 <= b, b + size <= entries of maps"),
    ({"kind": MAPPED, "size": 5, "b": -1}, 1, "mapped needs 0 <= b, b + size <= entries of maps"),
    ({"kind": MAPPED, "size": 5, "b": 3, "a": 7}, 1, "b + a < entries of maps"),
    ({"kind": PAGED, "size": 9, "n": 0}, 1, "paged needs n in 1..2147483647"),
    ({"kind": PAGED, "size": 9, "n": 2**31}, 1, "paged needs n in 1..2147483647"),
    ({"kind": PAGED, "size": 9, "n": 3, "q": -1}, 1, "paged needs q in 0..2305843009213693951"),
    ({"kind": PAGED, "size": 9, "n": 3, "q": 2**61}, 1, "paged needs q in 0..2305843009213693951"),
    ({"kind": PAGED, "size": 9, "n": 3, "b": -1}, 1, "paged needs 0 <= b and b + (q + max(size - 1, a)) // n <"),
    ({"kind": PAGED, "size": 31, "n": 3}, 1, "paged needs 0 <= b and b + (q + max(size - 1, a)) // n < entries"),
    ({"kind": PAGED, "size": 30, "n": 3, "q": 1}, 1, "paged needs 0 <= b and b + (q + max(size - 1, a)) // n <"),
    ({"kind": PAGED, "size": 4, "n": 3, "a": 30}, 1, "paged needs 0 <= b and b + (q + max(size - 1, a)) // n <"),
    ({"kind": PAGED, "size": 30, "n": 3, "b": 1}, 1, "paged needs 0 <= b and b + (q + max(size - 1, a)) // n <"),
    ({"kind": PAGED, "size": 1, "n": 1, "b": 2**63 - 1}, 1, "paged needs 0 <= b and b + (q + max(size - 1, a)) // n"),
    ({"kind": PAGED, "size": 0, "n": 1, "a": -1, "b": 11}, 1, "paged needs 0 <= b and b + (q + max(size - 1, a))"),
    ({"kind": SKETCHED, "size": 0, "a": 1}, 1, "sketched needs size >= 1 and a in 1..32"),
    ({"kind": SKETCHED, "size": 1, "a": 0}, 1, "sketched needs size >= 1 and a in 1..32"),
    ({"kind": SKETCHED, "size": 1, "a": 33}, 1, "sketched needs size >= 1 and a in 1..32"),
    ({"kind": SKETCHED, "size": 3, "a": 1, "b": 2}, 1, "sketched needs 0 <= b and b + 3 * a * size <= entries of maps"),
    ({"kind": SKETCHED, "size": 1, "a": 1, "b": -1}, 1, "sketched needs 0 <= b and b + 3 * a * size <= entries"),
    ({"kind": SKETCHED, "size": 2**62 - 1, "a": 32, "b": 2**63 - 1}, 1, "sketched needs 0 <= b and b + 3 * a * size"),
    ({"kind": SKETCHED, "size": 2**62 - 1, "a": 4}, 1, "sketched needs 0 <= b and b + 3 * a * size <= entries"),
    ({"kind": SKETCHED, "size": 1, "a": 1, "u": -1}, 1, "sketched needs u in 0..2147483647 and q in"),
    ({"kind": SKETCHED, "size": 1, "a": 1, "u": 2**31}, 1, "sketched needs u in 0..2147483647 and q in"),
    ({"kind": SKETCHED, "size": 1, "a": 1, "q": 2**61}, 1, "and q in 0..2305843009213693951"),
    ({"kind": TAGGED, "size": 2, "q": -1}, 1, "tagged needs u in 0..2147483647 and q in 0..2305843009213693951"),
    ({"kind": TAGGED, "size": 4, "u": 1, "r": 3, "s": 3}, 1, "r + size + 1 + s <= entries of maps where u is above 0"),
    ({"kind": TAGGED, "size": 4, "u": 1, "r": 11}, 1, "r + size + 1 + s <= entries of maps where u is above 0"),
    ({"kind": TAGGED, "size": 4, "u": 1, "s": -1}, 1, "tagged needs r, s >= 0 and r + size + 1 + s <= entries"),
    ({"kind": TAGGED, "size": 4, "u": 1, "s": 2**63 - 1}, 1, "tagged needs r, s >= 0 and r + size + 1 + s <= entries"),
    ({"kind": TAGGED, "size": 0}, 1, "tagged needs size >= 1"),
    ({"kind": TAGGED, "size": 4, "n": 6}, 1, "tagged needs 0 <= b and b + size + 1 + n <= entries of maps"),
    ({"kind": TAGGED, "size": 4, "n": 4, "b": -1}, 1, "tagged needs 0 <= b and b + size + 1 + n <= entries of maps"),
    ({"kind": TAGGED, "size": 2**62 - 1, "n": 2**62 - 1, "b": 2**63 - 1}, 1, "tagged needs 0 <= b"),
    ({"kind": TAGGED, "size": 9, "b": 1}, 1, "tagged needs 0 <= b and b + size + 1 + n <= entries of maps"),
    (KEYED_CODED | {"a": 0}, 1, "keyed_codes needs a >= 1 and parts * a <= size"),
    (KEYED_CODED | {"a": 29}, 1, "keyed_codes needs a >= 1 and parts * a <= size"),
    (KEYED_CODED | {"t": 0}, 1, "keyed_codes needs 1 <= t <= 16 and parts * t <= 32"),
    (KEYED_CODED | {"t": 17}, 1, "keyed_codes needs 1 <= t <= 16 and parts * t <= 32"),
    (KEYED_CODED | {"t": 11, "a": 1}, 3, "keyed_codes needs 1 <= t <= 16 and parts * t <= 32"),
    (KEYED_CODED | {"u": 1}, 1, "keyed_codes needs 2 <= u <= 16 and -2**63 < b <= 16"),
    (KEYED_CODED | {"b": 17}, 1, "keyed_codes needs 2 <= u <= 16 and -2**63 < b <= 16"),
    (KEYED_CODED | {"b": -(2**63)}, 1, "keyed_codes needs 2 <= u <= 16 and -2**63 < b <= 16"),
    (KEYED_CODED | {"n": 2**32 + 1}, 1, "keyed_codes needs n, r and s in 0..4294967296"),
    (KEYED_CODED | {"s": -1}, 1, "keyed_codes needs n, r and s in 0..4294967296"),
    (KEYED_CODED | {"r": 2**32 + 1}, 1, "keyed_codes needs n, r and s in 0..4294967296"),
    (KEYED_CODED | {"p": 1}, 1, "keyed_codes needs start <= p and p + parts * a <= start + size"),
    (KEYED_CODED | {"p": 27}, 1, "keyed_codes needs start <= p and p + parts * a <= start + size"),
    (KEYED_CODED | {"n": 1, "q": 1}, 1, "start <= q and q + parts * a * (n + 2**t + 2**u - 2) <= start + size"),
    (KEYED_CODED | {"n": 1, "q": 31}, 1, "start <= q and q + parts * a * (n + 2**t + 2**u - 2) <= start + size"),
    (KEYED_CODED | {"n": 7}, 1, "start <= q and q + parts * a * (n + 2**t + 2**u - 2) <= start + size"),
    (KEYED_CODED | {"r": 1, "q": 15}, 1, "start <= q and q + parts * a * (n + 2**t + 2**u - 2) <= start + size"),
    (KEYED_CODED | {"r": 2**32}, 1, "keyed_codes needs maps of int32"),
    (PACKED_CODED | {"a": 0}, 2, "packed_codes needs a >= 1 and parts * a <= size"),
    (PACKED_CODED | {"a": 14}, 2, "packed_codes needs a >= 1 and parts * a <= size"),
    (PACKED_CODED | {"t": 17}, 2, "packed_codes needs 1 <= u <= t <= 16 and at most 65536 parts"),
    (PACKED_CODED | {"t": 0, "u": 0}, 2, "packed_codes needs 1 <= u <= t <= 16 and at most 65536 parts"),
    (PACKED_CODED | {"u": 0}, 2, "packed_codes needs 1 <= u <= t <= 16 and at most 65536 parts"),
    (PACKED_CODED | {"u": 3}, 2, "packed_codes needs 1 <= u <= t <= 16 and at most 65536 parts"),
    (PACKED_CODED | {"a": 1, "size": 65537}, 65537, "packed_codes needs 1 <= u <= t <= 16 and at most 65536 parts"),
    (PACKED_CODED | {"n": 1}, 2, "packed_codes needs n <= r <= 1099511627776"),
    (PACKED_CODED | {"r": 2**40 + 1}, 2, "packed_codes needs n <= r <= 1099511627776"),
    (PACKED_CODED | {"r": 1, "p": 1}, 2, "packed_codes needs start <= p and p + parts * 2**t * a <= start + size"),
    (PACKED_CODED | {"r": 1, "p": 6}, 2, "packed_codes needs start <= p and p + parts * 2**t * a <= start + size"),
    (PACKED_CODED | {"r": 1, "p": 30}, 2, "packed_codes needs start <= p and p + parts * 2**t * a <= start + size"),
    (PACKED_CODED | {"r": 1, "p": -(2**63)}, 2, "packed_codes needs start <= p and p + parts * 2**t * a <= start"),
    (PACKED_CODED | {"r": 1, "p": 2**63 - 1}, 2, "packed_codes needs start <= p and p + parts * 2**t * a <= start"),
    (PACKED_CODED | {"r": 1, "t": 3}, 2, "packed_codes needs start <= p and p + parts * 2**t * a <= start + size"),
    (PACKED_CODED | {"r": 1}, 2, "packed_codes needs maps of int32"),
    (TRAIN | {"u": 1}, 1, "chain needs 2 <= u <= 4, and u parts per value"),
    (TRAIN | {"u": 5}, 5, "chain needs 2 <= u <= 4, and u parts per value"),
    (TRAIN, 2, "chain needs 2 <= u <= 4, and u parts per value"),
    (TRAIN | {"n": 0}, 3, "chain needs n in 1..4096"),
    (TRAIN | {"n": 4097}, 3, "chain needs n in 1..4096"),
    (TRAIN | {"seed": -1}, 3, "chain needs seed in 0..4096"),
    (TRAIN | {"seed": 4097}, 3, "chain needs seed in 0..4096"),
    (TRAIN | {"a": 0}, 3, "chain needs factors of dim in 1..4096, those beyond u 1"),
    (TRAIN | {"s": 4097}, 3, "chain needs factors of dim in 1..4096, those beyond u 1"),
    (TRAIN | {"t": 2}, 3, "chain needs factors of dim in 1..4096, those beyond u 1"),
    (TRAIN | {"b": 0}, 3, "chain needs factors of rows in 1..2147483647, those beyond u 1"),
    (TRAIN | {"q": 2**31}, 3, "chain needs factors of rows in 1..2147483647, those beyond u 1"),
    (TRAIN | {"global": 2}, 3, "chain needs factors of rows in 1..2147483647, those beyond u 1"),
    (TRAIN | {"b": 2**31 - 1, "p": 2**31 - 1, "q": 2}, 3, "whose product is at most 4611686018427387904"),
    (TRAIN | {"size": 0}, 3, "chain needs 1 <= size <= b * p * q * global"),
    (TRAIN | {"size": 61}, 3, "chain needs 1 <= size <= b * p * q * global"),
    (DIGIT | {"u": 0}, 1, "digits needs 1 <= u <= parts"),
    (DIGIT | {"u": 2}, 1, "digits needs 1 <= u <= parts"),
    (DIGIT | {"size": 0}, 1, "digits needs size, n, p >= 1 and q >= 0"),
    (DIGIT | {"n": 0}, 1, "digits needs size, n, p >= 1 and q >= 0"),
    (DIGIT | {"p": 0}, 1, "digits needs size, n, p >= 1 and q >= 0"),
    (DIGIT | {"q": -1}, 1, "digits needs size, n, p >= 1 and q >= 0"),
    (DIGIT | {"size": 2**61 + 1}, 1, "digits needs u * size <= 2**61"),
    (DIGIT | {"size": 2**60 + 1, "u": 2}, 2, "digits needs u * size <= 2**61"),
    (DIGIT | {"b": -1}, 1, "digits needs b in 0..60, and u <= b unless b is 0"),
    (DIGIT | {"b": 61}, 1, "digits needs b in 0..60, and u <= b unless b is 0"),
    (DIGIT | {"b": 1, "u": 2}, 2, "digits needs b in 0..60, and u <= b unless b is 0"),
    (DIGIT | {"n": 2**32 + 1, "p": 2**31}, 1, "digits needs (n - 1) * p + q < 2**63"),
]
# The same with functions: 1 + 3 * 5 words of what a key is, 1 + 3 * 1 of codes.
BAD_FUNCTIONS = [
    KEYED_CODED | {"r": 1, "global": 1},
    KEYED_CODED | {"r": 1, "global": -1},
    KEYED_CODED | {"r": 1, "global": 2**63 - 1},
    KEYED_CODED | {"r": 2**32},
    KEYED_CODED | {"s": 2**32},
    KEYED_CODED | {"s": 97},
    KEYED_CODED | {"n": 1, "r": 1},
]
# Three words of codes of two parts: 24 ids of 4 bits, or 10 of 4 and 28 of 2, or 48 of 2.
BAD_CODES = [
    PACKED_CODED | {"r": 25, "n": 25},
    PACKED_CODED | {"r": 39, "n": 10},
    PACKED_CODED | {"r": 49},
    PACKED_CODED | {"r": 2**40},
    PACKED_CODED | {"r": 2**40, "n": 2**40},
    PACKED_CODED | {"r": 1, "global": 3},
    PACKED_CODED | {"r": 1, "global": 4},
    PACKED_CODED | {"r": 1, "global": -1},
    PACKED_CODED | {"r": 1, "global": 2**63 - 1},
    PACKED_CODED | {"r": 1, "global": -(2**63)},
]
GOOD_CODES = [
    PACKED_CODED | {"r": 24, "n": 24},
    PACKED_CODED | {"r": 38, "n": 10},
    PACKED_CODED | {"r": 48},
    PACKED_CODED | {"r": 16, "global": 2},
]
GOOD = [
    ({"start": 2**61 - 1, "a": 2**61 - 1, "size": 2**62 - 1}, 1),
    ({"size": 4, "b": 4, "a": -1}, 1),
    ({"size": 2**62 - 1, "b": 2**61 - 1, "a": 2**61 - 1}, 1),
    ({"kind": HASH, "size": 2**62 - 1, "start": 2**61 - 1, "a": 2**61 - 1}, 1),
    ({"kind": QUOTIENT_REMAINDER, "size": 3, "n": 2**32 + 1, "p": 2**31 - 1}, 2),
    ({"kind": QUOTIENT_REMAINDER, "size": 3, "n": 9, "p": 2**60 - 1, "q": 7}, 2),
    ({"kind": QUOTIENT_REMAINDER, "size": 3, "n": 1, "p": 2**63 - 1, "q": 2**63 - 1}, 2),
    ({"kind": BLOCK, "size": 9, "a": 9, "b": 7}, 3),
    (OWN, 3),
    (SIGNED, 3),
    (SIGNED | {"r": 0, "s": 0, "t": 0, "global": -5}, 3),
    (SIGNED | {"global": 0, "s": 2**20, "t": 1, "u": 8, "r": 0}, 3),
    (SET | {"r": 0}, 3),
    (LINEAR | {"p": 2038074742, "q": 2038074742, "seed": 2038074742, "global": 2**63 - 1}, 3),
    ({"kind": MAPPED, "size": 7, "b": 3, "a": 6}, 1),
    (TRAIN, 3),
    (TRAIN | {"b": 2**31 - 1, "p": 2**31 - 1, "q": 1, "size": 2**62 - 2**32 + 1, "n": 4096, "s": 4096}, 3),
    ({"kind": MAPPED, "size": 0, "b": 10, "a": -1}, 1),
    (DIGIT | {"size": 2**61, "start": 2**61 - 1}, 1),
    (DIGIT | {"size": 2**60, "start": 2**61 - 1, "u": 2, "n": 2**62 - 1}, 3),
    (DIGIT | {"b": 60, "start": 2**61 - 1, "u": 1, "n": 2**62 - 1}, 1),
    (DIGIT | {"b": 3, "u": 3, "n": 2**62 - 1, "p": 2, "q": 2}, 4),
    (DIGIT | {"n": 2**32 + 1, "p": 2**31 - 1}, 1),
    ({"kind": PAGED, "size": 30, "n": 3}, 1),
    ({"kind": PAGED, "size": 28, "n": 3, "q": 2, "a": 27}, 1),
    ({"kind": PAGED, "size": 2**31 - 1, "n": 2**31 - 1, "b": 9}, 1),
    ({"kind": PAGED, "size": 0, "n": 1, "a": -1, "b": 10, "q": 2**61 - 1}, 1),
    ({"kind": SKETCHED, "size": 3, "a": 1, "b": 1}, 1),
    ({"kind": SKETCHED, "size": 1, "a": 3, "seed": -(2**63)}, 1),
    ({"kind": SKETCHED, "size": 1, "a": 3, "u": 2**31 - 1, "q": 2**61 - 1}, 1),
    ({"kind": TAGGED, "size": 4, "u": 2**31 - 1, "r": 3, "s": 2, "q": 2**61 - 1}, 1),
    ({"kind": TAGGED, "size": 4, "r": 2**62 - 1, "s": 2**63 - 1}, 1),
    ({"kind": TAGGED, "size": 9}, 1),
    ({"kind": TAGGED, "size": 1, "b": 3, "n": 5}, 1),
    (KEYED_CODED, 1),
    (KEYED_CODED | {"b": 1 - 2**63}, 1),
    (KEYED_CODED | {"p": 26, "q": -5, "global": -5, "t": 16, "u": 16, "b": 16}, 1),
    (KEYED_CODED | {"p": 26, "a": 1, "t": 8, "u": 16, "b": 16}, 4),
    (PACKED_CODED, 3),
    (PACKED_CODED | {"p": -(2**63), "global": 2**63 - 1, "t": 16, "u": 16}, 3),
]


@pytest.mark.parametrize(("columns", "parts", "message"), BAD)
def test_bad_programs_are_refused_by_field(backend: str, columns: dict[str, int], parts: int, message: str) -> None:
    good = program_row(kind=QUOTIENT_REMAINDER, size=3, n=9) if parts == 2 else program_row(size=1)
    program = torch.tensor([good, program_row(**columns)])
    with pytest.raises(ValueError, match=rf"program field 1: .*{re.escape(message)}.*; its row is \[0, ") as caught:
        addresses(torch.tensor([[5]]), program, parts=parts, maps=MAP)
    assert str(program[1].tolist()) in str(caught.value)


@pytest.mark.parametrize("columns", BAD_FUNCTIONS)
def test_functions_lie_inside_the_maps(backend: str, columns: dict[str, int]) -> None:
    words = torch.zeros(20, dtype=torch.int32)
    program = torch.tensor([program_row(**KEYED_CODED | {"r": 1}), program_row(**columns)])
    with pytest.raises(ValueError, match="program field 1: keyed_codes needs its functions inside maps"):
        addresses(torch.tensor([[5]]), program, maps=words)
    assert addresses(torch.tensor([[5]]), program[:1], maps=words).tolist() in ([[2]], [[6]])


@pytest.mark.parametrize("columns", BAD_CODES)
def test_codes_lie_inside_the_maps(backend: str, columns: dict[str, int]) -> None:
    program = torch.tensor([program_row(**PACKED_CODED), program_row(**columns)])
    with pytest.raises(ValueError, match="program field 1: packed_codes needs its codes inside maps"):
        addresses(torch.tensor([[5]]), program, parts=2, maps=torch.zeros(3, dtype=torch.int32))


@pytest.mark.parametrize("columns", GOOD_CODES)
def test_codes_may_end_with_the_maps(backend: str, columns: dict[str, int]) -> None:
    words = torch.full((3,), -1, dtype=torch.int32)
    found = addresses(torch.arange(columns["r"])[:, None], torch.tensor([program_row(**columns)]), parts=2, maps=words)
    # all bits are ones: the last codeword of both parts, or the second one
    wide = torch.arange(columns["r"]) < columns.get("n", 0)
    expected = 5 + 3 * (torch.tensor([0, 4]) + torch.where(wide, 3, 1)[:, None])
    assert torch.equal(found, expected)
    assert int(found.max()) + 3 <= 29, "the last codeword ends where the field does"


@pytest.mark.parametrize(("columns", "parts"), GOOD)
def test_programs_at_the_edge_pass_and_address_nothing_negative(
    backend: str, columns: dict[str, int], parts: int
) -> None:
    program = torch.tensor([program_row(**columns)])
    found = addresses(torch.tensor([[0], [6], [2**63 - 1]]), program, parts=parts, maps=MAP)
    assert bool((found >= -1).all())


@pytest.mark.parametrize(
    ("kind", "combining", "dim", "message"),
    [
        (BLOCK, Combining.SUM, 4, "blocks need combining CONCAT"),
        (LINEAR_BLOCK, Combining.SUM, 4, "blocks need combining CONCAT"),
        (HASH, Combining.CONCAT, 4, "combining CONCAT is for blocks"),
        (BLOCK, Combining.CONCAT, 9, "the blocks of all parts must cover dim"),
    ],
)
def test_blocks_and_concat_belong_together(backend: str, kind: int, combining: int, dim: int, message: str) -> None:
    access = Access(torch.tensor([program_row(kind=kind, size=9, a=4)]), (0,), dim, 2, combining)
    region = torch.zeros(9) if combining == Combining.CONCAT else torch.zeros(9, dim)
    with pytest.raises(ValueError, match=f"program field 0: {message}"):
        lookup([region], torch.tensor([[5]]), access)
