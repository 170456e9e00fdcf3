"""The vocabulary of a lookup: what the numbers of a program mean, and one lookup's arguments as one value.

A *region* is a tensor of rows. An *address* is an index into the concatenation of the regions of one call, in rows, or
in single weights where the program draws blocks from a shared array; -1 is the null address, which reads as zeros and
takes no gradient. A *program* is an int64 tensor [fields, 17] that says, field by field, how an id becomes addresses.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from torch import Tensor

from pocketrec.spec.errors import OptionError

__all__ = [
    "BLOCKS",
    "HASHED_BLOCKS",
    "LINEAR_MODULUS",
    "MOST_CORES",
    "MOST_DEALT_BITS",
    "MOST_PICKS",
    "MOST_RANK",
    "MOST_SLOTS",
    "PROGRAM_COLUMNS",
    "WEIGHTS_PER_SCALE",
    "Access",
    "BlockFlag",
    "Column",
    "Combining",
    "Kind",
    "Pooling",
    "Storage",
    "program_row",
]

PROGRAM_COLUMNS: Final = 17

LINEAR_MODULUS: Final = 2038074743
"""The prime P of the linear hash in the published ROBE code."""

MOST_PICKS: Final = 8
"""Keys of a signature, at most, of which the place of one block is drawn."""

WEIGHTS_PER_SCALE: Final = 64
"""Consecutive weights of a quantised shared array that have one scale and one bias."""

MOST_SLOTS: Final = 32
"""How many slots a bucket of a sketch has at most, and how many tags of a bucket are read."""


MOST_CORES: Final = 4
"""Cores of a tensor train."""

MOST_RANK: Final = 4096
"""The rank of a tensor train, and each factor of its dim, at most."""

MOST_DEALT_BITS: Final = 60
"""Bits of an id that are dealt out to its parts, at most."""


class Column(IntEnum):
    """What stands in which column of a program. Unused columns hold 0, or the default of `program_row`.

    * ``COLUMN``: the column of 2-D ids that the field reads. Ignored with offsets: there the rows of the program and
      of the offsets stand in one order.
    * ``KIND``: a `Kind`.
    * ``START``: first address of the table.
    * ``SIZE``: row: the end of the ids that have a row, ids from here on fold, and so do those before b. hash and
      hashes: buckets. quotient_remainder: remainders m. digits: their base. blocks: weights in the array. mapped:
      entries of the table's map, ids >= size fold. paged: ids of the table, those >= size fold. sketched and tagged:
      buckets.
    * ``SEED``: any int64, already distinct per table; linear_block: r1.
    * ``A``: row, mapped and paged: the id that takes those without a row, or -1 for the null address. hash and hashes:
      number of leading ids with a row of their own. quotient_remainder: first address of the remainder rows. blocks:
      block length Z. sketched: slots of a bucket, 1 to 32.
    * ``B``: row: the first id that has a row. block, signature and sets: a `BlockFlag`. mapped and paged: first index
      of the table in `maps`. sketched and tagged: the same of the sketch, or of the offsets. keyed_codes: bits of a key
      that are checked, 0 to 16; or, below 0, no bits: only ids 1 to -b - 1 have an entry. digits: 0, or how many bits
      of an id are dealt out to its parts in turn, 1 to 60, in the place of digits.
    * ``N``: hashes: how many, at most `parts`. quotient_remainder and digits: ids of the table, modulus of the
      permutation; ids >= n fold to id 0. block, signature and sets: ids 1 to n have weights of their own. tagged: how
      many tags there are. keyed_codes: how many keys have weights of their own. paged: rows of a page, 1 to 2**31 - 1.
      packed_codes: how many ids have codes of t bits.
    * ``PADDING``: an id that is left out of its bag, or -1.
    * ``P``, ``Q``: quotient_remainder and digits: id' = (id * p + q) mod n, with (n - 1) * p + q < 2**63; linear_block:
      r3 and r2. block, signature and sets: the own weights of id i begin at address p + (i - 1) q, before ``START``.
      keyed_codes: p is the address of the weights that all other ids share, q that of the first own ones.
      packed_codes: p is the address of the first codeword. sketched and tagged: q is the first address of the rows that
      medium ids share. paged: q is the number of the row of id 0 among those that are cut into pages.
    * ``GLOBAL``: linear_block: added to the id before hashing. signature, sets, keyed_codes and packed_codes: first
      index of the table in `maps`.
    * ``LIMIT``: ids from here on are refused, as negative ones are; 1 or more, or -1 where every id is taken.
    * ``R``: signature and sets: so many ids, n + 1 to n + r, have a signature or a set. tagged: first index in `maps`
      of the offsets of medium ids. keyed_codes: how many keys have a code per block. packed_codes: how many ids have
      codes; ids from here on read those of id 0.
    * ``S``: signature: keys per id. sets: least hashes of which a block's place is drawn. keyed_codes: how many
      keys have one code. tagged: how many tags medium ids have.
    * ``T``: signature: bits per key. sets: seed of the least hashes, any int64. keyed_codes: bits of a code of a block.
      packed_codes: bits of a code of the first n ids.
    * ``U``: signature: keys of which a block's place is drawn. keyed_codes: bits of a code of a whole vector, of which
      two values say that the key has something better. sketched and tagged: rows that medium ids share, 0 where there
      are none. digits: how many, at most `parts`. packed_codes: bits of a code of all other ids, at most t.

    A chain has in SIZE its ids, of which those >= size fold to id 0; in U how many cores, in N their rank; in A, R, S
    and T the factors of dim of cores 0 to 3, in B, P, Q and GLOBAL those of the ids. Factors of cores that are not
    there are 1. In SEED is how many trains a ring is the sum of; 0, or 1: it is a train.
    """

    COLUMN = 0
    KIND = 1
    START = 2
    SIZE = 3
    SEED = 4
    A = 5
    B = 6
    N = 7
    PADDING = 8
    P = 9
    Q = 10
    GLOBAL = 11
    LIMIT = 12
    R = 13
    S = 14
    T = 15
    U = 16


class Kind(IntEnum):
    """How an id becomes addresses (see `pocketrec.native.addresses`)."""

    ROW = 0
    HASH = 1
    QUOTIENT_REMAINDER = 2
    BLOCK = 3
    LINEAR_BLOCK = 4
    MAPPED = 5
    HASHES = 6
    SIGNATURE = 7
    SETS = 8
    SKETCHED = 9
    TAGGED = 10
    KEYED_CODES = 11
    CHAIN = 12
    DIGITS = 13
    PAGED = 14
    PACKED_CODES = 15


HASHED_BLOCKS: Final = (Kind.BLOCK, Kind.SIGNATURE, Kind.SETS)
"""Kinds of blocks that lie where a hash says, and have a `BlockFlag` in column B."""

BLOCKS: Final = (*HASHED_BLOCKS, Kind.LINEAR_BLOCK, Kind.KEYED_CODES, Kind.PACKED_CODES)
"""Kinds that draw blocks of consecutive weights from a shared array."""


class BlockFlag(IntEnum):
    """Bits of column B of fields of blocks."""

    SIGN = 1
    ALIGNED = 2
    NO_WRAP = 4


class Combining(IntEnum):
    """How the parts of one value become one vector. CONTRACT multiplies slices of cores (`pocketrec.native.chain`)."""

    COPY = 0
    SUM = 1
    PRODUCT = 2
    CONCAT = 3
    CONTRACT = 4


class Pooling(IntEnum):
    """How the values of one bag become one vector."""

    NONE = 0
    SUM = 1
    MEAN = 2
    MAX = 3


class Storage(IntEnum):
    """How a region keeps its numbers; FLOAT is float32, float16 or bfloat16 as its dtype says.

    INT4, INT8 and INT16 rows are bytes: codes, a scale, a bias; value = code * scale + bias. Four bits a code, the
    lower half of a byte first, and float16 scale and bias; or eight bits a code, or 16, the lower byte first, and
    float32.

    SPARSE8 and SPARSE16 are the index of a packed sparse store, whose numbers have places of 8 or 16 bits, and the
    region behind it, ENTRIES, holds these (see `pocketrec.native.sparse`).
    """

    FLOAT = 0
    INT4 = 4
    INT8 = 8
    INT16 = 9
    SPARSE8 = 16
    SPARSE16 = 17
    ENTRIES = 20


class Access(NamedTuple):
    """How the ids of some fields become vectors of one width: all of a lookup but its data.

    Attributes:
        program: int64 [fields, 17], one row per field, see `Column`.
        storages: one `Storage` per region.
        dim: width of the vectors.
        parts: addresses per value: 1, 2 for quotient_remainder, ceil(dim / Z) for blocks, the cores for chains. In a
            call with several parts a field of kind row, hash, mapped, paged, sketched or tagged leaves the others null:
            its vector is the first part alone.
        combining: a `Combining`.
        maps: int32 or int64, the maps of all mapped, paged, sketched and tagged fields one after the other, or
            None. Signatures are int64 words: ceil(s / (64 // t)) for each id, key k in word k // (64 // t) from bit
            k % (64 // t) * t on; a first word of 0 is no signature. Sets are int32: r + 1 numbers, where each set
            begins among the members behind them and where the last one ends, and the members.
    """

    program: Tensor
    storages: tuple[int, ...]
    dim: int
    parts: int = 1
    combining: int = Combining.COPY
    maps: Tensor | None = None


_DEFAULTS: Final = {Column.PADDING: -1, Column.P: 1, Column.LIMIT: -1}


def program_row(**columns: int) -> list[int]:
    """One row of a program from the columns that matter, by their names in lower case.

    >>> program_row(column=3, kind=Kind.HASH, start=100, size=50, seed=7)
    [3, 1, 100, 50, 7, 0, 0, 0, -1, 1, 0, 0, -1, 0, 0, 0, 0]
    """
    row = [_DEFAULTS.get(column, 0) for column in Column]
    known = {column.name.lower(): column for column in Column}
    for name, number in columns.items():
        if name not in known:
            raise OptionError(f"A program has no column {name!r}. Known: {', '.join(known)}.")
        row[known[name]] = int(number)
    return row
