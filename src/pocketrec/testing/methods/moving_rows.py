"""Give the ids that matter most a row of their own, and move rows between ids while training.

Paper: none; the smallest thing that has the form of CAFE (Zhang et al., SIGMOD 2024, arXiv:2312.03256): hot ids own a
    row, all others share one, and who is hot is decided from gradients as they come.
Bytes: 4 per id for the map + stored row x (exact rows + 1 shared per table). Training also holds a score per id.
Use when: a test must show that rows can move while training.
Did not help when: used as a method: cold ids of a table all share one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from pocketrec.compress.access import Access
from pocketrec.compress.addressing.mapped import Mapped
from pocketrec.compress.holdings import Fixed, Holding, Rows, Scratch
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.compress.parts.row_tables import starts, total_rows
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from pocketrec.compress.group import Group

__all__ = ["METHOD", "MovingRows"]

_FREE = -1


@final
@dataclass(frozen=True, kw_only=True)
class MovingRows(Method):
    """A shared row per table and `exact` rows that belong to the ids with the highest scores.

    Attributes:
        every: steps between two looks at the scores, 1 or more.
        decay: what scores are multiplied by after each look, in (0, 1].
    """

    name = "moving_rows"
    traits = Traits(adaptive=True)

    every: int = 1
    decay: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("every", self.every >= 1, "be 1 or more")
        self.require("decay", 0 < self.decay <= 1, "lie in (0, 1]")

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        rows = len(tables) + 1
        return 4 * sum(t.closed_rows for t in tables) + rows * STORAGES.get(self.storage).row_bytes(tables[0].dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        ids = sum(t.closed_rows for t in tables)
        rows = (budget_bytes - 4 * ids) // STORAGES.get(self.storage).row_bytes(tables[0].dim)
        sized = tuple(
            TableSizing(
                table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
                settings={"rows": t.closed_rows},
            )
            for t in tables
        )  # fmt: skip
        return Decision(tables=sized, settings={"exact": min(ids, rows - len(tables))})

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        ids, exact = total_rows(tables), int(settings["exact"])
        return (
            Rows("rows", len(tables) + exact, tables[0].table.dim),
            Fixed("map", (ids,), "int32"),
            Scratch("scores", (ids,), "float32"),
            Scratch("owners", (exact,), "int64"),
        )

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        tables = group.sizing.tables
        widest = min(bound(t.table, self.init) for t in tables)
        uniform_(group.tensor("rows").data, widest, seed=stream(seed, 0))
        group.tensor("map").data.copy_(_table_of_id(group))
        group.tensor("scores").data.zero_()
        group.tensor("owners").data.fill_(_FREE)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        sizes = [int(t.settings["rows"]) for t in sizing.tables]
        first = [0, *accumulate(sizes)]
        addressing = [Mapped(start=0, ids=n, map_start=f) for n, f in zip(sizes, first, strict=False)]
        return Access(regions=("rows",), addressing=addressing, width=sizing.tables[0].table.dim, maps="map")

    def after_step(self, group: Group, *, step: int, ids: Tensor, tables: Tensor, importance: Tensor) -> None:
        first = torch.tensor(starts(group.sizing.tables))
        sizes = torch.tensor([int(t.settings["rows"]) for t in group.sizing.tables])
        known = torch.where(ids < sizes[tables], ids, 0)
        scores = group.tensor("scores")
        scores.index_add_(0, first[tables] + known, importance)
        if step % self.every == 0:
            _move(group, scores)
            scores *= self.decay


def _move(group: Group, scores: Tensor) -> None:
    """Make the owners of exact rows those with the highest scores above 0 (ties: the smaller id)."""
    owners, places, shared_of = group.tensor("owners"), group.tensor("map"), _table_of_id(group)
    best = scores.argsort(descending=True, stable=True)[: owners.numel()]
    best = best[scores[best] > 0]
    leaving = ((owners != _FREE) & ~torch.isin(owners, best)).nonzero()[:, 0]
    demoted = owners[leaving]
    places[demoted] = shared_of[demoted].to(torch.int32)
    owners[leaving] = _FREE
    coming = best[~torch.isin(best, owners)]
    slots = (owners == _FREE).nonzero()[: coming.numel(), 0]
    target = len(group.sizing.tables) + slots
    for name in ("rows", *(s.name for s in group.sizing.state)):  # values and the optimizer's state move together
        moved = group.tensor(name).data
        moved[target] = moved[shared_of[coming]]
    places[coming] = target.to(torch.int32)
    owners[slots] = coming


def _table_of_id(group: Group) -> Tensor:
    """int64 [ids]: which table each entry of the map is of, which is also the number of its shared row."""
    sizes = torch.tensor([int(t.settings["rows"]) for t in group.sizing.tables])
    return torch.arange(len(sizes)).repeat_interleave(sizes)


METHOD = MovingRows
