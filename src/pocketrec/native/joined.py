"""Several prepared look-ups of the same ids in one call of the kernels: what one has no address for, the next is asked.

Look-ups one after the other, of ids that were left over, give the same numbers (`pocketrec.compress.units`); they go
over all ids and vectors once more for each of them, and for the ids that are left over, and for the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from operator import is_
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from pocketrec.native.prepared import Prepared
from pocketrec.native.threads import threads

__all__ = ["Asked", "Join", "Joined"]


class Join(IntEnum):
    """What a look-up is to the one before it (enum pr_join in csrc/pocketrec.h)."""

    ALONE = 0
    REST = 1
    FACTOR = 2


class Asked(NamedTuple):
    """What one of several look-ups was asked, and what it found.

    Attributes:
        ids: int64 [batch, columns]; for a rest, the ids that were left over to it and padding.
        addresses: int64 [batch x fields, parts], negative where it found none; None of blocks and
            of factors, and where they are not kept.
    """

    ids: Tensor
    addresses: Tensor | None


@final
class Joined:
    """Look-ups of ids [batch, columns] that complete each other.

    It knows addresses in memory, so a copy or a pickle of it is None.

    Args:
        kernels: the compiled module.
        parts: of the same fields, one or more.
        joins: of each. The first stands alone. A rest is asked for the ids for which the one before it has no address;
            all others are its padding, which each of its fields needs. One factor, of dim 1 and behind the first,
            multiplies its vectors.
        columns: of the ids of a call that are of their fields.
    """

    def __init__(self, kernels: Any, parts: Sequence[Prepared], joins: Sequence[Join], columns: int) -> None:
        self._parts, self._rests, self._columns = tuple(parts), [join == Join.REST for join in joins], columns
        self._found = [0 if join == Join.FACTOR else part.row_parts for part, join in zip(parts, joins, strict=True)]
        self._run = kernels.Joined([part.packed() for part in parts], list(map(int, joins)))

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return type(None), ()

    def is_of(self, parts: Sequence[Prepared]) -> bool:
        """Whether these are the look-ups."""
        return len(parts) == len(self._parts) and all(map(is_, parts, self._parts))

    def __call__(self, ids: Tensor, *, keeps: bool) -> tuple[Tensor, list[Asked]]:
        """Vectors, and what each look-up was asked and found.

        Args:
            ids: int64 [batch, columns].
            keeps: whether addresses are handed back, for who learns from them.

        Returns:
            float32 [batch, fields, dim].

        Raises:
            IdError: an id that its field does not take.
            TypeError, ValueError: ids, or look-ups that do not fit together.
        """
        first = self._parts[0]
        ids = first.fitting(ids)
        out = torch.empty((ids.shape[0], *first.shape), dtype=torch.float32)
        values = len(ids) * first.shape[0]
        found = [torch.empty(values, parts, dtype=torch.int64) if keeps and parts else None for parts in self._found]
        return out, list(map(Asked, self.into(ids, out, found), found))

    def into(self, ids: Tensor, out: Tensor, found: Sequence[Tensor | None] | None = None) -> list[Tensor]:
        """The same into memory that is there: contiguous ids, and float32 [batch, fields, dim]; what each was asked.

        found: where the addresses of each go, or None.
        """
        batch, columns = ids.shape
        room = torch.empty_like if columns == self._columns else torch.clone  # columns of others stay what they are
        asked = [room(ids) if rest else ids for rest in self._rests]
        places = [own.data_ptr() if rest else 0 for own, rest in zip(asked, self._rests, strict=True)]
        addresses = [0 if own is None else own.data_ptr() for own in found or [None] * len(asked)]
        self._run(ids.data_ptr(), batch, columns, threads(), places, addresses, out.data_ptr())
        return asked
