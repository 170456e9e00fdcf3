"""Weights of their own for the frequent ids, blocks of a shared array for all others; both in one array of few bits.

Paper: none; what the methods of several are good for, put together: frequent ids exact (min_count), the rest hashed in
    blocks (ROBE: Desai et al., MLSys 2022, arXiv:2108.02191), all in codes of 4 or 8 bits with a scale per 64 weights.
Bytes: the budget, to within 64 weights, + 8 for the seed. `share` of it is for the frequent ids of all tables, which
    need a vocabulary; no scale per row is kept, so that an id of dim 16 takes 9 bytes in int4 where a row takes 12.
Use when: not measured yet.
Did not help when: not measured yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing.block import Block
from pocketrec.compress.holdings import Array, Holding
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import stream
from pocketrec.compress.parts.seed import SEED, read_seed, write_seed
from pocketrec.compress.parts.shared_array import array_bytes, uniform_array, weights_within
from pocketrec.compress.share import most_frequent
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "HeadTail"]


@final
@dataclass(frozen=True, kw_only=True)
class HeadTail(Method):
    """Own weights for the head, shared blocks for the tail.

    Attributes:
        block: weights per shared block, 1 or more; at most the tables' dim is used.
        share: of the array's weights, those that frequent ids own, in 0..1.
        sign: read every shared weight with a random sign.
    """

    name = "head_tail"
    traits = Traits(ids=("rank", "plain", "hash63"), needs_counts=True)

    storage: str = "int8"
    block: int = 4
    share: float = 0.8
    sign: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block < 1:
            raise OptionError(f"head_tail: block must be 1 or more, got {self.block}.")
        if not 0 <= self.share <= 1:
            raise OptionError(f"head_tail: share must lie in 0..1, got {self.share}.")

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return SEED.nbytes + array_bytes(self.storage, self._block(tables[0].dim))

    def _block(self, dim: int) -> int:
        return min(self.block, dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        dim = tables[0].dim
        weights = weights_within(self.storage, budget_bytes - SEED.nbytes, tables)
        width = self._width(dim)
        room = min(int(weights * self.share), weights - self._block(dim)) // width
        most = [t.closed_rows - 1 if t.ids == "rank" else 0 for t in tables]
        known = [stats.get(t.name, TableStats(table=t.name, histogram=())) for t in tables]
        found, _ = most_frequent(most, known, room)
        return Decision(
            tables=tuple(_sized(t, n) for t, n in zip(tables, found, strict=True)),
            settings={"weights": weights, "block": self._block(dim)},
        )

    def _width(self, dim: int) -> int:
        """Weights that an id owns: whole blocks."""
        return -(-dim // self._block(dim)) * self._block(dim)

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        return Array("array", int(settings["weights"])), SEED.holding

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        write_seed(group, seed)
        uniform_array(group, "array", self.init, seed=seed)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        seed, dim, weights = read_seed(tensors), sizing.tables[0].table.dim, int(sizing.settings["weights"])
        block, width = int(sizing.settings["block"]), self._width(dim)
        starts = [0, *accumulate(width * t.told_apart for t in sizing.tables)]
        addressing = [
            Block(
                weights=weights - starts[-1], block=block, seed=stream(seed, index), sign=self.sign, start=starts[-1],
                own=sized.told_apart, own_start=start, own_width=width,
            )
            for index, (start, sized) in enumerate(zip(starts, sizing.tables, strict=False))
        ]  # fmt: skip
        return Access(
            regions=("array",), addressing=addressing, width=dim, parts=-(-dim // block), combine=Combine.concat
        )


def _sized(table: TableSpec, own: int) -> TableSizing:
    """A table of which so many ids own weights."""
    if table.ids == "rank":
        return TableSizing(table=table, ids="head" if own else "hash63", told_apart=own)
    return TableSizing(table=table, ids=table.ids, told_apart=0)


METHOD = HeadTail
