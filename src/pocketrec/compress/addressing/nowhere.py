"""No id has a row: what its vector is comes from the id itself."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Nowhere"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nowhere:
    """Every address is null.

    Attributes:
        seed: of the hashes that the ids of the table have instead.
    """

    seed: int

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(0, column=column, padding=padding, start=0, size=0, a=-1)
