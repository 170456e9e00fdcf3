"""Keep the frequent ids, fold the rare ones of each table into one row.

Paper: none claims it; the usual vocabulary threshold (BARS folds Criteo ids seen fewer than 10 times). Papers on
    compressed tables leave this baseline out, and on Criteo it beats many of them.
Bytes: (ids kept + 1 per table) x stored row. The threshold is found from the budget: the smallest count at which all
    tables fit; rows left over go to ids just below it, smallest tables first.
Use when: ids come as frequency ranks and most of them are rare. The first thing to try.
Did not help when: rare ids matter one by one (item tables of a catalogue), or popularity drifts: a folded id stays
    folded until the next sizing. With very few bytes in float32 a shared array is ahead on the Criteo sample: robe
    .7469 against .7436 at 1000x; at 100x min_count leads (.7563 against .7551, docs/results.md).
    On KuaiRand, where users are rare ids and matter, it lost .020 to full tables at 10x (narrow: .001, robe: .009);
    on Frappe, whose tables are small and whose ids all matter, .107 to robe at 10x and .201 at 20x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.row_tables import fold_dense, row_access, total_rows, uniform_rows
from pocketrec.compress.share import most_frequent
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group
    from pocketrec.compress.worth import TableWorth

__all__ = ["METHOD", "MinCount"]


@final
@dataclass(frozen=True, kw_only=True)
class MinCount(Method):
    """Rows for frequent ids, one fold row per table (id 0) for all others."""

    name = "min_count"
    traits = Traits(ids=("rank",), needs_counts=True, separable=True, from_dense=True)

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return len(tables) * STORAGES.get(self.storage).row_bytes(tables[0].dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        spare = budget_bytes // STORAGES.get(self.storage).row_bytes(tables[0].dim) - len(tables)
        known = [stats[t.name] for t in tables]
        kept, threshold = most_frequent([t.closed_rows - 1 for t in tables], known, spare)
        sized = tuple(
            TableSizing(table=t, ids="rank", told_apart=k, settings={"rows": k + 1})
            for t, k in zip(tables, kept, strict=True)
        )
        return Decision(tables=sized, settings={"min_count": threshold})

    def kept(self, groups: Sequence[GroupSizing], worth: TableWorth) -> float:
        return worth.told(groups[0].tables[0].told_apart)

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows]:
        return (Rows("rows", total_rows(tables), tables[0].table.dim),)

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        uniform_rows(group, "rows", self.init, seed=seed)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        fold_dense(group, "rows", weights)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        return row_access(sizing, "rows", width=sizing.tables[0].table.dim)


METHOD = MinCount
