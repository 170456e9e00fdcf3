"""Give the frequent ids of all tables rows of their own, and leave all others to another method; counts decide, once.

Paper: the hindsight split that CAFE is measured against (Zhang et al., SIGMOD 2024, arXiv:2312.03256). One threshold of
    counts for all tables, as there one sketch stands for all; here the cold part is any method (option `cold`).
Bytes: hot rows x stored row, which take up to `hot` of the budget (the paper's advice, .7, at every budget), + what the
    cold method makes of the rest. A vocabulary holds the hot ids alone where the cold method takes hashes of tokens
    (hash_rows, robe), and all ids where it takes ranks (quotient_remainder, narrow).
Use when: rare ids matter too, so that folding them into one row (min_count) loses, and popularity keeps. As the mark
    that methods which find the hot ids while they train (CAFE) can reach. On synthetic logs at 100x, one pass in the
    order of time, it is .0156 ahead of hash_rows, and .0180 with `hot` of .95 (docs/results.md, "Who is hot").
Did not help when: popularity drifts: who is hot stays so until the next sizing, and cafe, which follows, is .007 ahead
    of it there. Plain and hash63 tables have no hot rows: which of their ids are frequent is not
    known, so the cold method holds them alone. A cold method that takes ranks holds the hot ids once more, unread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.holdings import Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.cold_part import SPACES, ColdPart
from pocketrec.compress.parts.row_tables import per_table, starts, total_rows, uniform_rows
from pocketrec.compress.share import most_frequent
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, SizedIds, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group
    from pocketrec.compress.worth import TableWorth

__all__ = ["METHOD", "OfflineSplit"]


@final
@dataclass(frozen=True, kw_only=True)
class OfflineSplit(Method):
    """Rows for hot ids, another method for cold ones.

    Attributes:
        hot: share of the budget for hot rows, in 0..1; what the cold method needs at least is left to it.
        cold: name of the method that holds all other ids.
        cold_options: its options, JSON only. `storage` and `init` are those of this method where it does not name them.
    """

    name = "offline_split"
    traits = Traits(ids=SPACES, needs_counts=True, separable=True, from_dense=True)

    hot: float = 0.7
    cold: str = "hash_rows"
    cold_options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.hot <= 1:
            raise OptionError(f"offline_split: hot must lie in 0..1, got {self.hot}.")
        cold = self.cold_part
        object.__setattr__(self, "cold_options", cold.options)
        # what it takes and can do depends on what it contains; who is hot needs counts in any case
        inner = cold.method.traits
        traits = replace(cold.traits(type(self).traits), from_dense=inner.from_dense, separable=inner.separable)
        object.__setattr__(self, "traits", traits)

    @property
    def cold_part(self) -> ColdPart:
        """The method that holds all ids that are not hot."""
        return ColdPart.of(self, self.cold, self.cold_options)

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return self.cold_part.method.least_bytes([self._cold_spec(t, 0) for t in tables])

    def counted(self, tables: Sequence[TableSpec]) -> list[TableSpec]:
        cold = self.cold_part.method
        others = cold.counted([t for t in tables if t.ids != "rank"]) if cold.traits.needs_counts else []
        return [*(t for t in tables if t.ids == "rank"), *others]

    def value_sets(self) -> Mapping[str, Any]:
        """Those of the cold method."""
        return self.cold_part.method.value_sets()

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        row_bytes = STORAGES.get(self.storage).row_bytes(tables[0].dim)
        spare = min(int(self.hot * budget_bytes), budget_bytes - self.least_bytes(tables)) // row_bytes
        # of ids that are not ranks nobody can say which the frequent ones are
        most = [t.closed_rows - 1 if t.ids == "rank" else 0 for t in tables]
        known = [stats[t.name] if t.ids == "rank" else TableStats(table=t.name, histogram=()) for t in tables]
        kept, threshold = most_frequent(most, known, spare)
        sized = tuple(
            TableSizing(table=t, ids="head" if n else t.ids, told_apart=n, settings={"rows": n})
            for t, n in zip(tables, kept, strict=True)
        )
        return Decision(tables=sized, settings={"min_count": threshold})

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision = self.decide(tables, budget_bytes, stats)
        hot_rows = [t.told_apart for t in decision.tables]
        hot_bytes = STORAGES.get(self.storage).row_bytes(tables[0].dim) * sum(hot_rows)
        specs = [self._cold_spec(t, n) for t, n in zip(tables, hot_rows, strict=True)]
        cold, said = self.cold_part.groups(specs, budget_bytes - hot_bytes, stats, optimizer)
        hot = [_sized(t, c) for t, c in zip(decision.tables, cold[0].tables, strict=True)]
        own = self.group_sizing(hot, decision.settings, optimizer)
        return (own, *ColdPart.joining(cold, hot)), (*decision.notes, *_notes(tables), *said)

    def _cold_spec(self, table: TableSpec, hot: int) -> TableSpec:
        """The table as the cold method is told of it: without its hot ids where hashes can leave them out."""
        told = self.cold_part.by_hashes(table)
        return table if told == table else replace(told, rows=table.closed_rows - hot)

    def kept(self, groups: Sequence[GroupSizing], worth: TableWorth) -> float | None:
        if self.cold != "hash_rows":
            return None
        hot, cold = (group.tables[0].settings for group in groups)
        return 1.0 if cold["exact"] else worth.shared(int(cold["rows"]), behind=int(hot["rows"]))

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows]:
        return (Rows("rows", total_rows(tables), tables[0].table.dim),)

    # -- values and looking up ---------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        uniform_rows(group, "rows", self.init, seed=seed)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        """The hot rows; the cold method fills its own groups."""
        if not self.traits.from_dense:
            super().from_dense(group, weights)
        tables = group.sizing.tables
        for rows, sized in zip(per_table(group.tensor("rows").data, tables), tables, strict=True):
            rows.copy_(weights[sized.table.name][1 : 1 + rows.shape[0]])

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        addressing = [
            Row(start=start, rows=int(t.settings["rows"]), fold=-1, first=1)
            for start, t in zip(starts(sizing.tables), sizing.tables, strict=True)
        ]
        return Access(regions=("rows",), addressing=addressing, width=sizing.tables[0].table.dim)


def _sized(hot: TableSizing, cold: TableSizing) -> TableSizing:
    """The table in ids that both parts can read."""
    ids: SizedIds = cold.ids
    if hot.told_apart and cold.ids == "hash63":
        ids = "head"
    return replace(hot, ids=ids, told_apart=max(hot.told_apart, cold.told_apart))


def _notes(tables: Sequence[TableSpec]) -> tuple[str, ...]:
    without = [t.name for t in tables if t.ids != "rank"]
    if not without:
        return ()
    named = ", ".join(without[:4]) + (" ..." if len(without) > 4 else "")
    return (f"{len(without)} tables without ranks have no hot rows, the cold method holds them alone: {named}.",)


METHOD = OfflineSplit
