"""Keep every id, with fewer numbers each; optionally widen them again by a matrix per table.

Paper: none for the plain form; the widening form is the low-rank part of Ginart et al., Mixed Dimension Embeddings,
    ISIT 2021, arXiv:1909.11810 (with one width for all tables).
Bytes: rows x stored row of the width that fits; with `widen` also tables x width x dim x 4.
Use when: the budget is above one number per id and no counts are known. A width of 1 in the same bytes matched the
    best hashing in a synthetic test: never leave this baseline out. It led on KuaiRand at 10x, where users are seen
    3.5 times each (.7232; full tables .7246, robe .7155, min_count .7048, docs/results.md) and on Frappe at 2x
    (.9738; full tables .9778, robe .9693).
Did not help when: the budget is below one number per id (the floor). At 10x on the Criteo sample, with one number per
    id, it was .005 behind min_count, on Frappe at 10x .009 behind robe (docs/results.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Holding, Matrix, Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.row_tables import per_table, row_access, total_rows, uniform_rows
from pocketrec.compress.parts.widening import low_rank, start_matrices
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "Narrow"]


@final
@dataclass(frozen=True, kw_only=True)
class Narrow(Method):
    """A smaller dimension for all ids.

    Attributes:
        widen: multiply each table's rows by a trained width x dim matrix; without it the missing numbers are zeros.
    """

    name = "narrow"
    traits = Traits(from_dense=True, grows=True)

    widen: bool = False

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return self._bytes(tables, 1)

    def _bytes(self, tables: Sequence[TableSpec], width: int) -> int:
        matrices = 4 * len(tables) * width * tables[0].dim if self.widen else 0
        return sum(t.closed_rows for t in tables) * STORAGES.get(self.storage).row_bytes(width) + matrices

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        width = max(w for w in range(1, tables[0].dim + 1) if self._bytes(tables, w) <= budget_bytes)
        sized = tuple(
            TableSizing(
                table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
                settings={"rows": t.closed_rows},
            )
            for t in tables
        )  # fmt: skip
        return Decision(tables=sized, settings={"width": width})

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        width = int(settings["width"])
        rows = Rows("rows", total_rows(tables), width)
        return (rows, Matrix("widen", (len(tables), width, tables[0].table.dim))) if self.widen else (rows,)

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        uniform_rows(group, "rows", self.init, seed=seed)
        if self.widen:
            start_matrices(group, "widen", seed=seed)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        """The best rank-`width` approximation (truncated SVD) with `widen`, else the first `width` numbers."""
        tables, width = group.sizing.tables, int(group.sizing.settings["width"])
        for index, (rows, sized) in enumerate(zip(per_table(group.tensor("rows").data, tables), tables, strict=True)):
            dense = weights[sized.table.name]
            if not self.widen:
                rows.copy_(dense[:, :width])
                continue
            narrowed, group.tensor("widen").data[index] = low_rank(dense, width)
            rows.copy_(narrowed)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        widen = "widen" if self.widen else None
        return row_access(sizing, "rows", width=int(sizing.settings["width"]), widen=widen)


METHOD = Narrow
