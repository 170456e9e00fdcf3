"""Give the first ids of every table a row of their own; all later ids share the row of id 0.

Paper: none; the smallest method that compresses, written to see what a new method costs.
Bytes: stored row x rows that fit, shared out by filling all tables up to one level.
Use when: trying how a method is added.
Did not help when: the first ids are not the frequent ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from pocketrec.compress.access import Access
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.group import Group
from pocketrec.compress.holdings import Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.row_tables import starts, total_rows, uniform_rows
from pocketrec.compress.share import waterfill
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec


@final
@dataclass(frozen=True, kw_only=True)
class HeadRows(Method):
    """Rows for the first ids."""

    name = "head_rows"
    traits = Traits()

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return len(tables) * STORAGES.get(self.storage).row_bytes(tables[0].dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        shares = waterfill([t.closed_rows for t in tables], budget_bytes // self.least_bytes(tables[:1]))
        sized = [
            TableSizing(table=t, ids=t.ids, told_apart=rows - 1 if t.ids == "rank" else 0, settings={"rows": rows})
            for t, rows in zip(tables, shares, strict=True)
        ]
        return Decision(tables=tuple(sized), settings={})

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows]:
        return (Rows("rows", total_rows(tables), tables[0].table.dim),)

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        uniform_rows(group, "rows", self.init, seed=seed)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        addressing = [
            Row(start=start, rows=t.settings["rows"])
            for start, t in zip(starts(sizing.tables), sizing.tables, strict=True)
        ]
        return Access(regions=("rows",), addressing=addressing, width=sizing.tables[0].table.dim)


METHOD = HeadRows
