"""Large tables get fewer numbers per id than small ones, which a matrix per table widens again.

Paper: Ginart, Naumov, Mudigere, Yang, Zou, Mixed Dimension Embeddings with Application to Memory-Efficient
    Recommendation Systems, ISIT 2021, arXiv:1909.11810: a table of n rows has dim x (least / n) ** alpha numbers per
    id, least being the rows of the smallest table, rounded to a whole number and then to the nearest power of two
    (facebookresearch/dlrm, tricks/md_embedding_bag.py). The smallest alpha that fits is found as in the VLDB 2024
    benchmark (Zhang et al., arXiv:2311.15578). Ours: tables that narrowing would not make smaller stay whole, starting
    values, and smaller dims for the smallest tables, too, where no alpha fits.
Bytes: rows x stored row of a table's numbers per id + 4 x numbers per id x dim, summed over the narrowed tables, + rows
    x stored row of the others. Powers of two leave bytes of the budget unused, as far as to the next of them.
Use when: tables differ by orders of magnitude in size and there are no counts. At 10x of the Criteo sample it is as
    good as full tables (+.001 of AUC).
Did not help when: tables are alike: at 2x of Frappe .003 behind full tables, which min_count in int8 is not
    (docs/which_method.md). By arithmetic: one number per id is the floor (1/16 of float32 tables of dim 16), and all
    ids of a table have as many numbers, frequent ones as rare ones. Tables of one size get one width: that is `narrow`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Holding, Matrix, Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.row_tables import per_table, row_access, total_rows, uniform_rows
from pocketrec.compress.parts.widening import low_rank, start_matrices
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "Mde"]

# Halvings after which an interval of float64 is as small as it gets.
_HALVINGS: Final = 128


@final
@dataclass(frozen=True, kw_only=True)
class Mde(Method):
    """Mixed dimensions.

    Attributes:
        alpha: how much narrower larger tables are, 0 or more: 0 is all alike. None takes the smallest that fits.
        power_of_two: round numbers per id to powers of two.
    """

    name = "mde"
    traits = Traits(from_dense=True, rounds=True)

    alpha: float | None = None
    power_of_two: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("alpha", self.alpha is None or 0 <= self.alpha < math.inf, "be 0 or more, and finite")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        if self.alpha is not None:
            return self._bytes(tables, self._widths(tables, self.alpha, tables[0].dim))
        return self._bytes(tables, [1] * len(tables))

    def _widths(self, tables: Sequence[TableSpec], alpha: float, top: int) -> list[int]:
        """The law: numbers per id of each table, where the smallest one has `top`."""
        least = min(t.closed_rows for t in tables)
        widths = [max(1, round(top * (least / t.closed_rows) ** alpha)) for t in tables]
        if self.power_of_two:
            # dim itself is never rounded, whatever number it is
            widths = [w if w == t.dim else 2 ** round(math.log2(w)) for w, t in zip(widths, tables, strict=True)]
        return [min(w, t.dim) for w, t in zip(widths, tables, strict=True)]

    def _held(self, table: TableSpec, width: int) -> tuple[int, int]:
        """Bytes of a table, and its numbers per id: all of them where fewer, with a matrix, are not less."""
        kept, rows = STORAGES.get(self.storage), table.closed_rows
        narrowed, whole = rows * kept.row_bytes(width) + 4 * width * table.dim, rows * kept.row_bytes(table.dim)
        return (narrowed, width) if narrowed < whole and width < table.dim else (whole, table.dim)

    def _bytes(self, tables: Sequence[TableSpec], widths: Sequence[int]) -> int:
        return sum(self._held(t, w)[0] for t, w in zip(tables, widths, strict=True))

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        alpha, top = self._law(tables, budget_bytes)
        sized = []
        for table, law in zip(tables, self._widths(tables, alpha, top), strict=True):
            settings = {"rows": table.closed_rows, "width": self._held(table, law)[1]}
            told_apart = table.closed_rows - 1 if table.ids == "rank" else 0
            sized.append(TableSizing(table=table, ids=table.ids, told_apart=told_apart, settings=settings))
        return Decision(tables=tuple(sized), settings={"alpha": alpha, "top": top})

    def _law(self, tables: Sequence[TableSpec], budget_bytes: int) -> tuple[float, int]:
        """The smallest alpha that fits with a whole dim for the smallest table, else the largest dim that fits for it.

        Widths fall as alpha rises, and bytes with them.
        """
        dim = tables[0].dim
        if self.alpha is not None:
            return self.alpha, dim

        def fits(alpha: float, top: int) -> bool:
            return self._bytes(tables, self._widths(tables, alpha, top)) <= budget_bytes

        high = _last_alpha(tables)
        if not fits(high, dim):
            return high, max(top for top in range(1, dim + 1) if fits(high, top))
        low = 0.0
        if fits(low, dim):
            return low, dim
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if fits(middle, dim) else (middle, high)
        return high, dim

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        """One group per width, the widest first: tables are looked up in one call where they are alike."""
        decision = self.decide(tables, budget_bytes, stats)
        by_width: dict[int, list[TableSizing]] = {}
        for sized in decision.tables:
            by_width.setdefault(int(sized.settings["width"]), []).append(sized)
        return tuple(
            self.group_sizing(by_width[width], {**decision.settings, "width": width}, optimizer)
            for width in sorted(by_width, reverse=True)
        ), decision.notes

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        width, dim = int(settings["width"]), tables[0].table.dim
        rows = Rows("rows", total_rows(tables), width)
        return (rows, Matrix("widen", (len(tables), width, dim))) if width < dim else (rows,)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        uniform_rows(group, "rows", self.init, seed=seed)
        if group.access.widen:
            start_matrices(group, "widen", seed=seed)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        """The best approximation of each table by so many numbers per id (truncated SVD)."""
        tables, width = group.sizing.tables, int(group.sizing.settings["width"])
        for index, (rows, sized) in enumerate(zip(per_table(group.tensor("rows").data, tables), tables, strict=True)):
            narrowed = weights[sized.table.name]
            if group.access.widen:
                narrowed, group.tensor("widen").data[index] = low_rank(narrowed, width)
            rows.copy_(narrowed)

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        width = int(sizing.settings["width"])
        return row_access(sizing, "rows", width=width, widen="widen" if width < sizing.tables[0].table.dim else None)


def _last_alpha(tables: Sequence[TableSpec]) -> float:
    """An alpha at which all but the smallest tables have one number per id: dim x (least / n) ** alpha is at most 1."""
    least = min(t.closed_rows for t in tables)
    larger = [t.closed_rows for t in tables if t.closed_rows > least]
    return math.log(tables[0].dim) / math.log(min(larger) / least) if larger else 0.0


METHOD = Mde
