"""Rows that are read as they will be served while float32 rows behind them learn: quantisation-aware training.

Only rows that a batch touches are rounded, each before anything is made of it (combined, widened, pooled), and the
gradient goes straight through to the float32 row (DQRM: Zhou et al., arXiv:2410.20046; there bags are rounded after
pooling, which for more than one id is another model than the one that serves).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pocketrec.compress.access import Combine
from pocketrec.compress.computed import vectors_of_distinct
from pocketrec.compress.group import Group, Pool

__all__ = ["rounded_values", "rounded_vectors"]


def rounded_vectors(
    group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool,
    rows_at: Callable[[Tensor], Tensor],
) -> Tensor:  # fmt: skip
    """Vectors of a group whose storage rounds what is read: float32 [batch, columns, dim], or [values, dim].

    Args:
        group: training form, with :attr:`Group.rounds`.
        ids, weights, pool: as in :meth:`Group.lookup`.
        offsets: of the group's columns, or None.
        rows_at: as :meth:`Group.read_at`, noted if somebody learns from them.
    """

    def make(distinct: Tensor, tables: Tensor, ends: Tensor, numbers: Tensor) -> Tensor:
        return rounded_values(group, distinct, ends, tables, group.program_of_tables, rows_at)

    return vectors_of_distinct(group, ids, offsets, weights, pool, make)


def rounded_values(
    group: Group, ids: Tensor, ends: Tensor, tables: Tensor, program: Tensor,
    rows_at: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """Vectors of values by one group alone: float32 [values, dim], zeros for those that it leaves out.

    Args:
        group: training form, with :attr:`Group.rounds`.
        ids, ends, tables, program: as in :func:`~pocketrec.compress.computed.vectors_of_values`.
        rows_at: as in :func:`rounded_vectors`; None where nobody learns.
    """
    storage, addresses = group.rounds, group.addresses(ids, ends, program=program)
    assert storage is not None
    found = (rows_at or group.read_at)(addresses.view(-1))
    seen = storage.seen(found).masked_fill((addresses < 0).view(-1, 1), 0.0)
    return group.widened(_combined(group, seen.view(*addresses.shape, seen.shape[1]), addresses), tables)


def _combined(group: Group, rows: Tensor, addresses: Tensor) -> Tensor:
    """Rows float32 [n, parts, width] in one each; null parts are left out."""
    if group.access.combine is Combine.product:
        first, second = rows.unbind(1)
        return torch.where(addresses[:, 1:] >= 0, first * second, first)
    found: Tensor = rows[:, 0] if group.access.combine is Combine.copy else rows.sum(dim=1)
    return found
