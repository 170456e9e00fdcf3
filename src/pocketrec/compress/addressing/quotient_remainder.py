"""Every id has a pair of rows of its own: one for its quotient, one for its remainder.

Paper: Shi et al., Compositional Embeddings Using Complementary Partitions, KDD 2020, arXiv:1909.02107.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["QuotientRemainder", "permutation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotientRemainder:
    """Two addresses: quotient_start + id' // remainders and remainder_start + id' % remainders.

    id' = (id x multiplier + shift) mod rows is a permutation of the ids. Without it, ids in order of frequency would
    put all the most frequent ones on the same quotient row. Ids >= rows are read as id 0.

    Attributes:
        rows: ids of the table.
        remainders: number of remainder rows, 1 or more.
        quotient_start: first address of the ceil(rows / remainders) quotient rows.
        remainder_start: first address of the remainder rows.
        multiplier: of the permutation, coprime to `rows`.
        shift: of the permutation, 0 <= shift < rows.
    """

    rows: int
    remainders: int
    quotient_start: int
    remainder_start: int
    multiplier: int = 1
    shift: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(
            2, column=column, padding=padding, start=self.quotient_start, size=self.remainders,
            a=self.remainder_start, n=self.rows, p=self.multiplier, q=self.shift,
        )  # fmt: skip


def permutation(rows: int, seed: int) -> tuple[int, int]:
    """Multiplier and shift of a permutation of 0..rows-1.

    The multiplier starts near the golden section of `rows`, which spreads neighbouring ids evenly, and is small enough
    that id x multiplier stays below 2^62.

    >>> sorted((i * p + q) % 10 for p, q in [permutation(10, seed=3)] for i in range(10))
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    if rows <= 2:
        return 1, seed % rows
    multiplier = max(1, min(int(rows * 0.6180339887498949), 2**62 // rows - 1))
    while math.gcd(multiplier, rows) != 1:
        multiplier -= 1
    return multiplier, seed % rows
