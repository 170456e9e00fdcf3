"""Groups that hold the same tables: what one has no address for, the next one is asked for.

Hot ids with rows of their own beside cold ids that share an array, or a table and a factor per id: each part is a group
like any other, with its own tensors, pairs, optimizer state and freezing, and only the bank knows that they belong
together. A part that is asked for the rest gets the same ids with those that were found replaced by padding, which
reads as zeros and takes no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from pocketrec.compress.jagged import values_of_bags

__all__ = ["LEFT_OUT", "left_over", "mean_factors", "padding_of_rest", "summed_bags"]

# The padding id of a column that has none. Negative ids are reserved, so it is the id of nothing; -1 says that there is
# no padding. The group that is asked first refuses it, as it refuses all negative ids.
LEFT_OUT: Final = -2


def padding_of_rest(padding: Sequence[int]) -> list[int]:
    """The padding id of each column of a group that is asked for the rest; columns that have one keep it."""
    return [LEFT_OUT if pad == -1 else pad for pad in padding]


def left_over(
    ids: Tensor, offsets: Tensor | None, addresses: Tensor, columns: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """The ids that a group has no address for; all others are padding.

    Args:
        ids: int64 [batch, columns of the bank], or [values] with offsets.
        offsets: of the group's columns, or None.
        addresses: int64 [values, parts], what the group found for its columns, row-major; [values of ids, parts] with
            offsets.
        columns: the group's columns of the ids.
        padding: for each of them, the padding id of the group that is asked next.

    Returns:
        int64, of the shape of `ids`; columns of other groups are as they were.
    """
    found = addresses[:, 0] >= 0
    pads = torch.tensor(padding, dtype=torch.int64)
    if offsets is None:
        if list(columns) == list(range(ids.shape[1])):
            return torch.where(found.view(ids.shape), pads, ids)
        own = torch.where(found.view(ids.shape[0], -1), pads, ids[:, columns])
        return ids.index_copy(1, torch.tensor(columns), own)
    if all(pad == LEFT_OUT for pad in padding):
        return torch.where(found, LEFT_OUT, ids)
    place, column, _ = values_of_bags(offsets, len(columns))
    pad = torch.full_like(ids, LEFT_OUT)
    pad[place] = pads[column]
    return torch.where(found, pad, ids)


def mean_factors(ids: Tensor, offsets: Tensor, padding: Sequence[int]) -> Tensor:
    """Factors with which a sum over a bag is its mean: float32 [values].

    Two groups that share a bag's values would each divide by their own number of them.

    Args:
        ids: int64 [values].
        offsets: of the group's columns.
        padding: padding id of each column or -1; such values are not counted.
    """
    place, column, bag = values_of_bags(offsets, len(padding))
    counted = ids[place] != torch.tensor(padding)[column]
    bags = (offsets.shape[0] - 1) if offsets.dim() == 1 else offsets.shape[0] * (offsets.shape[1] - 1)
    count = torch.bincount(bag[counted], minlength=bags).clamp(min=1)
    factors = torch.zeros(ids.shape[0])
    factors[place] = 1 / count[bag].float()
    return factors


def summed_bags(vectors: Tensor, offsets: Tensor, columns: int, weights: Tensor | None) -> Tensor:
    """The vectors of each bag in one: float32 [batch, columns, dim].

    Args:
        vectors: float32 [values, dim], zeros for padding.
        offsets: of so many columns, as a bank takes them.
        columns: how many.
        weights: float32 [values], factors of a sum, or None.
    """
    place, _, bag = values_of_bags(offsets, columns)
    own = vectors[place] if weights is None else vectors[place] * weights[place, None]
    bags = offsets.shape[0] - 1 if offsets.dim() == 1 else offsets.shape[0] * (offsets.shape[1] - 1)
    return own.new_zeros(bags, own.shape[1]).index_add(0, bag, own).view(columns, -1, own.shape[1]).transpose(0, 1)
