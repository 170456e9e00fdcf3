"""Ids share rows, and each has one number of its own, by which its row is multiplied.

Paper: MEmCom: Pansare, Katukuri, Arora, Cipollone, Shaik, Tokgozoglu, Venkataraman, Learning Compressed Embeddings for
    On-Device Inference, MLSys 2022, arXiv:2203.10135. Small tables that stay exact are ours, and so are factors that
    begin at 1. The paper's second form adds one more number per id to all numbers of the vector; it is not offered: a
    group that joins is asked either for the rest or for a factor, and has rows as wide as the vector.
Bytes: shared rows x stored row + ids x one number, summed over the tables that this makes smaller, + rows x stored row
    of the others. A factor is kept in the storage of the rows, in float16 where those are codes: a number alone needs
    no scale. All tables are filled with shared rows up to one level, the highest that fits.
Use when: no two ids may have the same vector, frequent ids deserve rows of their own and there are no counts beside the
    order of the ids. At 2x of the Criteo sample it is level with full tables.
Did not help when: the budget is below one number per id and a row per table, by arithmetic (the floor, 1/16 of float32
    tables of dim 16). .003 of AUC behind full tables at 10x of the Criteo sample, .007 at 2x of Frappe, where min_count
    in int8 loses nothing (docs/which_method.md). Whatever ids share a row differ in length and sign alone: no training
    turns their vectors apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing.digits import Digits
from pocketrec.compress.addressing.quotient_remainder import permutation
from pocketrec.compress.holdings import Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.largest import largest_fitting
from pocketrec.compress.parts.row_tables import row_access, starts, total_rows, uniform_rows
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "MEmCom"]

# The part of the method that a group holds: rows of exact tables, rows that ids of a table share, numbers of ids.
_EXACT: Final = "exact"
_SHARED: Final = "shared"
_FACTORS: Final = "factors"
_CODED_FACTORS: Final = "float16"
_SHARES: Final = ("modulo", "hash")


@final
@dataclass(frozen=True, kw_only=True)
class MEmCom(Method):
    """Shared rows times a factor per id.

    Attributes:
        share: who shares a row. ``modulo``: ids with the same remainder by the number of rows, so that of ids in order
            of frequency the most frequent ones all have different rows (the paper's); ``hash``: the same of ids that
            were permuted before, for ids whose order means nothing or too much.
    """

    name = "memcom"
    traits = Traits()

    share: Literal["modulo", "hash"] = "modulo"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("share", self.share in _SHARES, f"be one of {', '.join(_SHARES)}")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return sum(self._bytes(t, 1) for t in tables)

    def _factor_storage(self) -> str:
        return _CODED_FACTORS if STORAGES.get(self.storage).code else self.storage

    def _bytes(self, table: TableSpec, level: int) -> int:
        """Bytes of a table with so many shared rows, or of all its rows where that is less."""
        rows, row_bytes = table.closed_rows, STORAGES.get(self.storage).row_bytes(table.dim)
        factor_bytes = STORAGES.get(self._factor_storage()).row_bytes(1)
        return min(rows * row_bytes, level * row_bytes + rows * factor_bytes)

    def _is_exact(self, table: TableSpec, level: int) -> bool:
        return self._bytes(table, level) == table.closed_rows * STORAGES.get(self.storage).row_bytes(table.dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        most = max(t.closed_rows for t in tables)
        low = largest_fitting(1, most, lambda level: sum(self._bytes(t, level) for t in tables) <= budget_bytes)
        left, sized = budget_bytes - sum(self._bytes(t, low) for t in tables), []
        for table in tables:  # what is left over is less than one more row for all of them
            more = self._bytes(table, low + 1) - self._bytes(table, low)
            level = low + 1 if more <= left else low
            left -= more if level > low else 0
            exact = self._is_exact(table, level)
            settings = {"rows": table.closed_rows if exact else level, "exact": exact}
            told_apart = table.closed_rows - 1 if table.ids == "rank" else 0
            sized.append(TableSizing(table=table, ids=table.ids, told_apart=told_apart, settings=settings))
        return Decision(tables=tuple(sized), settings={})

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision, found = self.decide(tables, budget_bytes, stats), []
        exact = tuple(t for t in decision.tables if t.settings["exact"])
        shared = tuple(t for t in decision.tables if not t.settings["exact"])
        if exact:
            found.append(self.group_sizing(exact, {"part": _EXACT}, optimizer))
        if shared:
            found.append(self.group_sizing(shared, {"part": _SHARED}, optimizer))
            numbers = tuple(
                replace(t, table=replace(t.table, dim=1), settings={"rows": t.table.closed_rows}) for t in shared
            )
            factors = replace(self, storage=self._factor_storage())
            found.append(replace(factors.group_sizing(numbers, {"part": _FACTORS}, optimizer), joins="factor"))
        return tuple(found), decision.notes

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows]:
        return (Rows(settings["part"], total_rows(tables), tables[0].table.dim),)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        part = group.sizing.settings["part"]
        if part == _FACTORS:
            group.tensor(part).data.fill_(1)  # vectors begin as wide as `init` says, and as those of hash_rows
        else:
            uniform_rows(group, part, self.init, seed=seed)

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        part, tables = sizing.settings["part"], sizing.tables
        if part != _SHARED:
            return row_access(sizing, part, width=tables[0].table.dim)
        addressing = [self._digit(t, start) for t, start in zip(tables, starts(tables), strict=True)]
        return Access(regions=(part,), addressing=addressing, width=tables[0].table.dim)

    def _digit(self, sized: TableSizing, start: int) -> Digits:
        ids, rows = sized.table.closed_rows, int(sized.settings["rows"])
        multiplier, shift = permutation(ids, 0) if self.share == "hash" else (1, 0)
        return Digits(start=start, rows=ids, base=rows, multiplier=multiplier, shift=shift)


METHOD = MEmCom
