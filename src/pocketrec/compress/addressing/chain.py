"""Every id has a slice in each core of a tensor train, or ring.

Paper: Yin, Acun, Wu, Liu, TT-Rec: Tensor Train Compression for Deep Learning Recommendation Models, MLSys 2021,
    arXiv:2101.11714.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Chain"]

_MOST_CORES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One address per core: where the slice of the id's digit of that core begins (`pocketrec.native.chain`).

    Ids >= ids are read as id 0.

    Attributes:
        start: first address of the table's cores, which lie one behind the other.
        ids: of the table, at most the product of the row factors.
        row_factors: slices of each core, 2 to 4 of them.
        dim_factors: numbers of the vector that each core stands for; their product is its dim.
        rank: numbers per row of a core.
        outer: trains that are added up, the rank that closes a ring; 1 for a train.
    """

    start: int
    ids: int
    row_factors: Sequence[int]
    dim_factors: Sequence[int]
    rank: int
    outer: int = 1

    def program(self, *, column: int, padding: int) -> list[int]:
        missing = [1] * (_MOST_CORES - len(self.row_factors))
        b, p, q, offset = [*self.row_factors, *missing]
        a, r, s, t = [*self.dim_factors, *missing]
        return program_row(
            12, column=column, padding=padding, start=self.start, size=self.ids, seed=self.outer, a=a, b=b, n=self.rank,
            p=p, q=q, offset=offset, r=r, s=s, t=t, u=len(self.row_factors),
        )  # fmt: skip
