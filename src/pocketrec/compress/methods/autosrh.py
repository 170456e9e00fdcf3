"""Validation rows say how much each dimension of frequent and of rare ids counts; by that numbers are pruned.

Paper: Kong, Cheng, Shen, Huang, AutoSrh: An Embedding Dimensionality Search Framework for Tabular Data Prediction, TKDE
    35(7), 2023, doi 10.1109/TKDE.2022.3186387, which is DNIS (Cheng, Shen, Huang, arXiv:2006.04466) for CTR; settings
    of the VLDB 2024 benchmark (Zhang et al., arXiv:2311.15578): ids in six bands by how often they occur, of equal
    size as far as ids of one count stay together; alpha in [0, 1] per band and dimension, 1 at the beginning; a vector
    is its row x alpha of its band. A warm-up; then rows learn from training rows with the nets at rest, in turn with
    alpha from validation rows: plain steps of .001 by the gradient of loss + 1e-5 x sum of |alpha|, divided by the mean
    magnitude of its band's; then the numbers of largest |row x alpha| are kept, and train once more. Only the papers'
    abstracts and programs were at hand: bands are those of the benchmark (the program is given them), all stages go on
    with the values of the one before and with a new optimizer, as in the benchmark. Both programs prune last (`order`
    "retrain"); AutoSrh's abstract says that it prunes, then retrains, which its program calls optional.
Bytes: per number that is kept 3 or 4, its place and its value in float16, whichever width of places keeps more; and 4
    per block of 256 / dim or 65,536 / dim rows. Training holds all rows, and a bit per number in the last stage. A
    vocabulary tells all ids apart.
Use when: training may take the memory of all rows, and serving may not; there are validation rows, and rare ids need
    other dimensions than frequent ones. At 2x of Frappe it is level with full tables.
Did not help when: second epochs overfit, as on the Criteo sample: .006 of AUC behind full tables at 2x and 10x, with
    `rate` .01 and `retrain` "inherit". On Frappe .014 at 10x, where coded loses .001; on KuaiRand .010
    (docs/which_method.md). By arithmetic: a step of alpha is .001 in the mean, so that a search of fewer than a
    thousand steps cannot bring it from 1 to 0. Validation rows move alpha, so that figures on them flatter it, and a
    refit has no rows to search on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Holding, Matrix, Rows, Scratch
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.packed_sparse import pack, store_holdings
from pocketrec.compress.parts.pruned_rows import (
    BEGINS,
    KEPT,
    ROWS,
    SEARCHED,
    SETTLED,
    frozen_pruned,
    keep_all_but_pruned,
    keep_largest,
    least_bytes,
    prune,
    pruned_decision,
    pruned_holdings,
    searched_together,
    settled_store,
    sparse_size,
    start_pruned,
    store_or_rows,
)
from pocketrec.compress.parts.row_tables import fold_dense, per_table, total_rows, uniform_rows
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stage import Stage
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.computed import Asked
    from pocketrec.compress.group import Group

__all__ = ["METHOD", "AutoSrh"]

_ALPHA: Final = "alpha"
_CHUNK_NUMBERS: Final = 1 << 22
_TINY: Final = 1e-8  # as in both programs: a band that nobody asked for has a gradient of zeros


@final
@dataclass(frozen=True, kw_only=True)
class AutoSrh(Method):
    """Soft selection of dimensions by bands of frequency, then pruning by magnitude.

    Attributes:
        bands: of ids by how often they occur, 1 or more. Fewer, where too many ids share one count.
        warm_epochs: of training before alpha is searched, 0 or more.
        search_epochs: length of the search, 1 or more.
        rate: of the plain steps of alpha, above 0.
        l1: weight of the loss that is the sum of alpha, 0 or more.
        order: what follows the search: "prune", then the last stage trains what is left; or "retrain", then what it
            trained is pruned when it is frozen, and validation rows choose among epochs that were not pruned.
        retrain: what the last stage begins with under its mask, or under alpha: what the search ended with
            ("inherit"), as in the programs; or, ours, rows and nets of the run's beginning ("initial"), or rows of
            another seed ("fresh"), where a third time through the rows would learn them by heart.
    """

    name = "autosrh"
    traits = Traits(
        ids=("rank",), needs_counts=True, staged=True, settles=True, moves=(_ALPHA,), from_dense=True,
        storages=("float16",),
    )  # fmt: skip

    storage: str = "float16"
    bands: int = 6
    warm_epochs: int = 1
    search_epochs: int = 1
    rate: float = 1e-3
    l1: float = 1e-5
    order: Literal["prune", "retrain"] = "prune"
    retrain: Literal["initial", "fresh", "inherit"] = "inherit"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("bands", self.bands >= 1, "be 1 or more")
        self.require("warm_epochs", self.warm_epochs >= 0, "be 0 or more")
        self.require("search_epochs", self.search_epochs >= 1, "be 1 or more")
        self.require("rate", 0 < self.rate < math.inf, "be above 0, and finite")
        self.require("l1", 0 <= self.l1 < math.inf, "be 0 or more, and finite")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return least_bytes(self.name, tables)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        found = pruned_decision(self.name, tables, budget_bytes, f"become zeros, {self._when}.")
        known = [stats[t.name] for t in tables]
        least = _least_counts(tables, known, self.bands)
        sized = tuple(
            replace(t, settings={**t.settings, "ends": [min(_above(own, c), t.settings["rows"] - 1) for c in least]})
            for t, own in zip(found.tables, known, strict=True)
        )
        return replace(found, tables=sized, settings={**found.settings, "bands": 1 + len(least)})

    @property
    def _when(self) -> str:
        return "when the search has ended" if self.order == "prune" else "when the model is frozen"

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        searches, shape = settings.get(SEARCHED), (int(settings["bands"]), tables[0].table.dim)
        if not searches and self.order == "prune":
            return pruned_holdings(tables, settings)
        alpha = Matrix(_ALPHA, shape, served=False) if searches else Scratch(_ALPHA, shape, "float32", stays=True)
        rows = Rows(ROWS, total_rows(tables), tables[0].table.dim, served=False)
        return rows, alpha, *store_holdings(sparse_size(tables, settings))

    # -- stages ------------------------------------------------------------------------------------------------------

    def stages(self, sizing: GroupSizing, optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        begin = "warm" if sizing.settings.get(SETTLED) else BEGINS[self.retrain]
        return ((Stage(name="retrain", begin=begin, judged_first=begin == "warm"), sizing),)

    def search(self, groups: Sequence[GroupSizing], optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        if any(group.settings.get(SETTLED) for group in groups):  # yesterday's choice goes on
            return ()
        tables, settings = searched_together(groups)
        settings["bands"] = max(int(group.settings["bands"]) for group in groups)
        every = self.group_sizing(tables, {**settings, SEARCHED: True}, optimizer)
        every = replace(every, joins=groups[0].joins)  # it may be the cold part of another method
        warm = ((Stage(name="warm", epochs=self.warm_epochs), every),) if self.warm_epochs else ()
        return *warm, (Stage(name="search", epochs=self.search_epochs, dense=False, held_out=(_ALPHA,)), every)

    def settled(self, group: Group, optimizer: OptimizerSpec) -> tuple[GroupSizing, ...]:
        sizing = group.sizing
        if not sizing.settings.get(SEARCHED):
            return (sizing,)
        found = self.group_sizing(sizing.tables, settled_store(sizing.settings), optimizer)
        return (replace(found, joins=sizing.joins),)

    def move(self, group: Group, name: str, gradient: Tensor, *, held_out: bool) -> None:
        """See `pocketrec.compress.moves`."""
        if not held_out:  # the warm-up, in which it rests
            return
        step = gradient / (gradient.abs().mean(dim=1, keepdim=True) + _TINY)
        group.tensor(name).data.sub_(self.rate * step).clamp_(0.0, 1.0)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        if self._is_pruned(group):
            start_pruned(group, self.init, seed=seed)
            return
        uniform_rows(group, ROWS, self.init, seed=seed)
        group.tensor(_ALPHA).data.fill_(1.0)

    def warm(self, group: Group, previous: Group) -> None:
        before, now = (bool(g.sizing.settings.get(SEARCHED)) for g in (previous, group))
        if now and not before:
            raise OptionError(
                "autosrh cannot search again what was pruned. Keep the sizing of the model that you continue."
            )
        if before == now or not self._is_pruned(group):
            super().warm(group, previous)
            return
        rows, bits = group.tensor(ROWS).data, group.tensor(KEPT).data
        rows.copy_(previous.tensor(ROWS))
        self._scale(previous, rows)
        keep_largest(bits, rows, int(group.sizing.settings["nonzeros"]))
        keep_all_but_pruned(rows, bits)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        fold_dense(group, ROWS, weights)
        if self._is_pruned(group):
            rows, bits = group.tensor(ROWS).data, group.tensor(KEPT).data
            keep_largest(bits, rows, int(group.sizing.settings["nonzeros"]))
            keep_all_but_pruned(rows, bits)

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        if self._is_pruned(group):
            return frozen_pruned(group)
        from pocketrec.compress.freeze import encoded

        rows = group.tensor(ROWS).detach().clone()
        self._scale(group, rows)
        return group.sizing, encoded(group, pack(rows, sparse_size(group.sizing.tables, group.sizing.settings)))

    def _is_pruned(self, group: Group) -> bool:
        """Whether what the group holds has a mask."""
        return self.order == "prune" and not group.sizing.settings.get(SEARCHED)

    def _scale(self, group: Group, every: Tensor) -> None:
        """Multiply rows of all tables, float32 [rows, dim], by the group's alpha of their band."""
        import torch  # here, not above: sizing answers without it

        alpha = group.tensor(_ALPHA).detach()
        for number, rows in enumerate(per_table(every, group.sizing.tables)):
            for first in range(0, len(rows), step := max(1, _CHUNK_NUMBERS // group.dim)):
                ids = torch.arange(first, min(first + step, len(rows)))
                rows[first : first + step] *= alpha[self.bands_of(group, ids, torch.full_like(ids, number))]

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        return store_or_rows(sizing, tensors, width=sizing.tables[0].table.dim)

    def computed(self, group: Group, rows: Tensor, asked: Asked) -> Tensor:
        if self._is_pruned(group):
            return prune(group, rows, asked)
        from pocketrec.compress.computed import with_loss

        alpha = group.tensor(_ALPHA)
        vectors = rows * alpha[self.bands_of(group, asked.ids, asked.tables)]
        if not (group.training and alpha.requires_grad):
            return vectors
        return with_loss(vectors, self.l1 * alpha.abs().sum())

    def bands_of(self, group: Group, ids: Tensor, tables: Tensor) -> Tensor:
        """The band of each rank int64 [n] of tables int64 [n], 0 for the rarest ids and for id 0: int64 [n]."""
        import torch

        every, most = group.sizing.tables, int(group.sizing.settings["bands"]) - 1
        # of tables that were decided on apart one may have fewer bands
        ends = torch.tensor([[*t.settings["ends"], *[0] * (most - len(t.settings["ends"]))] for t in every])
        return ((ids[:, None] <= ends.view(len(every), most)[tables]) & (ids > 0)[:, None]).sum(dim=1)


def _least_counts(tables: Sequence[TableSpec], stats: Sequence[TableStats], bands: int) -> list[int]:
    """The least counts of all bands but the rarest, rising.

    From the rarest ids on, each band takes its equal share of the ids that are left, and all others of the count that
    it ends with.
    """
    ids: dict[int, int] = {}
    for table, own in zip(tables, stats, strict=True):
        counted = 0
        for count, number in own.histogram:
            counted += number
            ids[count] = ids.get(count, 0) + number
        ids[0] = ids.get(0, 0) + max(0, table.closed_rows - counted)
    left, found, size = sum(ids.values()), list[int](), 0
    share = -(-left // bands)
    for count in sorted(ids):
        if size >= share and len(found) < bands - 1:
            found.append(count)
            left, size = left - size, 0
            share = -(-left // (bands - len(found)))
        size += ids[count]
    return found


def _above(stats: TableStats, count: int) -> int:
    """Ids that occur at least so often."""
    return sum(ids for c, ids in stats.histogram if c >= count)


METHOD = AutoSrh
