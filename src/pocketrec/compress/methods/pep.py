"""Thresholds that learn say which numbers of which ids are pruned; then all trains once more with the others alone.

Paper: Liu, Gao, Chen, Jin, Li, Learnable Embedding Sizes for Recommender Systems (PEP), ICLR 2021, arXiv:2101.07577.
    While it searches, an id's vector is sign(v) x relu(|v| - sigmoid(s)), s by the same gradient as v; what is left
    trains anew from the values that all began with (a lottery ticket). Its program decays s as all weights, by 1e-5,
    and begins at s = -15 (MovieLens) or -150 (Criteo, Avazu), where sigmoid(s) is 0 in float32: there it is decay alone
    that moves thresholds. The VLDB 2024 benchmark (Zhang et al., arXiv:2311.15578) retrains from new values (`retrain`
    "fresh"). Ours: a budget, which the paper has not. The search stops once no more numbers are left than the budget
    holds; at its end just so many are kept, those that are farthest above their thresholds, or least below. And
    thresholds of single ids and numbers decay when their id is touched, not in every step.
Bytes: per number that is kept 3 or 4, its place and its value in float16, whichever width of places keeps more; and 4
    per block of 256 / dim or 65,536 / dim rows. The search trains all rows, with `threshold` "feature" one number more
    in each, with "element" twice as many; the last stage all rows and a bit per number. A vocabulary tells all ids
    apart.
Use when: training may take the memory of all rows, and serving may not; ids or dimensions deserve numbers for reasons
    that a common threshold of magnitudes does not see.
Did not help when: measured: .011 to .025 of AUC behind full tables on the Criteo sample, .005 to .044 on Frappe;
    pruning by magnitude when training is over (`pruned`) loses less at every budget of both (docs/which_method.md). By
    arithmetic: a threshold that begins at -15 and moves by .001 a step takes 9,200 steps to .003; a shorter search
    prunes by magnitude at its end, unless `start` or `speed` is larger. Both stages go through the rows, so training
    takes as long as the search more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Holding, Matrix, Rows, Scratch
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.compress.parts.magnitude import sample_places
from pocketrec.compress.parts.packed_sparse import store_holdings
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
from pocketrec.compress.parts.row_tables import fold_dense, per_table, total_rows
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

__all__ = ["METHOD", "PEP"]

_CHUNK_NUMBERS: Final = 1 << 22
_SOME_VALUE: Final = 0.003  # a magnitude, and a rate, by which a note says how long thresholds take
_SOME_RATE: Final = 0.001


@final
@dataclass(frozen=True, kw_only=True)
class PEP(Method):
    """Plug-in embedding pruning.

    In the search a step costs what its batch touches, and now and then what a sample costs. At its end a table of keys
    stands beside the rows for a while.

    Attributes:
        threshold: what has a threshold of its own: everything together ("global"), a "dimension" of the vectors, an id
            ("feature"), or each number of each id ("element", which the paper calls feature-dimension). The first two
            train with the dense nets, the others are numbers of the row and train as it does.
        start: s at the beginning.
        speed: by how much thresholds move faster than the optimizer says, above 0: s is so many times what is trained.
        decay: weight of the loss s^2 / 2, 0 or more.
        search_epochs: length of the search, 1 or more.
        every: steps from one look at how many numbers are left to the next, 1 or more.
        retrain: what the last stage begins with under its mask: rows and nets of the run's beginning ("initial"), rows
            of another seed ("fresh"), or what the search ended with ("inherit").
    """

    name = "pep"
    traits = Traits(staged=True, settles=True, timed=True, from_dense=True, storages=("float16",))

    storage: str = "float16"
    threshold: Literal["global", "dimension", "feature", "element"] = "global"
    start: float = -15.0
    speed: float = 1.0
    decay: float = 1e-5
    search_epochs: int = 1
    every: int = 10
    retrain: Literal["initial", "fresh", "inherit"] = "initial"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("start", math.isfinite(self.start), "be finite")
        self.require("speed", 0 < self.speed < math.inf, "be above 0, and finite")
        self.require("decay", 0 <= self.decay < math.inf, "be 0 or more, and finite")
        self.require("search_epochs", self.search_epochs >= 1, "be 1 or more")
        self.require("every", self.every >= 1, "be 1 or more")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return least_bytes(self.name, tables)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        steps = max(0.0, (math.log(_SOME_VALUE / (1 - _SOME_VALUE)) - self.start) / (self.speed * _SOME_RATE))
        note = (
            f"become zeros. A threshold that begins at {self.start:g} and moves by {self.speed * _SOME_RATE:g} a step "
            f"is at a magnitude of {_SOME_VALUE} after {math.ceil(steps):,} steps. What a shorter search misses is "
            "pruned by magnitude at its end; a larger start or speed prunes earlier."
        )
        return pruned_decision(self.name, tables, budget_bytes, note)

    def _width(self, dim: int) -> int:
        """Numbers per row while it searches."""
        return dim + {"feature": 1, "element": dim}.get(self.threshold, 0)

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        if not settings.get(SEARCHED):
            return pruned_holdings(tables, settings)
        dim, rows = tables[0].table.dim, total_rows(tables)
        held: list[Holding] = [Rows(ROWS, rows, self._width(dim), served=False)]
        if self._width(dim) == dim:
            held.append(Matrix("threshold", (1, dim if self.threshold == "dimension" else 1), served=False))
        return *held, Scratch("reached", (1,), "int64"), *store_holdings(sparse_size(tables, settings))

    # -- stages ------------------------------------------------------------------------------------------------------

    def stages(self, sizing: GroupSizing, optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        begin = "warm" if sizing.settings.get(SETTLED) else BEGINS[self.retrain]
        return ((Stage(name="retrain", begin=begin), sizing),)

    def search(self, groups: Sequence[GroupSizing], optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        if any(group.settings.get(SETTLED) for group in groups):  # yesterday's mask goes on
            return ()
        tables, settings = searched_together(groups)
        every = self.group_sizing(tables, {**settings, SEARCHED: True}, optimizer)
        # it may be the cold part of another method
        return ((Stage(name="search", epochs=self.search_epochs), replace(every, joins=groups[0].joins)),)

    def settled(self, group: Group, optimizer: OptimizerSpec) -> tuple[GroupSizing, ...]:
        sizing = group.sizing
        if not sizing.settings.get(SEARCHED):
            return (sizing,)
        found = self.group_sizing(sizing.tables, settled_store(sizing.settings), optimizer)
        return (replace(found, joins=sizing.joins),)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        if not group.sizing.settings.get(SEARCHED):
            start_pruned(group, self.init, seed=seed)
            return
        rows, dim, tables = group.tensor(ROWS).data, group.dim, group.sizing.tables
        for number, (own, sized) in enumerate(zip(per_table(rows, tables), tables, strict=True)):
            # the numbers with which the last stage begins, of equal seeds
            uniform_(own[:, :dim], bound(sized.table, self.init), seed=stream(seed, number))
        (rows[:, dim:] if rows.shape[1] > dim else group.tensor("threshold").data).fill_(self.start / self.speed)

    def warm(self, group: Group, previous: Group) -> None:
        before, now = (bool(g.sizing.settings.get(SEARCHED)) for g in (previous, group))
        if before == now:
            super().warm(group, previous)
        elif now:
            raise OptionError(
                "pep cannot search again what was pruned. Keep the sizing of the model that you continue."
            )
        else:
            self._take_over(group, previous)

    def _take_over(self, group: Group, searched: Group) -> None:
        """The vectors that the search ended with, and the mask of those numbers that the store has room for."""
        import torch  # here, not above: sizing answers without it

        rows, count = group.tensor(ROWS).data, int(group.sizing.settings["nonzeros"])
        left = 0
        for first, values, limits in self._parts(searched):
            rows[first : first + len(values)] = _soft(values, limits)
            left += int((rows[first : first + len(values)] != 0).sum())
        keys = rows
        if left < count:  # the search pruned too many: those come back that are least below their thresholds
            keys = torch.empty_like(rows)
            for first, values, limits in self._parts(searched):
                below = limits - values.abs()
                # above all others those that are left; 1e-30, so that nothing is divided by zero
                keys[first : first + len(values)] = torch.where(below < 0, 3e38, 1 / (below + 1e-30))
        keep_largest(group.tensor(KEPT).data, keys, count)
        keep_all_but_pruned(rows, group.tensor(KEPT))

    def _parts(self, searched: Group) -> Iterator[tuple[int, Tensor, Tensor]]:
        """First row, values and thresholds, float32 [some rows, dim] both, of some rows after the other."""
        rows = searched.tensor(ROWS).detach()
        for first in range(0, len(rows), step := max(1, _CHUNK_NUMBERS // rows.shape[1])):
            values, logits = self._split(searched, rows[first : first + step])
            yield first, values, logits.detach().sigmoid().expand_as(values)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        if group.sizing.settings.get(SEARCHED):
            for rows, sized in zip(
                per_table(group.tensor(ROWS).data, group.sizing.tables), group.sizing.tables, strict=True
            ):
                rows[:, : group.dim] = weights[sized.table.name]
            return
        fold_dense(group, ROWS, weights)
        rows, bits = group.tensor(ROWS).data, group.tensor(KEPT).data
        keep_largest(bits, rows, int(group.sizing.settings["nonzeros"]))
        keep_all_but_pruned(rows, bits)

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        return frozen_pruned(group)

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        dim = sizing.tables[0].table.dim
        return store_or_rows(sizing, tensors, width=self._width(dim) if sizing.settings.get(SEARCHED) else dim)

    def computed(self, group: Group, rows: Tensor, asked: Asked) -> Tensor:
        if not group.sizing.settings.get(SEARCHED):
            return prune(group, rows, asked)
        from pocketrec.compress.computed import with_loss

        values, logits = self._split(group, rows)
        vectors = _soft(values, logits.sigmoid())
        if int(group.tensor("reached")):
            return vectors.detach()  # the search is over: nothing moves any more
        return with_loss(vectors, self.decay / 2 * logits.square().sum()) if group.training else vectors

    def _split(self, group: Group, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Values float32 [n, dim] of rows of a search, and s of their thresholds, of a shape that goes with them."""
        dim = group.dim
        return rows[:, :dim], self.speed * (rows[:, dim:] if rows.shape[1] > dim else group.tensor("threshold"))

    def before_step(self, group: Group, *, step: int, rows: int, held_out: bool) -> None:
        if not group.sizing.settings.get(SEARCHED) or not step or step % self.every:
            return
        if self.left(group) <= int(group.sizing.settings["nonzeros"]):
            group.tensor("reached").data.fill_(1)

    def left(self, group: Group) -> int:
        """Of a searching group, about how many numbers are not zero, by a fixed sample of 65,536 or by all."""
        rows, dim = group.tensor(ROWS).detach(), group.dim
        numbers = len(rows) * dim
        places = sample_places(numbers, seed=0)
        row, column = places // dim, places % dim
        own = rows[row, column].abs()
        held = group.tensor("threshold").detach() if self._width(dim) == dim else rows[:, dim:]
        shared_row, shared_column = len(held) == 1, held.shape[1] == 1
        logits = self.speed * held[row * (not shared_row), column * (not shared_column)]
        return round(float((own > logits.sigmoid()).float().mean()) * numbers)


def _soft(values: Tensor, limits: Tensor) -> Tensor:
    """What of float32 [n, dim] stands out above the limits. Differentiable in both."""
    return values.sign() * (values.abs() - limits).relu()


METHOD = PEP
