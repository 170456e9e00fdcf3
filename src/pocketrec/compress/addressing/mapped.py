"""Every id has an entry in a map, and the map names its row (or none)."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Mapped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """Address = start + map[map_start + id]; an entry of -1 gives a zero vector that never trains.

    Attributes:
        start: first address of the table.
        ids: entries of this table in the map; larger ids read the entry of `fold`.
        map_start: where the table's entries begin in the group's map (int32).
        fold: the id whose entry unknown ids read.
    """

    start: int
    ids: int
    map_start: int = 0
    fold: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(
            5, column=column, padding=padding, start=self.start, size=self.ids, a=self.fold, b=self.map_start
        )
