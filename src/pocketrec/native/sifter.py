"""ColdSifter: keys that come once are kept from a sketch; op ``pocketrec::sift``.

A sifter is int32 [sets, ways, 2], 8 bytes a way; all zeros is an empty one. The two words of a way: the tag of its key
(0: free) and its score (float32 bits). A key, ``mix(id, seed)``, stands in set ``bucket(key, sets)`` only, the one that
came latest first. A key with the score s > 0 goes to the first place of its set, those before it move up by one:

1. It stands there with a score of `least` or more: it keeps that, and s is forwarded.
2. It stands there with less, or it does not (then with 0, and where all ways are taken the last key, which was longest
   not seen, is dropped): its score grows by s. Once it is `least` or more, the whole score is forwarded, and `least` is
   what stays.

From CAFE+ (the journal form of CAFE, Zhang et al., SIGMOD 2024, arXiv:2312.03256). Keys of one call that are equal
count once, with the sum of their scores (`pocketrec.native.distinct_keys`), in the order of their first appearance;
those with a sum of 0 are passed over. Scores end at the largest float32.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.distinct_keys import MOST_SCORE, check_keys, check_words, distinct_keys, turns
from pocketrec.native.library import define
from pocketrec.native.mix import bucket, tag
from pocketrec.native.packing import require_cpu

__all__ = ["Sifted", "empty_sifter", "sift"]


class Sifted(NamedTuple):
    """What is forwarded, in the order of first appearance.

    Attributes:
        values: int64 [forwarded], where each key stands first in the call.
        scores: float32 [forwarded], above 0.
    """

    values: Tensor
    scores: Tensor


def empty_sifter(sets: int, ways: int) -> Tensor:
    """A sifter int32 [sets, ways, 2] with no keys. `ways`: 1 to 32."""
    sifter = torch.zeros((sets, ways, 2), dtype=torch.int32)
    _check_sifter(sifter)
    return sifter


def _check_sifter(sifter: Tensor) -> None:
    check_words(sifter, "sifter", ("sets", "ways"), 2)


def _reference(sifter: Tensor, keys: Tensor, scores: Tensor, least: float) -> Sifted:
    distinct, sums, values = distinct_keys(keys, scores)
    told = (sums > 0).nonzero().squeeze(1)
    forwarded = torch.zeros_like(sums)
    sets = bucket(distinct[told], sifter.shape[0])
    for turn in turns(sets):
        chosen = told[turn]
        forwarded[chosen] = _tell(sifter, sets[turn], tag(distinct[chosen]), sums[chosen], least)
    kept = (forwarded > 0).nonzero().squeeze(1)
    return Sifted(values[kept], forwarded[kept])


def _tell(sifter: Tensor, sets: Tensor, tags: Tensor, scores: Tensor, least: float) -> Tensor:
    """Tell some distinct sets of one key each; what is forwarded of each, float32 [keys]."""
    words, ways = sifter.index_select(0, sets), torch.arange(sifter.shape[1], device=sifter.device)
    same = words[..., 0] == tags[:, None]
    known = same.any(dim=1)
    at = torch.where(known, same.int().argmax(dim=1), sifter.shape[1] - 1)
    before = torch.where(known, words[torch.arange(len(sets), device=sets.device), at, 1], 0).view(torch.float32)
    sums = (before + scores).clamp(max=MOST_SCORE)
    passes = sums >= least
    latest = torch.stack((tags.int(), torch.where(passes, least, sums).view(torch.int32)), dim=1)
    moved = torch.where((ways <= at[:, None])[..., None], words.roll(1, dims=1), words)
    moved[:, 0] = latest
    sifter[sets] = moved
    return torch.where(known & (before >= least), scores, torch.where(passes, sums, 0))


def _sift(sifter: Tensor, keys: Tensor, scores: Tensor, least: float) -> Sifted:
    _check(sifter, keys, scores, least)
    if not sifter.is_contiguous():
        raise ValueError(f"sifter must be contiguous, got strides {list(sifter.stride())}.")
    kernels = kernels_for(sifter)
    if kernels is None:
        return _reference(sifter, keys, scores, least)
    keys, scores = keys.contiguous(), scores.contiguous()
    require_cpu((keys, scores))
    values, forwarded = torch.empty_like(keys), torch.empty_like(scores)
    kept = kernels.sift(
        sifter.data_ptr(), sifter.shape[0], sifter.shape[1], keys.data_ptr(), scores.data_ptr(), keys.shape[0], least,
        values.data_ptr(), forwarded.data_ptr(),
    )  # fmt: skip
    return Sifted(values[:kept], forwarded[:kept])


def _check(sifter: Tensor, keys: Tensor, scores: Tensor, least: float) -> None:
    _check_sifter(sifter)
    check_keys(keys, scores)
    if not 0 <= least <= MOST_SCORE:
        raise ValueError(f"least must be finite and not negative, got {least}.")


def _fake(sifter: Tensor, keys: Tensor, scores: Tensor, least: float) -> Sifted:
    _check(sifter, keys, scores, least)
    kept = torch.library.get_ctx().new_dynamic_size()
    return Sifted(keys.new_empty((kept,)), scores.new_empty((kept,)))


_OP: Final = define(
    "sift", "(Tensor(a!) sifter, Tensor keys, Tensor scores, float least) -> (Tensor, Tensor)", _sift, _fake
)


def sift(sifter: Tensor, keys: Tensor, scores: Tensor, *, least: float) -> Sifted:
    """Add scores to keys, in place, and forward those that have enough.

    Args:
        sifter: int32 [sets, ways, 2], contiguous.
        keys: int64 [keys], ``mix(id, seed)``; equal ones count once, with the sum of their scores.
        scores: float32 [keys], finite and not negative.
        least: the score from which on a key is forwarded, 0 or more; it counts as a float32.

    Raises:
        TypeError, ValueError: what does not fit, with numbers; the sifter is as it was.

    >>> sifter = empty_sifter(sets=1, ways=2)
    >>> for score in (2.0, 2.0, 1.0):
    ...     print(sift(sifter, torch.tensor([7]), torch.tensor([score]), least=3).scores.tolist())
    []
    [4.0]
    [1.0]
    """
    return Sifted(*_OP(sifter, keys, scores, float(least)))
