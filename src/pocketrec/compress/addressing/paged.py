"""Rows are cut into pages that follow one another; a map names the kept page that stands for each."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Paged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged:
    """With x = first + id: address = start + map[map_start + x // page_rows] x page_rows + x mod page_rows.

    A map has an entry per page in place of one per id. An entry of -1 gives zero vectors that never train.

    Attributes:
        start: address of the first row of kept page 0.
        ids: ids of this table; larger ones read what `fold` reads.
        page_rows: rows of a page, 1 to 2^31 - 1.
        first: number of the row of the table's id 0 among all rows that are cut into pages, so that tables may share
            pages.
        map_start: where the entry of page 0 stands in the group's map (int32).
        fold: the id whose row unknown ids read.
    """

    start: int
    ids: int
    page_rows: int
    first: int = 0
    map_start: int = 0
    fold: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(
            14, column=column, padding=padding, start=self.start, size=self.ids, a=self.fold, b=self.map_start,
            n=self.page_rows, q=self.first,
        )  # fmt: skip
