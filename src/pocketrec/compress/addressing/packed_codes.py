"""Codes of a few bits, one behind the other, which say for each block of a vector which codeword it is.

Paper: product quantisation, Jegou, Douze, Schmid, Product Quantization for Nearest Neighbor Search, IEEE TPAMI 33(1),
2011. Fewer bits for rarer ids: Kang et al., arXiv:2002.08530; that the order of ids says who they are is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["PackedCodes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedCodes:
    """Ids of one table whose codes stand in packed words (`pocketrec.native.packed_codes`).

    Attributes:
        weights: length of the array in which all codewords lie.
        block: weights per block, 1 or more.
        codewords: address of the first codeword of block 0; all of block 0, of block 1 and so on follow.
        ids: how many have codes; others read those of id 0. 0: all addresses are null.
        wide_ids: how many of them, the first, have codes of `bits` bits.
        bits: of their codes, 1 to 16; a block has 2^bits codewords.
        few_bits: of the codes of all other ids, 1 to `bits`: they choose among the first 2^few_bits codewords.
        first_word: of the table's codes.
    """

    weights: int
    block: int
    codewords: int
    ids: int
    wide_ids: int
    bits: int
    few_bits: int
    first_word: int

    def program(self, *, column: int, padding: int) -> list[int]:
        return program_row(
            15, column=column, padding=padding, start=0, size=self.weights, a=self.block, p=self.codewords, r=self.ids,
            n=self.wide_ids, t=self.bits, u=self.few_bits, offset=self.first_word,
        )  # fmt: skip
