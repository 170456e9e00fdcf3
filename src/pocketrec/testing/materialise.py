"""Tables written out row by row, by ordinary indexing: what a lookup must equal, and its gradient too."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketrec.compress import Bank
from pocketrec.compress.access import Combine
from pocketrec.compress.computed import Asked
from pocketrec.compress.group import Group
from pocketrec.compress.in_float32 import float32_weights
from pocketrec.compress.joined import LEFT_OUT
from pocketrec.native.chain import chain_of, slice_addresses
from pocketrec.testing.cases import pools

__all__ = ["dense_tables"]


def dense_tables(bank: Bank, *, factors: bool = True, positions: Tensor | None = None) -> list[Tensor]:
    """Vectors of all ids of every column's pool: float32 [ids, dim] each, differentiable in the groups' parameters.

    Only addresses come from the bank; for blocks, which weight is read with which sign is found by looking up an array
    that holds its own indices. Gathering, combining, widening, and what joined groups are to each other is plain torch.

    Args:
        bank: in either form.
        factors: whether groups that join as factors are multiplied with.
        positions: int64 [batch, tables], the places in the pools that will be read: a loss that a method has of its own
            is of them. None: each place once.
    """
    found = []
    for column, (name, ids) in enumerate(zip(bank.sizing.order, pools(bank.sizing), strict=True)):
        counts = None if positions is None else torch.bincount(positions[:, column], minlength=len(ids))
        found.append(_table(bank, name, ids, counts, factors))
    return found


def _table(bank: Bank, name: str, ids: Tensor, counts: Tensor | None, factors: bool) -> Tensor:
    first, *others = bank.unit_of(name)
    found, asked = _vectors(first, name, ids, counts), _left_over(first, name, ids)
    for group in others:
        if group.sizing.joins == "rest":
            found, asked = found + _vectors(group, name, asked, counts), _left_over(group, name, asked)
        elif factors:
            found = found * _vectors(group, name, ids, counts)
    return found


def _vectors(group: Group, name: str, ids: Tensor, counts: Tensor | None) -> Tensor:
    """Vectors of ids by one group alone, zeros for those that it leaves out."""
    place = _place(group, name)
    if group.access.computes:
        return _computed(group, place, ids, torch.ones_like(ids) if counts is None else counts)
    ways = {Combine.concat: _blocks, Combine.contract: _chains}
    return _wide(group, place, ways.get(group.access.combine, _rows)(group, place, ids))


def _left_over(group: Group, name: str, ids: Tensor) -> Tensor:
    """The ids without an address, for the rest; in place of all others the id that it leaves out."""
    addresses = group.access.hiding(_addresses(group, _place(group, name), ids))
    return torch.where(addresses[:, 0] >= 0, LEFT_OUT, ids)


def _place(group: Group, name: str) -> int:
    return [t.table.name for t in group.sizing.tables].index(name)


def _addresses(group: Group, place: int, ids: Tensor) -> Tensor:
    return group.addresses(ids[:, None], program=group.program_of(place))


def _rows(group: Group, place: int, ids: Tensor) -> Tensor:
    """Whole rows, combined; address -1 reads the zero row that is put last."""
    access, addresses = group.access, _addresses(group, place, ids)
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
        [indices], ids[:, None], None, None, group.program_of(place), group.maps(), [0], access.width, access.parts,
        int(access.combine), 0, False,
    )[:, 0]  # fmt: skip
    return array[probed.abs().long() - 1] * probed.sign()


def _chains(group: Group, place: int, ids: Tensor) -> Tensor:
    """Slices of cores, multiplied one after the other, and trains added up; zeros for ids that are left out."""
    (rows,), (own, *_) = _regions(group), group.program_of(place).tolist()
    chain, addresses = chain_of(own), _addresses(group, place, ids)
    first, *middle, last = [rows[r.clamp(min=0)] for r in slice_addresses(addresses, chain)]
    found = first
    for part, q in zip(middle, chain.factors[1:-1], strict=True):
        found = (found @ part.flatten(1).view(len(ids), chain.rank, -1)).view(len(ids), -1, chain.rank)
        assert found.shape[1] % q == 0
    left, right = (rows.view(len(ids), chain.outer, -1, chain.rank) for rows in (found, last))
    return torch.where(addresses[:, :1] >= 0, (left @ right.mT).sum(1).flatten(1), 0.0)


def _computed(group: Group, place: int, ids: Tensor, counts: Tensor) -> Tensor:
    """What the method computes of rows; that it is right is for the method's own tests to say."""
    tables = torch.full_like(ids, place)
    counts = counts.masked_fill(ids < 0, 0)
    asked = Asked(group.known(ids.clamp(min=0), tables), tables, [(place, 0, len(ids))], counts)
    return group.method.computed(group, _rows(group, place, ids), asked).masked_fill(ids[:, None] < 0, 0.0)


def _regions(group: Group) -> list[Tensor]:
    """float32: the parameters themselves where they are, so that gradients reach them."""
    found = [(group.tensor(name), float32_weights(group, name)) for name in group.access.regions]
    return [held if held.dtype is torch.float32 else decoded for held, decoded in found]


def _wide(group: Group, place: int, low: Tensor) -> Tensor:
    """Vectors brought to the tables' dim."""
    if group.access.widen is not None:
        return low @ group.tensor(group.access.widen)[place]
    return torch.cat([low, torch.zeros(len(low), group.dim - group.access.width)], dim=1)
