"""The frozen form of a sketch: only the tags of hot keys, 4 bytes each and 4 bytes per bucket.

Kind TAGGED of `pocketrec.native.addresses` reads it. With a bucket for two rows that is 6 bytes per row, where the
sketch takes 12 per slot. Scores and places are gone: rows are put in the order of their tags.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pocketrec.native.program import MOST_SLOTS
from pocketrec.native.sketch import check_sketch, is_hot

__all__ = ["tagged_entries", "tagged_maps"]


def tagged_entries(buckets: int, rows: int) -> int:
    """How many int32 numbers `tagged_maps` gives."""
    return buckets + 1 + rows


# bucket(key, buckets) = floor(h buckets / 2^63) with h below 2^63. Where w = r buckets, floor(floor(h w / 2^63) / r) =
# floor(h buckets / 2^63): the wider bucket is known without the key, which the sketch does not hold.
def tagged_maps(sketch: Tensor, *, buckets: int, rows: int, chosen: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Offsets and tags of the hot keys of a sketch, and the order in which their rows must stand.

    Args:
        sketch: int32 [w, slots, 3].
        buckets: of the frozen form; w must be a multiple of it. About a bucket for two rows is the smallest that is
            still quick: ``w = r * ceil(rows / 2)`` allows it.
        rows: how many tags there are; those that no key needs are 0, which is no tag.
        chosen: bool [w, slots], other keys than the hot ones, whose places then mean nothing.

    Returns:
        int32 [buckets + 1 + rows], the offsets and then the tags; and int64 [hot keys]: row i of the frozen table is
        row ``order[i]`` of the trained one. Where two hot keys of a bucket have one tag (a chance of about 2**-32 per
        row), the one with the higher score is found for both.

    Raises:
        ValueError: w is no multiple, there are more hot keys than rows, or a bucket would have more than 32 tags.
    """
    check_sketch(sketch)
    wide, slots = sketch.shape[0], sketch.shape[1]
    if buckets < 1 or wide % buckets:
        raise ValueError(f"{wide} buckets of a sketch must be a multiple of the frozen ones, got {buckets}.")
    hot = (is_hot(sketch) if chosen is None else chosen).view(-1).nonzero().squeeze(1)
    if hot.shape[0] > rows:
        raise ValueError(f"{hot.shape[0]} hot keys do not fit {rows} rows.")
    words = sketch.reshape(-1, 3).index_select(0, hot)
    by_score = words[:, 1].view(torch.float32).abs().argsort(descending=True, stable=True)
    home = hot // slots // (wide // buckets)
    order = by_score[home[by_score].argsort(stable=True)]
    counts = torch.bincount(home, minlength=buckets)
    if int(counts.max()) > MOST_SLOTS:
        raise ValueError(f"a bucket would have {int(counts.max())} tags, the most is {MOST_SLOTS}: take more buckets.")
    maps = sketch.new_zeros(tagged_entries(buckets, rows))
    maps[1 : buckets + 1] = counts.cumsum(0)
    maps[buckets + 1 : buckets + 1 + hot.shape[0]] = words[order, 0]
    return maps, words[order, 2].long()
