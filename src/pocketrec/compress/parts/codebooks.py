"""Codes that learn: an id's row chooses a codeword for each block of its vector, and serving keeps the choice.

What the methods share whose vectors are codewords of rows that only training has: which settings there are and what
they take, which codewords rows choose, and how gradients come past that choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pocketrec.compress.parts.shared_array import array_bytes

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.computed import Asked

__all__ = ["Coding", "bits_of", "blocks_of", "chosen_words", "codings", "past_the_choice", "pull"]

_WORD_BITS: Final = 32
_WORD_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Coding:
    """How the vectors of a table are cut and coded.

    Attributes:
        blocks: that a vector has, each with a codebook of its own.
        block: numbers per block; the last one may hang over the vector's end.
        bits: of the codes of frequent ids: a codebook has 2^bits codewords.
        few_bits: of the codes of all others, which choose among the first 2^few_bits of them.
    """

    blocks: int
    block: int
    bits: int
    few_bits: int

    @property
    def codewords(self) -> int:
        """Codewords per block."""
        return 1 << self.bits

    @property
    def width(self) -> int:
        """Numbers of all blocks together."""
        return self.blocks * self.block

    @property
    def weights(self) -> int:
        """Numbers of the codebooks of one table."""
        return self.codewords * self.width

    def words(self, rows: int, frequent: int) -> int:
        """int32 words of the codes of a table's rows, of which the first `frequent` have long ones.

        >>> Coding(4, 4, 8, 6).words(100, 10)
        78
        """
        return -(-self.blocks * (frequent * self.bits + (rows - frequent) * self.few_bits) // _WORD_BITS)

    def nbytes(self, storage: str, rows: int, frequent: int) -> int:
        """Bytes of a table's codes and codebooks, were it alone."""
        return array_bytes(storage, self.weights) + _WORD_BYTES * self.words(rows, frequent)


def bits_of(codewords: int) -> int:
    """How many bits say which of so many codewords it is.

    >>> bits_of(256), bits_of(2), bits_of(100)
    (8, 1, 7)
    """
    return (codewords - 1).bit_length()


def blocks_of(dim: int, blocks: int) -> tuple[int, int]:
    """How many blocks there are, at most `blocks`, and numbers per block.

    >>> blocks_of(16, 4), blocks_of(6, 4), blocks_of(4, 8)
    ((4, 4), (3, 2), (4, 1))
    """
    block = -(-dim // min(blocks, dim))
    return -(-dim // block), block


def codings(dim: int, blocks: int, bits: int, few_bits: int) -> list[Coding]:
    """All ways to spend fewer bits than wanted, and that one; the one that says most of an id first.

    Blocks become half as many, or all codes a bit shorter, down to one. Of those with the same number of bits per rare
    id the one with fewer blocks comes first: more codewords that are longer say more in as many bits.

    Args:
        dim: of the vectors.
        blocks: at most.
        bits, few_bits: of codes, at most.
    """
    found = set()
    while blocks >= 1:
        count, block = blocks_of(dim, blocks)
        found |= {Coding(count, block, bits - s, max(1, few_bits - s)) for s in range(bits)}
        blocks //= 2
    return sorted(found, key=lambda c: (-c.blocks * c.few_bits, c.blocks, -c.bits))


def chosen_words(words: Tensor, numbers: Tensor, codes: Tensor) -> Tensor:
    """The chosen codewords one behind the other: float32 [n, blocks x block], differentiable in the codewords.

    Args:
        words: float32 [codebooks, blocks, codewords, block].
        numbers: int64 [n], which codebooks each row has.
        codes: int64 [n, blocks].
    """
    import torch

    _, blocks, count, block = words.shape
    places = (numbers[:, None] * blocks + torch.arange(blocks)) * count + codes
    return words.reshape(-1, block).index_select(0, places.reshape(-1)).view(codes.shape[0], blocks * block)


def past_the_choice(vectors: Tensor, soft: Tensor) -> Tensor:
    """The vectors to the bit, whose gradient goes to them and to `soft`, too, as it is: straight through.

    Args:
        vectors: float32 [n, width]; detached, the gradient goes to `soft` alone.
        soft: float32 [n, width], finite.
    """
    return vectors + (soft - soft.detach())


def pull(words: Tensor, queries: Tensor, asked: Asked, tables: int) -> Tensor:
    """How far the chosen codewords are from the rows, which do not feel it: a scalar, the sum over tables of the mean.

    Mean over the values of a table in the call, and over the numbers of a vector, of (codeword - row)^2.

    Args:
        words: float32 [n, width], chosen.
        queries: float32 [n, width].
        asked: what the rows are asked for.
        tables: how many there are.
    """
    import torch

    counts = torch.ones_like(asked.ids) if asked.counts is None else asked.counts
    values = torch.zeros(tables).index_add(0, asked.tables, counts.to(torch.float32)).clamp(min=1)
    shares = counts / values.index_select(0, asked.tables)
    return ((words - queries.detach()).square().mean(dim=1) * shares).sum()
