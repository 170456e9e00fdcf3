"""Large tables as tensor trains: an id's vector is the product of a small slice of each of two to four cores.

Paper: Yin, Acun, Wu, Liu, TT-Rec: Tensor Train Compression for Deep Learning Recommendation Models, MLSys 2021,
    arXiv:2101.11714; factors of the rows, and one rank for all tables, as in the VLDB 2024 benchmark (Zhang et al.,
    arXiv:2311.15578). Products that ids begin with alike are found once (EL-Rec, SC 2022). Starting values are ours.
Bytes: stored row of `rank` numbers x (p1 q1 + rank p2 q2 + p3 q3), summed over the tables that this makes smaller, +
    rows x stored row of the others; p1 p2 p3 are at least a table's rows, q1 q2 q3 its dim; rank is the largest that
    fits.
Use when: tables of millions of rows must be trained in the budget's bytes too, and every id shall keep a vector that no
    other has. Ids in order of frequency (ranks) make it faster: frequent ones begin alike. For frequent ids beside it
    that learn by themselves: offline_split with cold=tt_rec, whose rows nobody starts anew.
Did not help when: rare ids may be folded: on the Criteo sample it is .0054, .0019 and .0035 behind min_count at 10x,
    100x and 1000x, and against hash_rows .0026 behind at 10x, .0043 ahead at 100x (docs/results.md, "Tensor trains").
    With one rank for all tables up to a third of a small budget stays unused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.chain import Chain
from pocketrec.compress.holdings import Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.exact_tables import EXACT, exact_access, exact_holding, groups_beside_exact, is_exact
from pocketrec.compress.parts.init import bound, stream
from pocketrec.compress.parts.largest import largest_fitting
from pocketrec.compress.parts.row_tables import per_table, starts, total_rows, uniform_rows
from pocketrec.compress.parts.tensor_train import (
    START_VALUES,
    StartValues,
    core_rows,
    decompose,
    dim_factors,
    row_factors,
    start_values,
)
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "TTRec"]

_CORES: Final = "cores"
_MOST_RANK: Final = 4096


@final
@dataclass(frozen=True, kw_only=True)
class TTRec(Method):
    """Tensor trains.

    Attributes:
        cores: of each table, 2 to 4.
        rank: of all cores, 1 to 4096; None takes the largest that fits the budget.
        start: from which distribution cores are drawn. ``tail_normal``: the paper's, a normal one without the numbers
            within two standard deviations of zero, so that products do not pile up there, scaled so that a vector's
            numbers have the variance that `init` says at every rank; ``normal``: all numbers, scaled so; ``published``:
            the tail, scaled as FBTT-Embedding scales it, whatever the rank (numbers of a vector are then wider by
            about 13.8 x rank at three cores).
    """

    name = "tt_rec"
    traits = Traits(ids=("rank", "plain"), from_dense=True)

    cores: int = 3
    rank: int | None = None
    start: StartValues = "tail_normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("cores", 2 <= self.cores <= 4, "lie in 2..4")
        self.require("rank", self.rank is None or 1 <= self.rank <= _MOST_RANK, f"lie in 1..{_MOST_RANK}")
        self.require("start", self.start in START_VALUES, f"be one of {', '.join(START_VALUES)}")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return self._bytes(tables, self.rank or 1)

    def _bytes(self, tables: Sequence[TableSpec], rank: int) -> int:
        return sum(min(self._exact_bytes(t), self._core_bytes(t, rank)) for t in tables)

    def _exact_bytes(self, table: TableSpec) -> int:
        return table.closed_rows * STORAGES.get(self.storage).row_bytes(table.dim)

    def _core_bytes(self, table: TableSpec, rank: int) -> int:
        rows = sum(core_rows(row_factors(table.closed_rows, self.cores), dim_factors(table.dim, self.cores), rank))
        return rows * STORAGES.get(self.storage).row_bytes(rank)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        rank = self.rank or self._largest_rank(tables, budget_bytes)
        sized = tuple(self._sized(t, rank) for t in tables)
        return Decision(tables=sized, settings={"rank": rank})

    def _sized(self, table: TableSpec, rank: int) -> TableSizing:
        factors, rows, own = row_factors(table.closed_rows, self.cores), table.closed_rows, False
        if self._core_bytes(table, rank) < self._exact_bytes(table):
            rows, own = sum(core_rows(factors, dim_factors(table.dim, self.cores), rank)), True
        return TableSizing(
            table=table, ids=table.ids, told_apart=table.closed_rows - 1 if table.ids == "rank" else 0,
            settings={"rows": rows, "factors": list(factors) if own else []},
        )  # fmt: skip

    def _largest_rank(self, tables: Sequence[TableSpec], budget_bytes: int) -> int:
        return largest_fitting(1, _MOST_RANK, lambda rank: self._bytes(tables, rank) <= budget_bytes)

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision = self.decide(tables, budget_bytes, stats)
        trains = [bool(t.settings["factors"]) for t in decision.tables]
        return groups_beside_exact(self, decision, optimizer, part=_CORES, compressed=trains), decision.notes

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows]:
        cores = Rows(_CORES, total_rows(tables), int(settings["rank"]))
        return (cores if settings["part"] == _CORES else exact_holding(tables),)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        if is_exact(group.sizing):
            uniform_rows(group, EXACT, self.init, seed=seed)
            return
        rank = int(group.sizing.settings["rank"])
        for index, (sized, rows) in enumerate(_trained(group)):
            deviation = bound(sized.table, self.init) / math.sqrt(3)
            start_values(rows, self.start, deviation, rank=rank, cores=self.cores, seed=stream(seed, index))

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        """By TT-SVD (Oseledets, Tensor-Train Decomposition, SIAM J. Sci. Comput. 2011)."""
        if is_exact(group.sizing):
            tables = group.sizing.tables
            for rows, sized in zip(per_table(group.tensor(EXACT).data, tables), tables, strict=True):
                rows.copy_(weights[sized.table.name][: len(rows)])
            return
        for sized, rows in _trained(group):
            factors = dim_factors(sized.table.dim, self.cores)
            decompose(weights[sized.table.name], sized.settings["factors"], factors, into=rows)

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
                    row_factors=tables[own].settings["factors"],
                )
            )  # fmt: skip
        return Access(
            regions=(_CORES,), addressing=addressing, width=dim, parts=self.cores, combine=Combine.contract, rank=rank
        )


def _trained(group: Group) -> list[tuple[TableSizing, Tensor]]:
    """The tables of a group of cores that have some, each with its rows of the stacked tensor."""
    tables = group.sizing.tables
    pieces = per_table(group.tensor(_CORES).data, tables)
    return [(sized, rows) for sized, rows in zip(tables, pieces, strict=True) if len(rows)]


METHOD = TTRec
