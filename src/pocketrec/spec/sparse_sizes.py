"""Sizes of a packed sparse store, known without any number: here, so that sizing needs neither torch nor kernels.

A store holds some numbers of a table, all others are zero. Rows lie in blocks of a power of two of consecutive rows. Of
each number that is held there is its place within its block (row within the block x dim + column) and its value in
float16, of each block where its numbers begin. Places of 8 bits make a number cheaper, places of 16 bits a block
larger; which of the two holds more in so many bytes depends on how many numbers there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

__all__ = ["VALUE_BYTES", "SparseSize", "least_sparse_bytes", "most_nonzeros", "rows_per_block"]

VALUE_BYTES: Final = 2
"""Of a number's value."""

_PLACE_BYTES: Final = (1, 2)
_INT32_END: Final = 1 << 31


def rows_per_block(dim: int, place_bytes: int) -> int:
    """The most rows, a power of two, whose numbers have places of so many bytes; 0 where one row has too many.

    >>> rows_per_block(16, 1), rows_per_block(16, 2), rows_per_block(100, 2), rows_per_block(300, 1)
    (16, 4096, 512, 0)
    """
    rows = (1 << 8 * place_bytes) // dim
    return 1 << rows.bit_length() - 1 if rows else 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SparseSize:
    """A store of rows x dim numbers, of which so many are held.

    Attributes:
        rows: 1 or more.
        dim: numbers per row, 1 to 65,536.
        nonzeros: numbers that are held, which may be zeros, too: 1 to rows x dim.
        place_bytes: 1 or 2, of a place within a block. Rows of more than 256 numbers need 2.

    Raises:
        ValueError: a number that is out of range.
    """

    rows: int
    dim: int
    nonzeros: int
    place_bytes: int

    def __post_init__(self) -> None:
        if self.dim < 1 or self.place_bytes not in _PLACE_BYTES or not rows_per_block(self.dim, self.place_bytes):
            raise ValueError(f"A sparse store of dim {self.dim} cannot have places of {self.place_bytes} bytes.")
        if self.rows < 1 or not 1 <= self.nonzeros <= self.rows * self.dim:
            raise ValueError(f"A sparse store of {self.rows} x {self.dim} numbers cannot hold {self.nonzeros} of them.")

    @property
    def rows_per_block(self) -> int:
        """A power of two."""
        return rows_per_block(self.dim, self.place_bytes)

    @property
    def blocks(self) -> int:
        """The last one may have fewer rows."""
        return -(-self.rows // self.rows_per_block)

    @property
    def index_shape(self) -> tuple[int]:
        """Where the numbers of each block begin, and where the last one's end."""
        return (self.blocks + 1,)

    @property
    def index_dtype(self) -> str:
        """A key of ``DTYPE_BYTES``: int32 as long as it can count the numbers."""
        return "int32" if self.nonzeros < _INT32_END else "int64"

    @property
    def entries_shape(self) -> tuple[int, int]:
        """Of bytes: place and value of each number."""
        return (self.nonzeros, self.place_bytes + VALUE_BYTES)

    @property
    def nbytes(self) -> int:
        """Bytes of index and entries together."""
        entries, width = self.entries_shape
        return self.index_shape[0] * (4 if self.index_dtype == "int32" else 8) + entries * width


def most_nonzeros(rows: int, dim: int, budget_bytes: int) -> SparseSize | None:
    """The store that holds the most numbers in so many bytes, of two such the smaller one; None if it cannot hold one.

    >>> most_nonzeros(1_000_000, 16, 6_400_000)
    SparseSize(rows=1000000, dim=16, nonzeros=2049998, place_bytes=1)
    >>> most_nonzeros(1_000_000, 16, 64_000)
    SparseSize(rows=1000000, dim=16, nonzeros=15754, place_bytes=2)
    """
    found = [size for places in _places(dim) if (size := _most(rows, dim, budget_bytes, places)) is not None]
    return max(found, key=lambda size: (size.nonzeros, -size.nbytes), default=None)


def least_sparse_bytes(rows: int, dim: int, nonzeros: int) -> int:
    """The fewest bytes of a store of so many numbers, 1 to rows x dim."""
    return min(
        SparseSize(rows=rows, dim=dim, nonzeros=nonzeros, place_bytes=place_bytes).nbytes
        for place_bytes in _places(dim)
    )


def _places(dim: int) -> list[int]:
    return [place_bytes for place_bytes in _PLACE_BYTES if rows_per_block(dim, place_bytes)]


def _most(rows: int, dim: int, budget_bytes: int, place_bytes: int) -> SparseSize | None:
    """With this width of places; None where no number fits beside the index."""
    blocks, width = -(-rows // rows_per_block(dim, place_bytes)), place_bytes + VALUE_BYTES
    narrow, wide = ((budget_bytes - nbytes * (blocks + 1)) // width for nbytes in (4, 8))
    most = max(min(narrow, _INT32_END - 1), wide if wide >= _INT32_END else 0)
    if most < 1:
        return None
    return SparseSize(rows=rows, dim=dim, nonzeros=min(most, rows * dim), place_bytes=place_bytes)
