"""Keep every row of every table: the yardstick.

Paper: none; what every recommender starts from.
Bytes: rows x stored row, summed over the tables (4 x dim per row in float32).
Use when: the budget holds everything, or to know what compression costs. With storage int8 it is already about 3.5
    times smaller at dim 64, for nothing but a rounding error; with int4 about 7 times, for a larger one.
Did not help when: most ids are rare. Rows that were seen once or twice carry noise: on the Criteo sample
    min_count scored as high in a tenth of the bytes (.7604 against .7595, docs/results.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.row_tables import per_table, row_access, total_rows, uniform_rows
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group
    from pocketrec.compress.worth import TableWorth

__all__ = ["METHOD", "Full"]


@final
@dataclass(frozen=True, kw_only=True)
class Full(Method):
    """Plain tables."""

    name = "full"
    traits = Traits(separable=True, from_dense=True, grows=True)

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return sum(t.closed_rows for t in tables) * STORAGES.get(self.storage).row_bytes(tables[0].dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        sized = tuple(
            TableSizing(
                table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
                settings={"rows": t.closed_rows},
            )
            for t in tables
        )  # fmt: skip
        return Decision(tables=sized, settings={})

    def kept(self, groups: Sequence[GroupSizing], worth: TableWorth) -> float:
        return 1.0

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows]:
        return (Rows("rows", total_rows(tables), tables[0].table.dim),)

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        uniform_rows(group, "rows", self.init, seed=seed)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        tables = group.sizing.tables
        for rows, sized in zip(per_table(group.tensor("rows").data, tables), tables, strict=True):
            rows.copy_(weights[sized.table.name])

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        return row_access(sizing, "rows", width=sizing.tables[0].table.dim)


METHOD = Full
