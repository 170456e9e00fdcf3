"""Prune the numbers of smallest magnitude, more and more of them while training goes on; keep the rest packed.

Paper: Deng et al., DeepLight: Deep Lightweight Feature Interactions for Accelerating CTR Predictions in Ad Serving,
    WSDM 2021, arXiv:2002.06987 (its pruning of embeddings, not of nets): t steps after a warm-up a share
    R (1 - D^(t / U)) of all numbers of all tables together is zero, by one threshold; what was pruned may grow again.
    R is what the budget leaves.
Bytes: per number that is kept 3 or 4, its place and its value in float16, whichever width of places keeps more; and 4
    per block of 256 / dim or 65,536 / dim rows. Training holds all rows, and a byte each. A vocabulary tells all ids
    apart.
Use when: training may take the memory of all rows, and serving may not. In one stage (`warm_epochs` and `prune_epochs`
    0, `period` 1) it is level with full tables at 2x and 10x of the Criteo sample, and at 2x of Frappe.
Did not help when: the budget is small: .004 of AUC behind full tables at 100x of the Criteo sample and .019 at 1000x,
    where min_count in int4 loses .001 and .009; .015 at 10x of Frappe (docs/which_method.md). Nor with stages where a
    second epoch overfits: there one run each at 10x gave .688 of AUC with an epoch of warm-up and one of pruning before
    the last stage, and .754 with neither. All but a thousandth of R is pruned after 68,732 steps, and what is missing
    in the end is pruned at once; where training is shorter, make `period` or `damping` smaller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Holding, Rows, Scratch
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.magnitude import SAMPLE, cut_at, kept_by, sample_places, threshold
from pocketrec.compress.parts.packed_sparse import STORE, pack, store_codes, store_holdings
from pocketrec.compress.parts.pruned_rows import least_bytes, pruned_decision, sparse_size
from pocketrec.compress.parts.row_tables import fold_dense, row_access, starts, total_rows, uniform_rows
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stage import Stage
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "DeepLight"]

_LEFT: Final = 1e-3  # share of the wanted zeros that is still missing when a schedule counts as done
_WINDOWS: Final = 256
_DONE: Final = 1 << 40  # thresholds, as good as endlessly many: from here on all that is to be zero is


@final
@dataclass(frozen=True, kw_only=True)
class DeepLight(Method):
    """All rows while it trains; when it is frozen the largest numbers remain, exactly as many as the store has.

    A step costs what its batch touches, and now and then what a sample costs, whatever the tables hold. Every `every`
    steps the threshold is found for which the wanted share of a fixed sample of 65,536 numbers (of all numbers, where
    there are no more) lies below it. A row is pruned by it when it is next touched, once in `every` steps, so that
    what grows again has as many updates to pass the threshold. Rows that nobody touches are pruned in turn, 65,536
    numbers at a time.

    The published program warms up for 2 of 10 epochs and prunes in the others. A third stage follows here, in which
    all of R is pruned from its first step on: of the epochs of the last stage the best one is chosen, and it would be
    one in which little was pruned yet. A model that is continued on other data warms up again.

    Attributes:
        warm_epochs: of training before anything is pruned, 0 or more.
        prune_epochs: of training by the schedule, 0 or more; with 0 the last stage is the one that has the schedule.
        damping: D, above 0 and below 1.
        period: U, in steps, 1 or more: what is missing to the wanted share is multiplied by D in so many.
        every: steps from one threshold to the next, 1 or more.
    """

    name = "deeplight"
    traits = Traits(adaptive=True, staged=True, from_dense=True, grows=True, storages=("float16",))

    storage: str = "float16"
    warm_epochs: int = 2
    prune_epochs: int = 8
    damping: float = 0.99
    period: int = 100
    every: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("warm_epochs", self.warm_epochs >= 0, "be 0 or more")
        self.require("prune_epochs", self.prune_epochs >= 0, "be 0 or more")
        self.require("damping", 0 < self.damping < 1, "be above 0 and below 1")
        self.require("period", self.period >= 1, "be 1 or more")
        self.require("every", self.every >= 1, "be 1 or more")
        if not self.warm_epochs and not self.prune_epochs:
            object.__setattr__(self, "traits", replace(type(self).traits, staged=False))

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return least_bytes(self.name, tables)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        note = (
            f"become zeros, all but a thousandth of these within {self._steps:,} steps, the rest at once when pruning "
            "ends. Where it has fewer steps, a smaller period or damping prunes faster."
        )
        return pruned_decision(self.name, tables, budget_bytes, note)

    @property
    def _steps(self) -> int:
        """After which the schedule counts as done."""
        return math.ceil(self.period * math.log(_LEFT) / math.log(self.damping))

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        ids, dim = total_rows(tables), tables[0].table.dim
        rows, store = Rows("rows", ids, dim, served=False), store_holdings(sparse_size(tables, settings))
        if settings.get("stage") == "warm":
            return rows, *store
        return (
            rows, Scratch("windows", (ids,), "uint8"), Scratch("pruned_steps", (1,), "int64"),
            Scratch("threshold", (1,), "float32"), *store,
        )  # fmt: skip

    def stages(self, sizing: GroupSizing, optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        found = []
        for name, epochs in (("warm", self.warm_epochs), ("prune", self.prune_epochs)):
            if epochs:
                held = self.group_sizing(sizing.tables, {**sizing.settings, "stage": name}, optimizer)
                # it may be the cold part of another method
                found.append((Stage(name=name, epochs=epochs, optimizer="keep"), replace(held, joins=sizing.joins)))
        last = Stage(name="finish" if self.prune_epochs else "prune", optimizer="keep" if found else "reset")
        return *found, (last, sizing)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        uniform_rows(group, "rows", self.init, seed=seed)

    def warm(self, group: Group, previous: Group) -> None:
        super().warm(group, previous)
        if previous.sizing.settings.get("stage") == "prune" and "stage" not in group.sizing.settings:
            rows = group.tensor("rows").data
            for first, kept in kept_by(cut_at(rows, int(group.sizing.settings["nonzeros"])), rows, 1):
                rows[first : first + len(kept)].masked_fill_(~kept, 0.0)
            group.tensor("pruned_steps").fill_(_DONE * self.every)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        fold_dense(group, "rows", weights)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        rows = row_access(sizing, "rows", width=sizing.tables[0].table.dim)
        if "rows" in tensors:
            return rows
        return replace(rows, regions=STORE, stored=store_codes(sparse_size(sizing.tables, sizing.settings)))

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        from pocketrec.compress.freeze import encoded

        settings = {name: value for name, value in group.sizing.settings.items() if name != "stage"}
        store = pack(group.tensor("rows").detach(), sparse_size(group.sizing.tables, settings))
        return replace(group.sizing, settings=settings), encoded(group, store)

    # -- pruning -----------------------------------------------------------------------------------------------------

    def share(self, step: int, settings: Mapping[str, Any], numbers: int) -> float:
        """Of all numbers that are to be zero so many steps after the warm-up."""
        return (1 - int(settings["nonzeros"]) / numbers) * float(1 - self.damping ** (step / self.period))

    def after_step(self, group: Group, *, step: int, ids: Tensor, tables: Tensor, importance: Tensor) -> None:
        if group.sizing.settings.get("stage") == "warm" or not len(ids):
            return
        import torch  # here, not above: sizing answers without it

        # counted apart from the bank's steps, which go on from those of the warm-up
        group.tensor("pruned_steps").add_(1)
        window, behind = divmod(int(group.tensor("pruned_steps")), self.every)
        rows = group.tensor("rows").data
        if not behind:
            sample = rows.view(-1)[sample_places(rows.numel(), seed=0)]
            wanted = self.share(window * self.every, group.sizing.settings, rows.numel())
            group.tensor("threshold").fill_(threshold(sample, wanted))
        if not window:
            return
        limit, windows = float(group.tensor("threshold")), group.tensor("windows")
        first = torch.tensor(starts(group.sizing.tables))
        sizes = torch.tensor([int(t.settings["rows"]) for t in group.sizing.tables])
        touched = first[tables] + torch.where(ids < sizes[tables], ids, 0)
        due = touched[windows[touched] != window % _WINDOWS]
        windows[due] = window % _WINDOWS
        rows[due] = _pruned(rows[due], limit)
        if not behind:
            most = max(1, SAMPLE // rows.shape[1])
            begin = (window - 1) % -(-len(rows) // most) * most
            rows[begin : begin + most] = _pruned(rows[begin : begin + most], limit)


def _pruned(rows: Tensor, limit: float) -> Tensor:
    return rows.masked_fill(rows.abs() <= limit, 0.0)


METHOD = DeepLight
