"""Large tables as cores of one rank, which are multiplied when looked up, beside small ones that stay exact."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.chain import Chain
from pocketrec.compress.holdings import Rows
from pocketrec.compress.method import Decision, Method
from pocketrec.compress.parts.exact_tables import EXACT, exact_access, exact_holding, groups_beside_exact, is_exact
from pocketrec.compress.parts.init import bound, stream
from pocketrec.compress.parts.largest import largest_fitting
from pocketrec.compress.parts.row_tables import per_table, starts, total_rows, uniform_rows
from pocketrec.compress.parts.tensor_train import StartValues, core_rows, dim_factors, row_factors, start_values
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["CoreTables", "trained_tables"]

_CORES: Final = "cores"
_MOST_RANK: Final = 4096


@dataclass(frozen=True, kw_only=True)
class CoreTables(Method):
    """Tables whose vectors are contractions of cores, see `pocketrec.native.chain`.

    Attributes:
        cores: of each table, 2 to 4.
        rank: of all cores, 1 to 4096; None takes the largest that fits the budget.
        fill: whether bytes that the largest rank leaves make tables exact, those first that this costs fewest. A rank
            that is given fills nothing.
    """

    cores: int = 3
    rank: int | None = None
    fill: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("cores", 2 <= self.cores <= 4, "lie in 2..4")
        self.require("rank", self.rank is None or 1 <= self.rank <= _MOST_RANK, f"lie in 1..{_MOST_RANK}")

    @abstractmethod
    def outer_rank(self, rank: int) -> int:
        """Trains that are added up to a ring, at a rank of the cores; 1 for a train."""

    @property
    @abstractmethod
    def start_values(self) -> StartValues:
        """From which distribution cores are drawn."""

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return self._bytes(tables, self.rank or 1)

    def _bytes(self, tables: Sequence[TableSpec], rank: int) -> int:
        return sum(min(self._exact_bytes(t), self._core_bytes(t, rank)) for t in tables)

    def _exact_bytes(self, table: TableSpec) -> int:
        return table.closed_rows * STORAGES.get(self.storage).row_bytes(table.dim)

    def _core_bytes(self, table: TableSpec, rank: int) -> int:
        return self._core_rows(table, rank) * STORAGES.get(self.storage).row_bytes(rank)

    def _core_rows(self, table: TableSpec, rank: int) -> int:
        factors = row_factors(table.closed_rows, self.cores), dim_factors(table.dim, self.cores)
        return sum(core_rows(*factors, rank, outer=self.outer_rank(rank)))

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        rank = self.rank or self._largest_rank(tables, budget_bytes)
        exact = self._exact(tables, rank, budget_bytes)
        sized = tuple(self._sized(t, rank, exact=own) for t, own in zip(tables, exact, strict=True))
        return Decision(tables=sized, settings={"rank": rank})

    def _exact(self, tables: Sequence[TableSpec], rank: int, budget_bytes: int) -> list[bool]:
        """Which tables are exact: those that cores do not make smaller, and those that fit besides."""
        more = [self._exact_bytes(t) - self._core_bytes(t, rank) for t in tables]
        exact = [m <= 0 for m in more]
        left = budget_bytes - self._bytes(tables, rank)
        for index in sorted(range(len(tables)), key=lambda i: (more[i], i)) if self.fill and self.rank is None else ():
            if not exact[index] and more[index] <= left:
                exact[index] = True
                left -= more[index]
        return exact

    def _sized(self, table: TableSpec, rank: int, *, exact: bool) -> TableSizing:
        factors = [] if exact else list(row_factors(table.closed_rows, self.cores))
        return TableSizing(
            table=table, ids=table.ids, told_apart=table.closed_rows - 1 if table.ids == "rank" else 0,
            settings={"rows": table.closed_rows if exact else self._core_rows(table, rank), "factors": factors},
        )  # fmt: skip

    def _largest_rank(self, tables: Sequence[TableSpec], budget_bytes: int) -> int:
        return largest_fitting(1, _MOST_RANK, lambda rank: self._bytes(tables, rank) <= budget_bytes)

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision = self.decide(tables, budget_bytes, stats)
        trained = [bool(t.settings["factors"]) for t in decision.tables]
        return groups_beside_exact(self, decision, optimizer, part=_CORES, compressed=trained), decision.notes

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows]:
        cores = Rows(_CORES, total_rows(tables), int(settings["rank"]))
        return (cores if settings["part"] == _CORES else exact_holding(tables),)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        if is_exact(group.sizing):
            uniform_rows(group, EXACT, self.init, seed=seed)
            return
        rank = int(group.sizing.settings["rank"])
        for index, (sized, rows) in enumerate(trained_tables(group)):
            start_values(
                rows, self.start_values, bound(sized.table, self.init) / math.sqrt(3), rank=rank, cores=self.cores,
                outer=self.outer_rank(rank), seed=stream(seed, index),
            )  # fmt: skip

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        if is_exact(sizing):
            return exact_access(sizing)
        tables, dim = sizing.tables, sizing.tables[0].table.dim
        rank, factors, given = int(sizing.settings["rank"]), dim_factors(dim, self.cores), starts(tables)
        # a table that is exact is never asked for here, and reads the cores of another one
        some = next(i for i, t in enumerate(tables) if t.settings["rows"])
        addressing: list[Addressing] = []
        for index, t in enumerate(tables):
            own = index if t.settings["rows"] else some
            addressing.append(
                Chain(
                    start=given[own], ids=tables[own].table.closed_rows, rank=rank, dim_factors=factors,
                    row_factors=tables[own].settings["factors"], outer=self.outer_rank(rank),
                )
            )  # fmt: skip
        return Access(
            regions=(_CORES,), addressing=addressing, width=dim, parts=self.cores, combine=Combine.contract, rank=rank
        )


def trained_tables(group: Group) -> list[tuple[TableSizing, Tensor]]:
    """The tables of a group of cores that have some, each with its rows of the stacked tensor."""
    tables = group.sizing.tables
    pieces = per_table(group.tensor(_CORES).data, tables)
    return [(sized, rows) for sized, rows in zip(tables, pieces, strict=True) if len(rows)]
