"""Ids share rows by a mixing hash; the first few may keep rows of their own."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Hashed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """Address = start + id for id < exact, else start + exact + hash(id) in [0, buckets).

    Attributes:
        start: first address of the table.
        buckets: rows that are shared, 1 or more.
        seed: of the hash, different for every table.
        exact: how many leading ids keep a row of their own.
    """

    start: int
    buckets: int
    seed: int
    exact: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(
            1, column=column, padding=padding, start=self.start, size=self.buckets, seed=self.seed, a=self.exact
        )
