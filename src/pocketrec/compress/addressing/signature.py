"""As blocks of a shared array, but where a block starts is drawn from a signature that alike ids share.

Paper: Desai et al., Semantically Constrained Memory Allocation (LMA), arXiv:2103.06124; in blocks, and with keys of few
bits, as the authors' kernel has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row
from pocketrec.compress.addressing.block import Block

__all__ = ["Sets", "Signature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Ids `own` + 1 to `own` + `ids` of a table have a signature of a few keys each; all others go by their hash.

    Attributes:
        block: where blocks of ids without a signature lie.
        ids: how many have one.
        place: of the table's first word among all signatures.
        keys: per id.
        bits: per key, 1 to 32.
        picks: keys of which the place of one block is drawn, 1 to 8.
    """

    block: Block
    ids: int
    place: int
    keys: int
    bits: int
    picks: int = 1

    def program(self, *, column: int, padding: int) -> list[int]:
        row = self.block.program(column=column, padding=padding)
        more = program_row(
            7, column=column, padding=padding, start=0, size=0, offset=self.place, r=self.ids, s=self.keys, t=self.bits,
            u=self.picks,
        )  # fmt: skip
        return _joined(row, more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """Ids `own` + 1 to `own` + `ids` of a table have a set each, of which least hashes are found at look-up.

    Attributes:
        block: where blocks of ids without a set lie.
        ids: how many have one.
        place: of the table's first number among all sets.
        power: least hashes of which the place of one block is drawn.
        seed: of the least hashes, the same for all tables.
    """

    block: Block
    ids: int
    place: int
    power: int
    seed: int

    def program(self, *, column: int, padding: int) -> list[int]:
        row = self.block.program(column=column, padding=padding)
        more = program_row(
            8, column=column, padding=padding, start=0, size=0, offset=self.place, r=self.ids, s=self.power, t=self.seed
        )
        return _joined(row, more)


_KIND, _PLACE, _REST = 1, 11, 13


def _joined(row: list[int], more: list[int]) -> list[int]:
    """A block's row as one of another kind, with what that kind has besides."""
    return [row[0], more[_KIND], *row[2:_PLACE], more[_PLACE], row[12], *more[_REST:]]
