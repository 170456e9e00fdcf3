"""Keep rows for the ids with the largest gradients only, found by a score per id; all others are zero vectors.

Paper: Lai et al., AdaEmbed: Adaptive Embedding for Large-Scale Recommendation Models, OSDI 2023, in the form that CAFE
    is compared with (Zhang et al., SIGMOD 2024, arXiv:2312.03256): scores are sums of gradient norms, each divided by
    the mean of its table and batch (there the table's 95th percentile), and decay; who is in is looked at from time to
    time, over all ids.
Bytes: 4 per id for its row's number + stored row x rows that the rest of the budget holds. Training holds 4 more per id
    for the score. Both grow with the ids, so at a few hundredths of the tables nothing is left for rows.
Use when: as the mark that a sketch must reach, which knows only some of the scores; budgets near the tables' own.
Did not help when: dim 16 cannot be had below 1/16 of the tables, by its bytes. On the Criteo sample .006 and .005 of
    AUC behind full tables at 2x and 10x, where min_count loses nothing; .007 at 2x of Frappe (docs/which_method.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing.mapped import Mapped
from pocketrec.compress.holdings import Fixed, Holding, Rows, Scratch
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import uniform_
from pocketrec.compress.parts.promoted import write_rows
from pocketrec.compress.parts.row_tables import starts, total_rows
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "AdaEmbed"]

_NONE = -1


@final
@dataclass(frozen=True, kw_only=True)
class AdaEmbed(Method):
    """Rows for those with the highest scores; a row begins at zero, as what was read before.

    A model that knows only products of vectors (a DLRM without dense numbers) has no gradient where all are zero.
    There the ids of the first batch get rows, the most frequent first, that begin with drawn numbers.

    Attributes:
        every: steps between two looks at all scores, 1 or more. The first look comes after the first step, when all
            rows are free.
        change: least share of the rows that must change hands, in 0..1; below it none does, and free rows are given.
        decay: what scores are multiplied by at each look, in (0, 1].
    """

    name = "ada_embed"
    traits = Traits(adaptive=True)

    every: int = 100
    change: float = 0.05
    decay: float = 0.98

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("every", self.every >= 1, "be 1 or more")
        self.require("change", 0 <= self.change <= 1, "lie in 0..1")
        self.require("decay", 0 < self.decay <= 1, "lie in (0, 1]")

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return 4 * sum(t.closed_rows for t in tables) + STORAGES.get(self.storage).row_bytes(tables[0].dim)

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
        return Decision(tables=sized, settings={"hot_rows": min(ids, rows)})

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        ids = total_rows(tables)
        return (
            Rows("hot", int(settings["hot_rows"]), tables[0].table.dim),
            Fixed("map", (ids,), "int32"),
            Scratch("scores", (ids,), "float32"),
        )

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        for name in ("hot", "scores"):
            group.tensor(name).data.zero_()
        group.tensor("map").fill_(_NONE)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        sizes = [int(t.settings["rows"]) for t in sizing.tables]
        addressing = [Mapped(start=0, ids=n, map_start=f) for n, f in zip(sizes, starts(sizing.tables), strict=True)]
        return Access(regions=("hot",), addressing=addressing, width=sizing.tables[0].table.dim, maps="map")

    def after_step(self, group: Group, *, step: int, ids: Tensor, tables: Tensor, importance: Tensor) -> None:
        import torch  # here, not above: sizing answers without it

        from pocketrec.native.scored_keys import normalised

        first = torch.tensor(starts(group.sizing.tables))
        sizes = torch.tensor([int(t.settings["rows"]) for t in group.sizing.tables])
        known = torch.where(ids < sizes[tables], ids, 0)
        scores = group.tensor("scores")
        stuck = not importance.any() and bool((group.tensor("map") == _NONE).all())
        if stuck:
            importance = torch.ones_like(importance)
        scores.index_add_(0, first[tables] + known, normalised(importance, tables, len(sizes)))
        if stuck or step == 1 or step % self.every == 0:
            _give_rows(group, self.change, drawn=stuck)
            if step % self.every == 0:
                scores *= self.decay


def _give_rows(group: Group, change: float, *, drawn: bool) -> None:
    """Let those with the highest scores above 0 own the rows, if so large a share of the rows would change hands.

    For fewer no row changes hands; rows that nobody owns are given all the same. They begin at zero, or with numbers
    that are `drawn`, always the same ones.
    """
    import torch

    places, scores = group.tensor("map"), group.tensor("scores")
    rows = group.tensor("hot").shape[0]
    best = scores.topk(rows).indices
    best = best[scores[best] > 0]
    stays = torch.zeros(len(scores), dtype=torch.bool)
    stays[best] = True
    coming = best[places[best] == _NONE]
    if len(coming) < change * rows:
        coming = coming[: rows - int((places >= 0).sum())]
    else:
        places[~stays] = _NONE
    if not len(coming):
        return
    unused = torch.ones(rows, dtype=torch.bool)
    unused[places[places >= 0].long()] = False
    taken = unused.nonzero()[: len(coming), 0]
    begin = torch.zeros(len(coming), group.dim)
    if drawn:
        uniform_(begin, rows**-0.5, seed=0)
    write_rows(group, "hot", taken, begin, [])
    places[coming] = taken.to(torch.int32)


METHOD = AdaEmbed
