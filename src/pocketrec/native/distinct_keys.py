"""Distinct keys of a call and the sums of their scores (reference): what sketch and sifter are told one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import torch
from torch import Tensor

from pocketrec.native.program import MOST_SLOTS
from pocketrec.native.request import check_value

__all__ = ["MOST_SCORE", "DistinctKeys", "check_keys", "check_words", "distinct_keys", "turns"]

MOST_SCORE: Final = torch.finfo(torch.float32).max
"""Where sums of scores end."""


class DistinctKeys(NamedTuple):
    """Distinct keys in the order of their first appearance.

    Attributes:
        keys: int64 [distinct].
        scores: float32 [distinct], sums in float64, in the order of the values, rounded once.
        values: int64 [distinct], where each stands first in the call.
    """

    keys: Tensor
    scores: Tensor
    values: Tensor


def check_words(tensor: Tensor, name: str, axes: tuple[str, str], words: int) -> None:
    """Refuse what is no sketch or sifter: int32 of these two axes and so many words in each place.

    Raises:
        TypeError, ValueError: another dtype, or another shape.
    """
    if tensor.dtype is not torch.int32 or tensor.dim() != 3:
        wanted = f"[{axes[0]}, {axes[1]}, {words}]"
        raise TypeError(f"{name} must be int32 {wanted}, got {tensor.dtype} {list(tensor.shape)}.")
    check_value(
        tensor.shape[0] >= 1 and 1 <= tensor.shape[1] <= MOST_SLOTS and tensor.shape[2] == words,
        lambda: f"{name} must be [1 or more, 1 to {MOST_SLOTS}, {words}], got {list(tensor.shape)}.",
    )


def check_keys(keys: Tensor, scores: Tensor) -> None:
    """Refuse what are no keys with scores.

    Raises:
        TypeError, ValueError: other dtypes or shapes, or not as many.
    """
    if keys.dtype is not torch.int64 or keys.dim() != 1 or scores.dtype is not torch.float32 or scores.dim() != 1:
        raise TypeError(
            f"keys must be int64 [keys] and scores float32 [keys], got {keys.dtype} {list(keys.shape)} and "
            f"{scores.dtype} {list(scores.shape)}."
        )
    check_value(
        keys.shape[0] == scores.shape[0],
        lambda: f"{keys.shape[0]} keys need as many scores, got {scores.shape[0]}.",
    )


def distinct_keys(keys: Tensor, scores: Tensor) -> DistinctKeys:
    """Equal keys int64 [keys] in one, with the sum of their scores float32 [keys].

    Raises:
        ValueError: a score is negative or not finite.
    """
    bad = ~((scores >= 0) & (scores <= MOST_SCORE))
    if bool(bad.any()):
        number = int(bad.nonzero()[0])
        raise ValueError(f"scores must be finite and not negative; score {number} is {float(scores[number]):g}.")
    distinct, place = torch.unique(keys, return_inverse=True)
    count = distinct.shape[0]
    sums = torch.zeros(count, dtype=torch.float64, device=keys.device).index_add_(0, place, scores.double())
    first = place.new_full((count,), keys.shape[0])
    first.scatter_reduce_(0, place, torch.arange(keys.shape[0], device=keys.device), "amin")
    order = first.argsort()
    return DistinctKeys(distinct[order], sums[order].clamp(max=MOST_SCORE).float(), first[order])


def turns(homes: Tensor) -> Iterator[Tensor]:
    """Places int64 of what is put into `homes` int64 [n], in rounds: the first of every home, then the second ones.

    Homes know nothing of one another, so that all of a round can be done at once.
    """
    order = homes.argsort(stable=True)
    ranked = homes[order]
    turn = torch.arange(homes.shape[0], device=homes.device) - torch.searchsorted(ranked, ranked)
    for number in range(int(turn.max()) + 1 if homes.shape[0] else 0):
        yield order[turn == number]
