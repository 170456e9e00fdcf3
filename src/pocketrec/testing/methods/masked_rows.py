"""Train all rows, keep those that grew longest, and train these again: two stages, the second under a mask.

Paper: none; the smallest thing that has the form of the pruning methods (search, mask, retrain).
Bytes: 4 per id for the map + stored row x rows kept. Training holds all rows in the first stage.
Use when: a test must show that a method can train in stages and carry a decision from one into the next.
Did not help when: used as a method: a map of 4 bytes per id costs more than a row of 4 int8 numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from pocketrec.compress.access import Access
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.mapped import Mapped
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.holdings import Fixed, Holding, Rows
from pocketrec.compress.in_float32 import float32_weights
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.compress.parts.row_tables import starts, total_rows, uniform_rows
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stage import Stage
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from pocketrec.compress.group import Group

__all__ = ["METHOD", "MaskedRows"]

_PRUNED = -1


@final
@dataclass(frozen=True, kw_only=True)
class MaskedRows(Method):
    """Rows under a mask: an id whose map entry is -1 reads zeros.

    Attributes:
        search_epochs: length of the first stage.
    """

    name = "masked_rows"
    traits = Traits(staged=True)

    search_epochs: int = 1

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return 4 * sum(t.closed_rows for t in tables) + STORAGES.get(self.storage).row_bytes(tables[0].dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        ids = sum(t.closed_rows for t in tables)
        kept = min(ids, (budget_bytes - 4 * ids) // STORAGES.get(self.storage).row_bytes(tables[0].dim))
        sized = tuple(
            TableSizing(
                table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
                settings={"rows": t.closed_rows},
            )
            for t in tables
        )  # fmt: skip
        return Decision(tables=sized, settings={"kept": kept})

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        ids, dim = total_rows(tables), tables[0].table.dim
        if settings.get("search"):
            return (Rows("rows", ids, dim),)
        return Rows("rows", int(settings["kept"]), dim), Fixed("map", (ids,), "int32")

    def stages(self, sizing: GroupSizing, optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        search = self.group_sizing(sizing.tables, {**sizing.settings, "search": True}, optimizer)
        # what it will be frozen to, whenever that is; and it may be the cold part of another method
        search = replace(search, serve=sizing.serve, joins=sizing.joins)
        return (
            (Stage(name="search", epochs=self.search_epochs), search),
            (Stage(name="retrain", optimizer="keep"), sizing),
        )

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        if group.sizing.settings.get("search"):
            uniform_rows(group, "rows", self.init, seed=seed)
            return
        # without a first stage the first ids of every table are kept, in turn
        kept, tables = int(group.sizing.settings["kept"]), group.sizing.tables
        widest = min(bound(t.table, self.init) for t in tables)
        uniform_(group.tensor("rows").data, widest, seed=stream(seed, 0))
        place = torch.cat([torch.arange(int(t.settings["rows"])) for t in tables])
        _write_map(group, place.argsort(stable=True)[:kept].sort().values)

    def warm(self, group: Group, previous: Group) -> None:
        before, now = (bool(g.sizing.settings.get("search")) for g in (previous, group))
        if now == before:
            super().warm(group, previous)
        elif now:
            raise NotImplementedError("masked_rows cannot search again from pruned rows")
        else:
            ids = _longest(float32_weights(previous, "rows"), int(group.sizing.settings["kept"]))
            _write_map(group, ids)
            for name in ("rows", *(s.name for s in group.sizing.state)):
                group.tensor(name).data.copy_(previous.tensor(name).data[ids])

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        if not group.sizing.settings.get("search"):
            return super().frozen(group)
        rows, settings = float32_weights(group, "rows"), dict(group.sizing.settings)
        settings.pop("search")
        ids = _longest(rows, int(settings["kept"]))
        held = {"rows": STORAGES.get(self.storage).encode(rows[ids]), "map": _map(ids, rows.shape[0])}
        return replace(group.sizing, settings=settings), held

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        sizes, dim = [int(t.settings["rows"]) for t in sizing.tables], sizing.tables[0].table.dim
        addressing: list[Addressing] = []
        if sizing.settings.get("search"):
            addressing += [Row(start=s, rows=n) for s, n in zip(starts(sizing.tables), sizes, strict=True)]
            return Access(regions=("rows",), addressing=addressing, width=dim)
        first = [0, *accumulate(sizes)]
        addressing += [Mapped(start=0, ids=n, map_start=f) for n, f in zip(sizes, first, strict=False)]
        return Access(regions=("rows",), addressing=addressing, width=dim, maps="map")


def _longest(rows: Tensor, kept: int) -> Tensor:
    """Numbers of the `kept` longest rows, rising; the first ones win ties."""
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1)
    return lengths.argsort(descending=True, stable=True)[:kept].sort().values


def _map(ids: Tensor, entries: int) -> Tensor:
    """int32 [entries]: the place of each of the rising `ids` among themselves, -1 for all others."""
    found = torch.full((entries,), _PRUNED, dtype=torch.int32)
    found[ids] = torch.arange(ids.numel(), dtype=torch.int32)
    return found


def _write_map(group: Group, ids: Tensor) -> None:
    target = group.tensor("map").data
    target.copy_(_map(ids, target.numel()))


METHOD = MaskedRows
