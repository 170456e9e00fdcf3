"""Weights of their own, a code per block or one code in all, said by functions of an id's hash: no vocabulary.

Paper: codes are product quantisation, Jegou, Douze, Schmid, Product Quantization for Nearest Neighbor Search, IEEE
TPAMI 33(1), 2011; functions are ribbons, Dillinger, Walzer, Ribbon Filter: Practically Smaller Than Bloom and Xor,
2021, arXiv:2103.02515. Codes of fewer bits for rarer ids, and values that say how many more bits to read, are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.compress.addressing._program import program_row

__all__ = ["KeyedCodes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedCodes:
    """Ids of one table of several that share functions and weights (`pocketrec.native.keyed_codes`).

    Attributes:
        weights: length of the array in which everything lies.
        block: weights per block, 1 or more.
        seed: of the table's keys, another one for every table.
        unknown: address of the weights of ids without an entry.
        own: how many keys of all tables have their own weights.
        own_start: address of those; codewords of block 0, of block 1 and so on, then of whole vectors, follow.
        fine: how many keys have a code per block.
        coarse: how many have one for the whole vector.
        bits: of a code of a block, 1 to 16.
        whole_bits: of a symbol, 2 to 16.
        key_bits: of a key that are checked, 0 to 16.
        ranks: ids below it, but 0, may have an entry and no other ones do; None where keys are checked for that.
    """

    weights: int
    block: int
    seed: int
    unknown: int
    own: int
    own_start: int
    fine: int
    coarse: int
    bits: int
    whole_bits: int
    key_bits: int
    ranks: int | None = None

    def program(self, *, column: int, padding: int) -> list[int]:
        checked = self.key_bits if self.ranks is None else -self.ranks
        return program_row(
            11, column=column, padding=padding, start=0, size=self.weights, seed=self.seed, a=self.block, b=checked,
            n=self.own, p=self.unknown, q=self.own_start, r=self.fine, s=self.coarse, t=self.bits, u=self.whole_bits,
        )  # fmt: skip
