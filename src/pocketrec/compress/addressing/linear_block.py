"""Blocks addressed by the linear hash of the published ROBE code, for comparison with it only.

Its mean collision rate is right, but a pair of ids that collides in one block collides in nearly all of them.
Source: the behaviour of github.com/apd10/universal_memory_allocation (MIT), described in our own words:
start = ((x r3 + c r2 + r1) mod P) mod (weights - Z + 1), P = 2038074743, no sign, no wrap.
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["PRIME", "LinearBlock"]

PRIME = 2038074743


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearBlock:
    """Block c of an id starts at the linear hash of (id + offset, c).

    Attributes:
        weights: length of the shared array.
        block: weights per block (Z).
        coefficients: r1, r2, r3, each in [0, P).
        offset: added to the id, so that tables do not share ids.
    """

    weights: int
    block: int
    coefficients: tuple[int, int, int]
    offset: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        r1, r2, r3 = self.coefficients
        return program_row(
            4, column=column, padding=padding, start=0, size=self.weights, seed=r1, a=self.block, p=r3, q=r2,
            offset=self.offset,
        )  # fmt: skip
