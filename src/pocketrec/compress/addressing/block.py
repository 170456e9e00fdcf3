"""A vector is cut into blocks of consecutive weights; each block starts somewhere in one shared array.

Paper: Desai et al., Random Offset Block Embedding Array (ROBE), MLSys 2022, arXiv:2108.02191. Here Z is the length of
a block, as in the paper (one benchmark calls the number of blocks Z).
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Block"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Block c of an id starts at hash(id, c) and is `block` weights long.

    Attributes:
        weights: length of the shared array, behind the weights of ids that have their own.
        block: weights per block (Z), 1 or more, at most `weights`.
        seed: of the hash, different for every table.
        sign: whether every weight is read with a random sign, which makes inner products unbiased.
        aligned: blocks start at multiples of `block` only.
        wrap: blocks may run over the end and go on at the beginning; without it the ends are used less.
        start: address of the first shared weight.
        own: ids 1 to `own` have weights of their own.
        own_start: address of those of id 1.
        own_width: weights per id of those.
    """

    weights: int
    block: int
    seed: int
    sign: bool = True
    aligned: bool = False
    wrap: bool = True
    start: int = 0
    own: int = 0
    own_start: int = 0
    own_width: int = 0

    def program(self, *, column: int, padding: int) -> list[int]:
        flags = int(self.sign) | int(self.aligned) << 1 | int(not self.wrap) << 2
        return program_row(
            3, column=column, padding=padding, start=self.start, size=self.weights, seed=self.seed, a=self.block,
            b=flags, n=self.own, p=self.own_start, q=self.own_width,
        )  # fmt: skip
