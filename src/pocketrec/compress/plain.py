"""PlainBank: a frozen bank in plain torch, which runs where pocketrec is not installed.

It holds the same tensors and gives the same vectors, to the bit, without any op of ours: what `torch.export` needs to
write a program that torch alone can load. It is slower than the bank; use it for nothing else.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from pocketrec.compress.bank import Bank
from pocketrec.compress.group import POOLING, Group
from pocketrec.compress.storage import STORAGES
from pocketrec.native.plain_lookup import Rows, check_rows, plain_lookup
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
        self._rows: list[Rows] = []
        for group in self._each():
            access, rows = group.access, group.program.tolist()
            check_rows(rows, group.maps(), dim=access.width, parts=access.parts, combining=int(access.combine))
            self._rows.append(rows)
        columns = [column for group in self._each() for column in group.columns]
        self._order = sorted(range(len(columns)), key=columns.__getitem__)

    def forward(self, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """Vectors float32 [batch, columns, dim]; the arguments are those of :meth:`Bank.forward`, bags are summed.

        Raises:
            RuntimeError: an id that no table can take.
        """
        found = []
        for group, rows in zip(self._each(), self._rows, strict=True):
            bags = offsets
            if offsets is not None and len(self.groups) > 1:
                bags = _picked(offsets, len(self.sizing.order), group.columns)
            found.append(group.widened(plain_lookup(_request(group, ids, bags, weights), rows)))
        together = found[0] if len(found) == 1 else torch.cat(found, dim=1)
        if self._order == list(range(len(self._order))):
            return together
        return together.index_select(1, torch.tensor(self._order))

    def _each(self) -> list[Group]:
        groups = list(self.groups)
        assert all(isinstance(group, Group) for group in groups)
        return groups  # type: ignore[return-value]  # the line above


def _picked(offsets: Tensor, columns: int, chosen: list[int]) -> Tensor:
    """`pocketrec.compress.jagged.offsets_by_column` without its checks, which read data: int64 [chosen, batch + 1]."""
    batch = (offsets.shape[0] - 1) // columns
    return offsets[torch.tensor(chosen)[:, None] * batch + torch.arange(batch + 1)]


def _request(group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None) -> Request:
    access, regions, stored = group.access, group.regions(), STORAGES.get(group.method.storage).code
    return Request(
        regions, ids, offsets, weights, group.program, group.maps(), [stored] * len(regions), access.width,
        access.parts, int(access.combine), POOLING["none" if offsets is None else "sum"],
    )  # fmt: skip
