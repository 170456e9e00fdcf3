"""Ids read several rows of their table by independent hashes and add them up, so that few ids share all of them.

Paper: Zhang et al., Model Size Reduction Using Frequency Based Double Hashing for Recommender Systems, RecSys 2020,
    arXiv:2007.14523 (two hashes; frequent ids apart: offline_split with cold=multi_hash); Bloom embeddings: Serra,
    Karatzoglou, RecSys 2017, arXiv:1706.03993.
Bytes: rows that the budget holds x stored row, + 8 for the seed. As hash_rows: tables below one level of rows are
    exact.
Use when: as hash_rows, where ids that share a row with another one must still be told apart: two of m rows each make
    about m^2 / 2 vectors.
Did not help when: nothing but frequent ids matters: an id's rows are shared by `hashes` times as many others. On the
    Criteo sample it is level with hash_rows at 10x, 100x and 1000x (-.0001, -.0013, +.0023, each within two standard
    errors) and .0029 to .0075 behind min_count (docs/results.md, "Tensor trains").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.hashes import Hashes
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.holdings import Fixed, Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.compress.parts.level import hashed_or_exact, rows_wanted
from pocketrec.compress.parts.row_tables import per_table, starts, total_rows
from pocketrec.compress.parts.seed import SEED, read_seed, write_seed
from pocketrec.compress.share import waterfill
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "MultiHash"]

_MOST_HASHES: Final = 16


@final
@dataclass(frozen=True, kw_only=True)
class MultiHash(Method):
    """Sums of hashed rows.

    Attributes:
        hashes: rows per id, 2 to 16; one that is drawn twice counts twice.
    """

    name = "multi_hash"
    traits = Traits(ids=("rank", "plain", "hash63"))

    hashes: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("hashes", 2 <= self.hashes <= _MOST_HASHES, f"lie in 2..{_MOST_HASHES}")

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return SEED.nbytes + len(tables) * STORAGES.get(self.storage).row_bytes(tables[0].dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        rows = (budget_bytes - SEED.nbytes) // STORAGES.get(self.storage).row_bytes(tables[0].dim)
        shares = waterfill([rows_wanted(t) for t in tables], rows)
        return Decision(
            tables=tuple(hashed_or_exact(t, share) for t, share in zip(tables, shares, strict=True)), settings={}
        )

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows, Fixed]:
        return Rows("rows", total_rows(tables), tables[0].table.dim), SEED.holding

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        write_seed(group, seed)
        tables = group.sizing.tables
        for index, (rows, sized) in enumerate(zip(per_table(group.tensor("rows").data, tables), tables, strict=True)):
            # a sum of `hashes` rows has the variance of one
            summed = 1 if sized.settings["exact"] else self.hashes
            uniform_(rows, bound(sized.table, self.init) / math.sqrt(summed), seed=stream(seed, index))

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        seed = read_seed(tensors)
        addressing: list[Addressing] = []
        for index, (start, t) in enumerate(zip(starts(sizing.tables), sizing.tables, strict=True)):
            rows, own = int(t.settings["rows"]), stream(seed, index)
            hashed = Hashes(start=start, buckets=rows, seed=own, count=self.hashes)
            addressing.append(Row(start=start, rows=rows) if t.settings["exact"] else hashed)
        return Access(
            regions=("rows",), addressing=addressing, width=sizing.tables[0].table.dim, parts=self.hashes,
            combine=Combine.sum,
        )  # fmt: skip


METHOD = MultiHash
