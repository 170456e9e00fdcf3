"""HotSketch: which keys matter most, in a fixed number of bytes; op ``pocketrec::sketch_insert``.

A sketch is int32 [buckets, slots, 3]: 12 bytes a slot. All zeros is an empty one. The three words of a slot:

* tag: `pocketrec.native.mix.tag` of its key, 32 bits that are never 0; 0 is a free slot. Two keys of one bucket are
  taken for one with a chance of 2**-32.
* score: float32 bits. The sign is set where the key is medium: it owns no row, and shares one of a second table with
  others (two hash levels). Else it means nothing, and newcomers are not medium.
* place: from 0, the row that the key owns (it is hot); below, the key owns none, and the word is the bits of its error
  (float32, not negative) with the sign bit set. A slot either owns a row or remembers its error, never both.

A key is ``mix(id, seed)`` with a seed per table and stands in bucket ``bucket(key, buckets)`` only. With the score s of
a key, s > 0:

1. The key stands there: its score grows by s.
2. Else there is a free slot: the first one becomes (tag, s), error 0.
3. Else the slot with the least score m (the first of equals) becomes (tag, m + s), error m. Slots that own a row are
   only taken so where hot ones may be evicted; where there is no slot to take, the key is left out.

This is SpaceSaving (Metwally, Agrawal, El Abbadi, ICDT 2005) per bucket, as in CAFE (Zhang et al., SIGMOD 2024,
arXiv:2312.03256, section 3.2). A score is never below the true sum of the key, and less its error never above it. Keys
of one call that are equal count once, with the sum of their scores (in float64, in their order, rounded once); distinct
keys are inserted in the order of their first appearance. A key whose sum is 0 is only looked up. Scores end at the
largest float32.
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

__all__ = [
    "NO_ERROR",
    "Inserted",
    "check_sketch",
    "empty_sketch",
    "guaranteed_scores",
    "is_hot",
    "is_medium",
    "set_medium",
    "sketch_decay",
    "sketch_errors",
    "sketch_find",
    "sketch_insert",
    "sketch_place",
    "sketch_scores",
]

NO_ERROR: Final = -(2**31)
"""The place of a key that owns no row and whose score is exact."""

_BITS: Final = 2**31 - 1  # of a float32 without its sign


class Inserted(NamedTuple):
    """What became of the distinct keys of one insertion, in the order of their first appearance.

    Attributes:
        values: int64 [distinct], where each stands first in the call.
        slots: int64 [distinct], the slot in which it stands now, counted over all buckets; -1 where it was left out, or
            lost its slot to a later key of the same call.
        hits: bool [distinct], whether it stood in the sketch before.
        released: int32 [distinct], the row that it took from the slot's owner, which owns it no more; -1 for none.
    """

    values: Tensor
    slots: Tensor
    hits: Tensor
    released: Tensor


def empty_sketch(buckets: int, slots: int) -> Tensor:
    """A sketch int32 [buckets, slots, 3] with no keys. `slots`: 1 to 32; the published setting is 4."""
    sketch = torch.zeros((buckets, slots, 3), dtype=torch.int32)
    check_sketch(sketch)
    return sketch


def check_sketch(sketch: Tensor) -> None:
    """Refuse what is no sketch.

    Raises:
        TypeError, ValueError: another dtype, or another shape.
    """
    check_words(sketch, "sketch", ("buckets", "slots"), 3)


def sketch_place(sketch: Tensor) -> tuple[int, int, int]:
    """Where a checked sketch lies, its buckets and the slots of each, as the kernels take them.

    Raises:
        ValueError: it is not contiguous.
    """
    if not sketch.is_contiguous():
        raise ValueError(f"sketch must be contiguous, got strides {list(sketch.stride())}.")
    return sketch.data_ptr(), sketch.shape[0], sketch.shape[1]


def sketch_scores(sketch: Tensor) -> Tensor:
    """The scores, float32 [buckets, slots]; 0 for free slots."""
    return sketch[..., 1].view(torch.float32).abs()


def is_hot(sketch: Tensor) -> Tensor:
    """Which slots own a row: bool [buckets, slots]."""
    return (sketch[..., 0] != 0) & (sketch[..., 2] >= 0)


def is_medium(sketch: Tensor) -> Tensor:
    """Which slots hold keys that share a row of a second table: bool [buckets, slots]."""
    return (sketch[..., 1] < 0) & (sketch[..., 2] < 0)


def set_medium(sketch: Tensor, slots: Tensor) -> None:
    """Let the keys of these slots int64, which own no row, be medium, and no others; in place."""
    scores = sketch.view(-1, 3)[:, 1]
    scores &= _BITS
    scores[slots] |= NO_ERROR


def sketch_errors(sketch: Tensor) -> Tensor:
    """By how much a score may be too large, float32 [buckets, slots]; 0 for slots that own a row, which do not know."""
    place = sketch[..., 2]
    return torch.where(place < 0, place & _BITS, 0).view(torch.float32)


def guaranteed_scores(sketch: Tensor) -> Tensor:
    """What a key surely had, float32 [buckets, slots]: score less error."""
    return sketch_scores(sketch) - sketch_errors(sketch)


def sketch_find(sketch: Tensor, keys: Tensor) -> Tensor:
    """Slots of keys int64 [keys], counted over all buckets: int64 [keys], -1 where a key is not there."""
    slots = sketch.shape[1]
    buckets = bucket(keys, sketch.shape[0])
    same = sketch[..., 0].index_select(0, buckets) == tag(keys)[:, None]
    return torch.where(same.any(dim=1), buckets * slots + same.int().argmax(dim=1), -1)


def sketch_decay(sketch: Tensor, factor: float) -> None:
    """Multiply all scores and errors by a factor, in place. Reads and writes the whole sketch.

    Args:
        sketch: int32 [buckets, slots, 3].
        factor: 0 or more, finite.

    Raises:
        ValueError: `factor` is something else, or the sketch is none.
    """
    if not 0 <= factor < float("inf"):
        raise ValueError(f"factor must be finite and not negative, got {factor}.")
    check_sketch(sketch)
    kernels = kernels_for(sketch)
    if kernels is not None:
        kernels.sketch_decay(*sketch_place(sketch), factor)
        return
    place = sketch[..., 2]
    errors = (sketch_errors(sketch) * factor).clamp(max=MOST_SCORE)
    place.copy_(torch.where(place < 0, errors.view(torch.int32) | NO_ERROR, place))
    sketch[..., 1].view(torch.float32).mul_(factor).clamp_(-MOST_SCORE, MOST_SCORE)


def _check(sketch: Tensor, keys: Tensor, scores: Tensor) -> None:
    check_sketch(sketch)
    check_keys(keys, scores)


def _reference(sketch: Tensor, keys: Tensor, scores: Tensor, evict_hot: bool) -> Inserted:
    distinct, sums, values = distinct_keys(keys, scores)
    slots, hits = torch.full_like(distinct, -1), torch.zeros_like(distinct, dtype=torch.bool)
    released = torch.full_like(distinct, -1, dtype=torch.int32)
    buckets, tags = bucket(distinct, sketch.shape[0]), tag(distinct)
    for turn in turns(buckets):
        slots[turn], hits[turn], released[turn] = _insert(sketch, buckets[turn], tags[turn], sums[turn], evict_hot)
    kept = sketch.view(-1, 3)[slots.clamp(min=0), 0] == tags
    return Inserted(values, torch.where(kept, slots, -1), hits, released)


def _insert(
    sketch: Tensor, buckets: Tensor, tags: Tensor, scores: Tensor, evict_hot: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Insert one key into each of some distinct buckets: slots int64, hits bool, released int32 [keys]."""
    bucket_words = sketch.index_select(0, buckets)
    same, free = bucket_words[..., 0] == tags[:, None], bucket_words[..., 0] == 0
    open_ = (bucket_words[..., 2] < 0) | evict_hot
    old = sketch_scores(bucket_words)
    hits, has_free = same.any(dim=1), free.any(dim=1)
    least = torch.where(open_, old, torch.inf).argmin(dim=1)
    within = torch.where(hits, same.int().argmax(dim=1), torch.where(has_free, free.int().argmax(dim=1), least))
    stays = hits | ((scores > 0) & (has_free | open_.any(dim=1)))
    words = bucket_words[torch.arange(within.shape[0], device=within.device), within]
    takes = ~hits & ~has_free
    before = torch.where(hits | takes, sketch_scores(words), 0)
    place = torch.where(takes, before.view(torch.int32) | NO_ERROR, torch.where(hits, words[:, 2], NO_ERROR))
    after = (before + scores).clamp(max=MOST_SCORE)
    after = torch.where(hits & (words[:, 1] < 0), -after, after).view(torch.int32)
    slots = torch.where(stays, buckets * sketch.shape[1] + within, -1)
    sketch.view(-1, 3)[slots[stays]] = torch.stack((tags.int(), after, place), dim=1)[stays]
    return slots, hits, torch.where(stays & takes & (words[:, 2] >= 0), words[:, 2], -1)


def _sketch_insert(sketch: Tensor, keys: Tensor, scores: Tensor, evict_hot: bool) -> Inserted:
    _check(sketch, keys, scores)
    place = sketch_place(sketch)
    kernels = kernels_for(sketch)
    if kernels is None:
        return _reference(sketch, keys, scores, evict_hot)
    keys, scores = keys.contiguous(), scores.contiguous()
    require_cpu((keys, scores))
    out = _room(keys, keys.shape[0])
    distinct = kernels.sketch_insert(
        *place, keys.data_ptr(), scores.data_ptr(), keys.shape[0], evict_hot, *(t.data_ptr() for t in out)
    )  # fmt: skip
    return Inserted(*(t[:distinct] for t in out))


def _room(keys: Tensor, count: int | torch.SymInt) -> Inserted:
    """Tensors for so many distinct keys."""
    return Inserted(
        keys.new_empty(count), keys.new_empty(count), keys.new_empty(count, dtype=torch.bool),
        keys.new_empty(count, dtype=torch.int32),
    )  # fmt: skip


def _fake(sketch: Tensor, keys: Tensor, scores: Tensor, evict_hot: bool) -> Inserted:
    _check(sketch, keys, scores)
    return _room(keys, torch.library.get_ctx().new_dynamic_size())


_OP: Final = define(
    "sketch_insert",
    "(Tensor(a!) sketch, Tensor keys, Tensor scores, bool evict_hot) -> (Tensor, Tensor, Tensor, Tensor)",
    _sketch_insert,
    _fake,
)


def sketch_insert(sketch: Tensor, keys: Tensor, scores: Tensor, *, evict_hot: bool) -> Inserted:
    """Add scores to keys, in place. Each distinct key costs one bucket.

    Args:
        sketch: int32 [buckets, slots, 3], contiguous.
        keys: int64 [keys], ``mix(id, seed)``; equal ones count once, with the sum of their scores.
        scores: float32 [keys], finite and not negative.
        evict_hot: whether a newcomer may take the slot of a key that owns a row, as published; its row is then
            `released`.

    Raises:
        TypeError, ValueError: what does not fit, with numbers; the sketch is as it was.

    >>> sketch = empty_sketch(buckets=1, slots=2)
    >>> found = sketch_insert(sketch, torch.tensor([7, 8, 7, 9]), torch.tensor([1.0, 2, 3, 1]), evict_hot=False)
    >>> sketch_scores(sketch).tolist(), sketch_errors(sketch).tolist()
    ([[4.0, 3.0]], [[0.0, 2.0]])
    >>> found.values.tolist(), found.slots.tolist(), found.hits.tolist()
    ([0, 1, 3], [0, -1, 1], [False, False, False])
    """
    return Inserted(*_OP(sketch, keys, scores, evict_hot))
