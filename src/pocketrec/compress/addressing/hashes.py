"""Ids read several rows by independent hashes, which are combined: a row that is drawn twice counts twice."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Hashes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """Addresses = start + hash_j(id) in [0, buckets) for j below count.

    Attributes:
        start: first address of the table.
        buckets: rows that are shared, 1 or more.
        seed: of the hashes, different for every table.
        count: hashes per id, 1 or more. A single one is that of :class:`~pocketrec.compress.addressing.hashed.Hashed`,
            which is found faster and is not the first of several.
    """

    start: int
    buckets: int
    seed: int
    count: int

    def program(self, *, column: int, padding: int) -> list[int]:
        kind, count = (1, 0) if self.count == 1 else (6, self.count)
        return program_row(
            kind, column=column, padding=padding, start=self.start, size=self.buckets, seed=self.seed, n=count
        )
