"""Who of the keys of a sketch owns a row: the score of one that is so many from above, who is too cold, who is due.

Thresholds are compared as float32, which scores are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.sketch import (
    NO_ERROR,
    check_sketch,
    guaranteed_scores,
    is_hot,
    sketch_place,
    sketch_scores,
)

__all__ = ["demote_below", "due", "score_number"]


def score_number(sketch: Tensor, number: int, *, guaranteed: bool) -> float:
    """The score number `number` from above, from 1, of all slots; 0.0 where there are fewer. Reads the whole sketch.

    Args:
        sketch: int32 [buckets, slots, 3], contiguous.
        number: 1 or more.
        guaranteed: whether scores are judged less their errors.

    Raises:
        ValueError: `number` is below 1, or the sketch is none.

    >>> from pocketrec.native.sketch import empty_sketch, sketch_insert
    >>> sketch = empty_sketch(buckets=1, slots=4)
    >>> _ = sketch_insert(sketch, torch.tensor([7, 8, 9]), torch.tensor([1.0, 2, 3]), evict_hot=False)
    >>> score_number(sketch, 2, guaranteed=True), score_number(sketch, 5, guaranteed=True)
    (2.0, 0.0)
    """
    check_sketch(sketch)
    if number < 1:
        raise ValueError(f"scores are counted from 1, got {number}.")
    kernels = kernels_for(sketch)
    if kernels is not None:
        return float(kernels.sketch_score(*sketch_place(sketch), number, guaranteed))
    scores = _judged(sketch, guaranteed).reshape(-1)
    return 0.0 if number > len(scores) else float(scores.topk(number).values[-1])


def demote_below(sketch: Tensor, least: float) -> Tensor:
    """Take the rows of the keys that have less than a score, in place. Reads the whole sketch.

    The keys stay, and their scores count as exact: what was known of their errors was lost when they got their rows.

    Args:
        sketch: int32 [buckets, slots, 3], contiguous.
        least: score, compared as float32; those with a row have their whole score here, without errors.

    Returns:
        int32 [demoted], their rows in the order of their slots.
    """
    check_sketch(sketch)
    kernels = kernels_for(sketch)
    if kernels is not None:
        rows = sketch.new_empty(sketch.shape[0] * sketch.shape[1])
        return rows[: kernels.sketch_demote(*sketch_place(sketch), least, rows.data_ptr())]
    cold = is_hot(sketch) & (sketch_scores(sketch) < least)
    places = sketch[..., 2]
    rows = places[cold]
    places[cold] = NO_ERROR
    return rows


def due(sketch: Tensor, slots: Tensor, hits: Tensor | None, *, least: float, most: int, guaranteed: bool) -> Tensor:
    """Which keys are to own a row: those that own none and have a score above 0, of at least `least`.

    Args:
        sketch: int32 [buckets, slots, 3], contiguous.
        slots: int64 [keys], the slot of each, counted over all buckets; -1 where it has none.
        hits: bool [keys], which of them count at all; None for all.
        least: score.
        most: so many are chosen at most, the first of them.
        guaranteed: whether scores are judged less their errors.

    Returns:
        int64 [chosen], places among the keys, rising, one for each slot: keys of one tag share one, which
        the first has.

    Raises:
        ValueError: `slots` or `hits` have another dtype or length, or a slot lies beyond the sketch.
    """
    check_sketch(sketch)
    if slots.dtype is not torch.int64 or slots.dim() != 1:
        raise ValueError(f"slots must be int64 [keys], got {slots.dtype} {list(slots.shape)}.")
    if hits is not None and (hits.dtype is not torch.bool or hits.shape != slots.shape):
        raise ValueError(f"hits must be bool [{len(slots)}], got {hits.dtype} {list(hits.shape)}.")
    kernels = kernels_for(sketch)
    if kernels is not None:
        slots, hits = slots.contiguous(), None if hits is None else hits.contiguous()
        values = torch.empty_like(slots)
        count = kernels.sketch_due(
            *sketch_place(sketch), slots.data_ptr(), 0 if hits is None else hits.data_ptr(), len(slots), guaranteed,
            least, most, values.data_ptr(),
        )  # fmt: skip
        return values[:count]
    words = sketch.view(-1, 3)[slots.clamp(min=0)]
    scores = _judged(words, guaranteed)
    good = (slots >= 0) & (words[:, 2] < 0) & (scores > 0) & (scores >= least)
    keys = (good if hits is None else good & hits).nonzero().squeeze(1)
    distinct, place = torch.unique(slots[keys], return_inverse=True)
    first = keys.new_full((distinct.shape[0],), slots.shape[0]).scatter_reduce_(0, place, keys, "amin")
    return first.sort().values[:most]


def _judged(words: Tensor, guaranteed: bool) -> Tensor:
    return guaranteed_scores(words) if guaranteed else sketch_scores(words)
