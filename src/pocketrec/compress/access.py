"""Access: how a group of tables is looked up, as data. The bank makes the call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from pocketrec.compress.addressing._program import Addressing

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Access", "Combine"]


class Combine(IntEnum):
    """What is done with the parts of one id (the numbers are the native ops')."""

    copy = 0
    sum = 1
    product = 2
    concat = 3
    contract = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Storage x addressing x combining, for all tables of a group.

    Attributes:
        regions: names of the tensors that addresses count through, one after the other.
        addressing: one per table of the group, in its order.
        width: numbers that one lookup returns per id.
        parts: addresses per id.
        combine: what is done with them.
        rank: with ``contract``, numbers per row of the cores; what an address names is such a row.
        maps: name of the int32 or int64 tensor that mapped addressing, signatures and sets are read from, or None.
        widen: name of a float32 [tables, width, dim] tensor that the looked-up vectors are multiplied by, or None;
            without it vectors narrower than the tables' dim are filled up with zeros.
        computes: whether vectors are computed from what is looked up, by :meth:`Method.computed`. Without regions
            nothing is looked up, and `width` is 0.
        stored: what the native ops call the storages of the regions, where these are not weights in the method's
            storage; a packed sparse store is two regions, its index and its entries. None: they are such weights.
        adds_from: ids with addresses from this one on have no vector of their own: the groups that join are asked for
            them all the same, and theirs is added. None: no id is so.
    """

    regions: tuple[str, ...]
    addressing: Sequence[Addressing]
    width: int
    parts: int = 1
    combine: Combine = Combine.copy
    rank: int | None = None
    maps: str | None = None
    widen: str | None = None
    computes: bool = False
    adds_from: int | None = None
    stored: tuple[int, ...] | None = None

    @property
    def unit(self) -> int:
        """Numbers per address: a row, a row of a core, or a single weight of a shared array."""
        if self.rank is not None:
            return self.rank
        return 1 if self.combine is Combine.concat else self.width

    def hiding(self, addresses: Tensor) -> Tensor:
        """Addresses [values, parts] as the groups that join must see them: null where they are asked all the same."""
        return addresses if self.adds_from is None else addresses.masked_fill(addresses >= self.adds_from, -1)
