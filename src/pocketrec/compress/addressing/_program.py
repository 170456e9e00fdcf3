"""The row of the lookup's program that an addressing writes."""

from __future__ import annotations

from typing import Protocol

__all__ = ["PROGRAM_COLUMNS", "Addressing", "program_row"]

PROGRAM_COLUMNS = (
    "column", "kind", "start", "size", "seed", "a", "b", "n", "padding", "p", "q", "offset", "limit",
    "r", "s", "t", "u",
)  # fmt: skip


class Addressing(Protocol):
    """How the ids of one table become addresses."""

    def program(self, *, column: int, padding: int) -> list[int]:
        """The table's row of the program.

        Args:
            column: which column of the ids is this table's.
            padding: the padding id, or -1.
        """
        ...


def program_row(
    kind: int, *, column: int, padding: int, start: int, size: int, seed: int = 0, a: int = 0, b: int = 0,
    n: int = 0, p: int = 1, q: int = 0, offset: int = 0, r: int = 0, s: int = 0, t: int = 0, u: int = 0,
) -> list[int]:  # fmt: skip
    """One row of the program, in the order of :data:`PROGRAM_COLUMNS`; its limit, -1, is the group's to set."""
    return [column, kind, start, size, seed, a, b, n, padding, p, q, offset, -1, r, s, t, u]
