"""An id is a number in some base, and every digit of it has rows of its own; or its bits are dealt out in turn.

Paper: one digit: Pansare et al., Learning Compressed Embeddings for On-Device Inference, MLSys 2022, arXiv:2203.10135;
    base a power of two, and bits dealt out: Yan et al., Binary Code based Hash Embedding for Web-scale Applications,
    CIKM 2021, arXiv:2109.02471.
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Digits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Address j = start + j x base + digit j of id', the lowest digit first.

    id' = (id x multiplier + shift) mod rows. Ids >= rows are read as id 0. With `bits`, address j is instead the number
    of the bits j, j + count, j + 2 count, ... of id', behind the addresses of the parts before it.

    Attributes:
        start: first address of the table.
        rows: ids of the table.
        base: of the digits, 1 or more; of no meaning with `bits`. Higher digits than `count` are left out.
        count: digits per id, 1 or more.
        bits: 0, or how many bits of id' are dealt out, `count` to 60.
        multiplier: of the permutation, coprime to `rows`.
        shift: of the permutation, 0 <= shift < rows.
    """

    start: int
    rows: int
    base: int
    count: int = 1
    bits: int = 0
    multiplier: int = 1
    shift: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(
            13, column=column, padding=padding, start=self.start, size=self.base, b=self.bits, n=self.rows,
            p=self.multiplier, q=self.shift, u=self.count,
        )  # fmt: skip
