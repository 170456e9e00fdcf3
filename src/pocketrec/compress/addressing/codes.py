"""Frequent ids have weights of their own, the next ones a code per block or one code in all, the rest those of id 0.

Paper: product quantisation, Jegou, Douze, Schmid, Product Quantization for Nearest Neighbor Search, IEEE TPAMI 33(1),
2011; codes of fewer bits for ids that are rarer are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["Codes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Ids 0 to `own` have weights of their own, the next `fine` a code per block, the next `coarse` one code.

    Attributes:
        weights: length of the array in which everything lies.
        block: weights per block, 1 or more.
        own: how many ids besides id 0 have their own.
        own_start: address of those of id 0.
        own_width: weights per id of those.
        fine: how many ids have a code per block.
        coarse: how many have one for the whole vector.
        codewords: address of the codewords: of block 0, of block 1 and so on, then of whole vectors.
        bits: of a code of a block: 1, 2, 4, 8 or 16.
        whole_bits: of a code of a whole vector, likewise.
        place: first int32 word of the table's codes.
    """

    weights: int
    block: int
    own: int
    own_start: int
    own_width: int
    fine: int
    coarse: int
    codewords: int
    bits: int
    whole_bits: int
    place: int

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(
            11, column=column, padding=padding, start=0, size=self.weights, a=self.block, b=self.codewords, n=self.own,
            p=self.own_start, q=self.own_width, offset=self.place, r=self.fine, s=self.coarse, t=self.bits,
            u=self.whole_bits,
        )  # fmt: skip
