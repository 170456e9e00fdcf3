"""The values of one call, one after the other: which id, of which field, in which bag (reference)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pocketrec.native.program import Column
from pocketrec.native.request import bag_shape
from pocketrec.spec.errors import IdError

__all__ = ["Values", "values_of"]


class Values(NamedTuple):
    """All ids of a call that stand in a bag, in value order. All tensors are int64 [n] but `padding`, bool [n].

    Attributes:
        ids: the ids.
        fields: the program row of each.
        bags: where the bag of each stands in an output [batch * fields, dim].
        positions: where each stands among the values of the call, that is in `weights` and in unpooled outputs.
        padding: true where the id is its field's padding id.
    """

    ids: Tensor
    fields: Tensor
    bags: Tensor
    positions: Tensor
    padding: Tensor


def values_of(ids: Tensor, offsets: Tensor | None, program: Tensor) -> Values:
    """Lay the values of a call in one row.

    Args:
        ids: int64 [batch, columns], or int64 [values] with offsets.
        offsets: as in `pocketrec.native.request.Request`.
        program: int64 [fields, 17].

    Raises:
        IdError: an id that is negative or beyond the limit of its field, and not its padding id; names both.
        ValueError: offsets that fall, or leave the range of the ids.
    """
    found = _grid(ids, program) if offsets is None else _jagged(ids, offsets, program)
    chosen, fields, bags, positions = found
    padding_ids = program[:, Column.PADDING].index_select(0, fields)
    padding = (chosen == padding_ids) & (padding_ids != -1)
    _refuse_outside(chosen, program[:, Column.LIMIT].index_select(0, fields), fields, positions, padding)
    return Values(chosen, fields, bags, positions, padding)


def _grid(ids: Tensor, program: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, fields = ids.shape[0], program.shape[0]
    columns = program[:, Column.COLUMN]
    outside = (columns < 0) | (columns >= ids.shape[1])
    if bool(outside.any()):
        field = int(outside.nonzero()[0])
        raise ValueError(f"program field {field} reads column {int(columns[field])}, ids have {ids.shape[1]}.")
    order = torch.arange(batch * fields, device=ids.device)
    return ids.index_select(1, columns).reshape(-1), order % fields, order, order


def _jagged(ids: Tensor, offsets: Tensor, program: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, fields = bag_shape(ids, offsets, program)
    starts, ends = offsets[..., :-1].reshape(-1), offsets[..., 1:].reshape(-1)
    lengths = ends - starts
    outside = (lengths < 0) | (starts < 0) | (ends > ids.shape[0])
    if bool(outside.any()):
        bag = int(outside.nonzero()[0])
        raise ValueError(
            f"offsets must not fall and lie in 0..{ids.shape[0]} (the number of ids); "
            f"bag {bag} runs from {int(starts[bag])} to {int(ends[bag])}."
        )
    key_major = torch.repeat_interleave(lengths)
    before = torch.cumsum(lengths, 0) - lengths
    positions = torch.arange(key_major.shape[0], device=ids.device) + (starts - before).index_select(0, key_major)
    field = key_major // max(batch, 1)
    bags = (key_major % max(batch, 1)) * fields + field
    return ids.index_select(0, positions), field, bags, positions


def _refuse_outside(ids: Tensor, limits: Tensor, fields: Tensor, positions: Tensor, padding: Tensor) -> None:
    wrong = ((ids < 0) | ((ids >= limits) & (limits >= 0))) & ~padding
    if not bool(wrong.any()):
        return
    first = int(wrong.nonzero()[0])
    about = f"id {int(ids[first])} (value {int(positions[first])}, field {int(fields[first])})"
    if int(ids[first]) < 0:
        raise IdError(
            f"{about} is negative and not the padding id of its field. Ids are 0 or above; "
            "negative values are reserved."
        )
    raise IdError(f"{about} is beyond the ids of its field, which end before {int(limits[first])}.")
