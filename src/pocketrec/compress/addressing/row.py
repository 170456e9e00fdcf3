"""Every id has the row of its own number; larger ids read the fold row."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Address = start + id, or start + fold for id >= rows.

    Attributes:
        start: first address of the table.
        rows: how many ids have a row.
        fold: the id whose row unknown ids read; -1 gives them a zero vector that never trains.
    """

    start: int
    rows: int
    fold: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(0, column=column, padding=padding, start=self.start, size=self.rows, a=self.fold)
