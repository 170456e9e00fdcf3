"""PlainBank: a frozen bank in plain torch, which runs where pocketrec is not installed.

It holds the same tensors and gives the same vectors, to the bit, without any op of ours: what `torch.export` needs to
write a program that torch alone can load. Only vectors that products of matrices make (`Traits.rounds`) may differ in
their last bits: all ids are multiplied here, the distinct ones there. It is slower than the bank; use it for nothing
else.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from pocketrec.compress.bank import Bank
from pocketrec.compress.computed import vectors_of_bags, vectors_of_grid
from pocketrec.compress.group import POOLING, Group
from pocketrec.compress.joined import LEFT_OUT, left_over
from pocketrec.native.plain_lookup import Rows, check_rows, columns_in_bags, plain_addresses, plain_lookup, plain_pool
from pocketrec.native.request import Request
from pocketrec.spec.sizing import Sizing

__all__ = ["PlainBank"]


@final
class PlainBank(nn.Module):
    """The vectors of a bank without its ops.

    Args:
        bank: in its serving form; its tensors are shared.
    """

    def __init__(self, bank: Bank) -> None:
        super().__init__()
        assert bank.form == "serve", "only a frozen bank is exported"
        self.sizing: Sizing = bank.sizing
        self.groups = bank.groups
        self._multiplied = [unit.multiplied for unit in bank.units for _ in unit.groups]
        self._rows: list[Rows] = []
        for group in self._each():
            access, rows = group.access, group.program.tolist()
            check_rows(rows, group.maps(), dim=access.width, parts=access.parts, combining=int(access.combine))
            self._rows.append(rows)
        columns = [column for group in self._each() if group.sizing.joins == "alone" for column in group.columns]
        self._order = sorted(range(len(columns)), key=columns.__getitem__)

    def forward(self, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """Vectors float32 [batch, columns, dim]; the arguments are those of :meth:`Bank.forward`, bags are summed.

        Raises:
            RuntimeError: an id that no table can take.
        """
        found = [v if f is None else v * f for v, f in self._looked_up(ids, offsets, weights, by_value=True)]
        together = found[0] if len(found) == 1 else torch.cat(found, dim=1)
        if self._order == list(range(len(self._order))):
            return together
        return together.index_select(1, torch.tensor(self._order))

    def pooled(self, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """One vector per row of the batch, float32 [batch, dim], as :meth:`Bank.pooled` gives it."""
        units = self._looked_up(ids, offsets, weights, by_value=False)
        sums = [v.sum(dim=1) if f is None else v.sum(dim=1) * f.sum(dim=1) for v, f in units]
        return sums[0] if len(sums) == 1 else torch.stack(sums).sum(dim=0)

    def _looked_up(
        self, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, *, by_value: bool
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Vectors and factors of each group that stands alone, as the bank finds them."""
        units: list[tuple[Tensor, Tensor | None]] = []
        asked, groups = ids, self._each()
        several = sum(group.sizing.joins == "alone" for group in groups) > 1
        for index, (group, rows) in enumerate(zip(groups, self._rows, strict=True)):
            bags, joins = offsets, group.sizing.joins
            if offsets is not None and several:
                bags = _picked(offsets, len(self.sizing.order), group.columns)
            asked = asked if joins == "rest" else ids
            apart = by_value and bags is not None and self._multiplied[index]
            if group.access.computes:
                vectors = _computed(group, rows, asked, bags, weights, pooled=not apart)
            else:
                request = _request(group, asked, bags, None if apart else weights, by_value=apart)
                vectors = _widened(group, plain_lookup(request, rows), bags if apart else None)
            if joins == "alone":
                units.append((vectors, None))
            elif joins == "rest":
                units[-1] = (units[-1][0] + vectors, None)
            elif apart:
                pooled = plain_pool(_request(group, ids, bags, weights), rows, units[-1][0] * vectors)
                units[-1] = (pooled, None)
            else:
                units[-1] = (units[-1][0], vectors)
            if group.rest is not None:
                asked = _left_over(group, rows, asked, bags)
        return units

    def _each(self) -> list[Group]:
        groups = list(self.groups)
        assert all(isinstance(group, Group) for group in groups)
        return groups  # type: ignore[return-value]  # the line above


def _widened(group: Group, vectors: Tensor, bags: Tensor | None) -> Tensor:
    """Vectors of the tables' dim: [batch, columns, dim], or [values, dim] where bags are given."""
    if bags is None or group.access.widen is None:
        return group.widened(vectors)
    return group.widened(vectors, group.tables_of(columns_in_bags(vectors[:, 0], bags, len(group.columns))))


def _computed(
    group: Group, rows: Rows, ids: Tensor, bags: Tensor | None, weights: Tensor | None, *, pooled: bool
) -> Tensor:
    """Vectors that the group's method computes, value by value: [batch, columns, dim], or [values, dim]."""
    request = _request(group, ids, bags, None, by_value=True)
    found = plain_lookup(request, rows) if group.access.regions else None
    if found is None:
        plain_addresses(request, rows)  # refuses what lies beyond a table
    if bags is None:
        return vectors_of_grid(group, found, ids)
    vectors = vectors_of_bags(group, found, ids, bags)
    return plain_pool(_request(group, ids, bags, weights), rows, vectors) if pooled else vectors


def _left_over(group: Group, rows: Rows, ids: Tensor, offsets: Tensor | None) -> Tensor:
    """`pocketrec.compress.joined.left_over` without branches on data: what was found becomes padding of the next."""
    assert group.rest is not None
    addresses = group.access.hiding(plain_addresses(_request(group, ids, offsets, None), rows))
    padding = group.rest.padding
    if offsets is None or all(pad == LEFT_OUT for pad in padding):
        return left_over(ids, offsets, addresses, group.columns, padding)
    fields = columns_in_bags(ids, offsets, len(padding))
    return torch.where(addresses[:, 0] >= 0, torch.tensor(padding).index_select(0, fields), ids)


def _picked(offsets: Tensor, columns: int, chosen: list[int]) -> Tensor:
    """`pocketrec.compress.jagged.offsets_by_column` without its checks, which read data: int64 [chosen, batch + 1]."""
    batch = (offsets.shape[0] - 1) // columns
    return offsets[torch.tensor(chosen)[:, None] * batch + torch.arange(batch + 1)]


def _request(
    group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, *, by_value: bool = False
) -> Request:
    access = group.access
    return Request(
        group.regions(), ids, offsets, weights, group.program, group.maps(), group.storages, access.width,
        access.parts, int(access.combine), POOLING["none" if offsets is None or by_value else "sum"],
    )  # fmt: skip
