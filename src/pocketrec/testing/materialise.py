"""Tables written out row by row, by ordinary indexing: what a lookup must equal, and its gradient too."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketrec.compress import Bank
from pocketrec.compress.access import Combine
from pocketrec.compress.group import Group
from pocketrec.compress.in_float32 import float32_weights
from pocketrec.testing.cases import pools

__all__ = ["dense_tables"]


def dense_tables(bank: Bank) -> list[Tensor]:
    """Vectors of all ids of every column's pool: float32 [ids, dim] each, differentiable in the group's parameters.

    Only addresses come from the bank; for blocks, which weight is read with which sign is found by looking up an array
    that holds its own indices. Gathering, combining and widening are plain torch.
    """
    found = []
    for name, ids in zip(bank.sizing.order, pools(bank.sizing), strict=True):
        group = bank.group_of(name)
        place = [t.table.name for t in group.sizing.tables].index(name)
        low = _blocks(group, place, ids) if group.access.combine is Combine.concat else _rows(group, place, ids)
        found.append(_wide(group, place, low))
    return found


def _rows(group: Group, place: int, ids: Tensor) -> Tensor:
    """Whole rows, combined; address -1 reads the zero row that is put last."""
    program, access = group.program_of(place), group.access
    addresses = torch.ops.pocketrec.addresses(ids[:, None], None, program, group.maps(), access.parts)
    rows = torch.cat([*_regions(group), torch.zeros(1, access.width)])
    out = rows[addresses[:, 0]]
    for part in addresses.T[1:]:
        other = rows[part]
        both = out * other if access.combine is Combine.product else out + other
        out = torch.where((part >= 0)[:, None], both, out)
    return out


def _blocks(group: Group, place: int, ids: Tensor) -> Tensor:
    """Weights of a shared array with their signs."""
    (array,) = _regions(group)
    indices = torch.arange(1, array.numel() + 1, dtype=torch.float32)
    assert array.numel() < 2**24, "float32 cannot tell the weights of this array apart"
    access = group.access
    probed: Tensor = torch.ops.pocketrec.lookup(
        [indices], ids[:, None], None, None, group.program_of(place), None, [0], access.width, access.parts,
        int(access.combine), 0, False,
    )[:, 0]  # fmt: skip
    return array[probed.abs().long() - 1] * probed.sign()


def _regions(group: Group) -> list[Tensor]:
    """float32: the parameters themselves where they are, so that gradients reach them."""
    found = [(group.tensor(name), float32_weights(group, name)) for name in group.access.regions]
    return [held if held.dtype is torch.float32 else decoded for held, decoded in found]


def _wide(group: Group, place: int, low: Tensor) -> Tensor:
    """Vectors brought to the tables' dim."""
    if group.access.widen is not None:
        return low @ group.tensor(group.access.widen)[place]
    return torch.cat([low, torch.zeros(len(low), group.dim - group.access.width)], dim=1)
