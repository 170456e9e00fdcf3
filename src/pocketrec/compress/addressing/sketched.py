"""Hot ids have the row that a sketch says, or that stands where their tag does; all others have no address.

A sketch while training (`pocketrec.native.sketch`), its tags when served (`pocketrec.native.tagged`). One of them is
for all tables: what tells their ids apart is the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Sketched", "Tagged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketched:
    """Address = the place of the slot of ``mix(id, seed)``, the null address where it has none.

    Medium ids, which own no row, share some others, drawn by their tags.

    Attributes:
        buckets: of the sketch, which is the group's map from its first number on.
        slots: per bucket, 1 to 32.
        seed: different for every table.
        shared: rows that medium ids share; 0: there are none.
        first_shared: address of the first of them.
    """

    buckets: int
    slots: int
    seed: int
    shared: int = 0
    first_shared: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(
            9, column=column, padding=padding, start=0, size=self.buckets, seed=self.seed, a=self.slots,
            q=self.first_shared, u=self.shared,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """Address = the number of the tag of ``mix(id, seed)`` among all tags, the null address where there is none.

    Attributes:
        buckets: of the tags; the group's map holds buckets + 1 offsets and then the tags; then the same for medium ids.
        rows: how many tags there are.
        seed: different for every table.
        shared: rows that medium ids share; 0: there are none.
        first_shared: address of the first of them.
        medium: how many tags medium ids have.
    """

    buckets: int
    rows: int
    seed: int
    shared: int = 0
    first_shared: int = 0
    medium: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(
            10, column=column, padding=padding, start=0, size=self.buckets, seed=self.seed, n=self.rows,
            q=self.first_shared, r=self.buckets + 1 + self.rows if self.shared else 0, s=self.medium, u=self.shared,
        )  # fmt: skip
