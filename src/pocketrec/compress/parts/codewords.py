"""Codewords: a few vectors that stand for many, by weighted k-means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pocketrec.compress.parts.init import generator

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["codewords"]

_ROUNDS: Final = 15
_LEARNERS: Final = 256  # vectors per codeword that codewords are learned from; all vectors get a code
_AT_ONCE: Final = 1 << 22  # distances that stand in memory together


def codewords(vectors: Tensor, weights: Tensor, count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Codewords of vectors, and which of them stands for each: Lloyd's rounds from k-means++.

    The weighted sum of squared distances falls from round to round. Where there are more than 256 vectors per codeword,
    those of the largest weights alone are learned from.

    Args:
        vectors: float32 [n, width], n above 0.
        weights: float32 [n], above 0.
        count: of codewords. If there are no more vectors than that, each is its own, and the rest are zeros.
        seed: of what is begun with.

    Returns:
        float32 [count, width] and int64 [n].
    """
    import torch  # here, not above: sizing answers without it

    found = torch.zeros(count, vectors.shape[1])
    if len(vectors) <= count:
        found[: len(vectors)] = vectors
        return found, torch.arange(len(vectors))
    learners, shares = vectors, weights
    if len(vectors) > _LEARNERS * count:
        heaviest = weights.topk(_LEARNERS * count).indices
        learners, shares = vectors[heaviest], weights[heaviest]
    found = _spread(learners, shares, count, seed)
    for _ in range(_ROUNDS):
        nearest, distances = _nearest(learners, found)
        mass = torch.zeros(count).index_add_(0, nearest, shares)
        sums = torch.zeros_like(found).index_add_(0, nearest, learners * shares[:, None])
        used = mass > 0
        found[used] = sums[used] / mass[used, None]
        # one that stands for nothing takes the place of the vector that is worst off
        idle = (~used).nonzero()[:, 0]
        found[idle] = learners[(distances * shares).topk(len(idle)).indices]
    return found, _nearest(vectors, found)[0]


def _spread(vectors: Tensor, weights: Tensor, count: int, seed: int) -> Tensor:
    """`count` of the vectors to begin with, far from one another: float32 [count, width].

    Each is drawn by its weight times its squared distance from the nearest one before (k-means++: Arthur and
    Vassilvitskii, SODA 2007).
    """
    import torch

    draw = generator(seed)
    found, lengths = [], vectors.square().sum(1)
    distances = torch.ones(len(vectors))
    for _ in range(count):
        shares = weights * distances
        if not bool(shares.max() > 0):  # all vectors have been taken, or equal one that was
            shares = weights
        # the least of exponential times is a draw by weight
        times = torch.empty(len(vectors)).exponential_(generator=draw) / shares
        chosen = vectors[times.argmin()]
        found.append(chosen)
        to_it = (lengths - 2 * vectors @ chosen + chosen.square().sum()).clamp(min=0)
        distances = to_it if len(found) == 1 else torch.minimum(distances, to_it)
    return torch.stack(found)


def _nearest(vectors: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest codeword of each vector, and how far it is, squared: int64 and float32 [n]."""
    import torch

    lengths = words.square().sum(1)
    rows = max(1, _AT_ONCE // len(words))
    parts = [(lengths - 2 * piece @ words.T).min(dim=1) for piece in torch.split(vectors, rows)]
    found = torch.cat([part.indices for part in parts])
    return found, (torch.cat([part.values for part in parts]) + vectors.square().sum(1)).clamp(min=0)
