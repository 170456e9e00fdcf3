"""Every id has the row of its own number; ids beyond them read the fold row."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Address = start + id - first for first <= id < first + rows; others read the row of id `fold`.

    Attributes:
        start: first address of the table.
        rows: how many ids have a row.
        fold: the id whose row other ids read; -1 gives them a zero vector that never trains.
        first: the first id that has a row.
    """

    start: int
    rows: int
    fold: int = 0
    first: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(
            0, column=column, padding=padding, start=self.start, size=self.first + self.rows, a=self.fold, b=self.first
        )
