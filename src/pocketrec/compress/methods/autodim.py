"""A search while training finds how many numbers per id each table needs; then all trains once more with these.

Paper: Zhao, Liu, Liu, Tang, Guo, Shi, Wang, Gao, Long, AutoDim: Field-aware Embedding Dimension Search in Recommender
    Systems, WWW 2021, arXiv:2006.14827; settings of the VLDB 2024 benchmark (Zhang et al., arXiv:2311.15578): widths 2,
    4, 8 and 16, each with rows and a map to dim of its own, mixed by a Gumbel-softmax per table that cools down; its
    logits learn from validation rows alone, by first-order steps in turn with those of all else. What the search ends
    with trains on in the last stage. Ours: a budget, see below; no batch normalisation in the search, under which an
    id's vector would depend on who stands beside it; the logits learn by the optimizer of the dense nets.
Bytes: rows x stored row of a table's width + 4 x width x dim where that is less than dim, summed over the tables.
    Before the search that is a ceiling: the widths that fit if all tables are alike (the largest sum of log widths).
    The search ends with the largest sum of log probabilities within that ceiling, which may be less, and is exact.
    The search trains (2 + 4 + 8 + 16) / dim times the dense tables, and as much again per state of the optimizer:
    562.5 % in all with Adam at dim 16.
Use when: tables need different widths for reasons that their sizes do not tell, there are validation rows, and several
    times the dense tables fit the memory of training.
Did not help when: measured, on the Criteo sample (.025 of AUC behind full tables at 2x) and Frappe (.005 to .009): the
    search, and the training that begins anew after it, have too few rows there (docs/which_method.md). By arithmetic: a
    floor of the smallest width, and every step of the search is two. Validation rows choose the widths, too, so that
    figures on them flatter it, and a refit has no rows to search on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Holding, Matrix, Rows, Scratch
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import bound, generator, stream, uniform_
from pocketrec.compress.parts.knapsack import Choice, best_choices
from pocketrec.compress.parts.row_tables import per_table, row_access, total_rows, uniform_rows
from pocketrec.compress.parts.widening import start_matrices
from pocketrec.compress.storage import STORAGES
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

__all__ = ["METHOD", "AutoDim"]

_COLDEST: Final = 0.01


@final
@dataclass(frozen=True, kw_only=True)
class AutoDim(Method):
    """Automatic dimensions.

    Attributes:
        candidates: numbers per id among which each table's are searched, rising; those above dim are left out.
        search_epochs: length of the search.
        cooling: by how much the temperature of the mixing falls per data row of the search, from 1 to .01. The default
            is the benchmark's.
    """

    name = "autodim"
    traits = Traits(staged=True, settles=True, timed=True, rounds=True)

    candidates: tuple[int, ...] = (2, 4, 8, 16)
    search_epochs: int = 1
    cooling: float = 5e-5 / 2000

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", tuple(self.candidates))  # of JSON it is a list
        super().__post_init__()
        rising = tuple(sorted(set(self.candidates)))
        self.require("candidates", self.candidates == rising and bool(rising) and rising[0] > 0, "rise from 1 or more")
        self.require("search_epochs", self.search_epochs >= 1, "be 1 or more")
        self.require("cooling", 0 <= self.cooling < math.inf, "be 0 or more, and finite")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def _widths(self, dim: int) -> list[int]:
        """The candidates of tables of this dim: dim alone where all are above it."""
        return [w for w in self.candidates if w <= dim] or [dim]

    def _bytes(self, table: TableSpec, width: int) -> int:
        matrix = 4 * width * table.dim if width < table.dim else 0
        return table.closed_rows * STORAGES.get(self.storage).row_bytes(width) + matrix

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return sum(min(self._bytes(t, w) for w in self._widths(t.dim)) for t in tables)

    def _chosen(self, tables: Sequence[TableSpec], scores: Sequence[Sequence[float]], budget_bytes: int) -> list[int]:
        """Of each table the width; `scores` [tables, widths] say what each width is worth to it."""
        widths = self._widths(tables[0].dim)
        choices = [
            [Choice(self._bytes(t, w), score) for w, score in zip(widths, own, strict=True)]
            for t, own in zip(tables, scores, strict=True)
        ]
        return [widths[number] for number in best_choices(choices, budget_bytes)]

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        alike = [[math.log(w) for w in self._widths(t.dim)] for t in tables]
        sized = tuple(
            TableSizing(
                table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
                settings={"rows": t.closed_rows, "width": width},
            )
            for t, width in zip(tables, self._chosen(tables, alike, budget_bytes), strict=True)
        )  # fmt: skip
        return Decision(tables=sized, settings={}, notes=("Bytes are a ceiling until the search has ended.",))

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision = self.decide(tables, budget_bytes, stats)
        return self._by_width(decision.tables, {}, optimizer), decision.notes

    def _by_width(
        self, tables: Sequence[TableSizing], settings: Mapping[str, Any], optimizer: OptimizerSpec
    ) -> tuple[GroupSizing, ...]:
        """One group per width, the widest first: tables are looked up in one call where they are alike."""
        parted: dict[int, list[TableSizing]] = {}
        for sized in tables:
            parted.setdefault(int(sized.settings["width"]), []).append(sized)
        return tuple(
            self.group_sizing(parted[width], {**settings, "width": width}, optimizer)
            for width in sorted(parted, reverse=True)
        )

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        dim, count = tables[0].table.dim, len(tables)
        if settings.get("search"):
            widths = self._widths(dim)
            return (
                Rows("rows", total_rows(tables), sum(widths), served=False), Matrix("widen", (count, sum(widths), dim)),
                Matrix("alpha", (count, len(widths))), Scratch("moment", (3,), "int64"),
            )  # fmt: skip
        rows = Rows("rows", total_rows(tables), width := int(settings["width"]))
        return (rows, Matrix("widen", (count, width, dim))) if width < dim else (rows,)

    # -- stages ------------------------------------------------------------------------------------------------------

    def stages(self, sizing: GroupSizing, optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        return ((Stage(name="retrain"), sizing),)

    def search(self, groups: Sequence[GroupSizing], optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        if any(group.settings.get("settled") for group in groups):  # yesterday's widths go on
            return ()
        ceiling = sum(group.serve_bytes for group in groups)
        every = self.group_sizing(
            [t for group in groups for t in group.tables], {"search": True, "ceiling": ceiling}, optimizer
        )
        # what it will be frozen to is promised all the time, under names that tell the widths apart
        promised = tuple(replace(s, name=f"{g.settings['width']}.{s.name}") for g in groups for s in g.serve)
        return ((Stage(name="search", epochs=self.search_epochs, held_out=("alpha",)), replace(every, serve=promised)),)

    def settled(self, group: Group, optimizer: OptimizerSpec) -> tuple[GroupSizing, ...]:
        if not group.sizing.settings.get("search"):
            return (group.sizing,)
        tables = group.sizing.tables
        scores = group.tensor("alpha").detach().double().log_softmax(dim=1).tolist()
        widths = self._chosen([t.table for t in tables], scores, int(group.sizing.settings["ceiling"]))
        sized = [
            replace(t, settings={**t.settings, "width": width}) for t, width in zip(tables, widths, strict=True)
        ]  # fmt: skip
        return self._by_width(sized, {"settled": True}, optimizer)

    def before_step(self, group: Group, *, step: int, rows: int, held_out: bool) -> None:
        if group.sizing.settings.get("search"):
            moment = group.tensor("moment").data
            moment[1], moment[2] = 1 + 2 * step + held_out, rows

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        if not group.sizing.settings.get("search"):
            uniform_rows(group, "rows", self.init, seed=seed)
            if group.access.widen:
                start_matrices(group, "widen", seed=seed)
            return
        import torch  # here, not above: sizing answers without it

        tables, widths = group.sizing.tables, self._widths(group.dim)
        # candidates of one variance, of which equal parts are mixed: variances of the parts are that by the square
        for place, (rows, sized) in enumerate(zip(per_table(group.tensor("rows").data, tables), tables, strict=True)):
            half_width = bound(sized.table, self.init) * math.sqrt(len(widths))
            uniform_(rows, half_width, seed=stream(seed, place))
            for number, matrix in enumerate(torch.split(group.tensor("widen").data[place], widths)):
                uniform_(matrix, math.sqrt(3 / widths[number]), seed=stream(seed, place, 1 + number))
        group.tensor("moment").data[0] = stream(seed, len(tables))

    def warm(self, group: Group, previous: Group) -> None:
        before, now = (bool(g.sizing.settings.get("search")) for g in (previous, group))
        if before == now:
            super().warm(group, previous)
        elif now:
            raise OptionError(
                "autodim cannot search widths again for tables that were narrowed. Keep the sizing of the model that "
                "you continue."
            )
        else:
            self._inherit(group, previous)

    def _inherit(self, group: Group, searched: Group) -> None:
        """Take over what belongs to the chosen width of each table."""
        from pocketrec.compress.in_float32 import float32_weights, in_float32

        width, widths = int(group.sizing.settings["width"]), self._widths(group.dim)
        columns = slice((last := list(accumulate(widths))[widths.index(width)]) - width, last)
        names = [t.table.name for t in searched.sizing.tables]
        found = per_table(float32_weights(searched, "rows"), searched.sizing.tables)
        with in_float32(group) as plain:
            tables = group.sizing.tables
            for number, (rows, sized) in enumerate(
                zip(per_table(plain.tensor("rows").data, tables), tables, strict=True)
            ):
                place = names.index(sized.table.name)
                matrix = searched.tensor("widen").data[place, columns]
                if group.access.widen:
                    group.tensor("widen").data[number] = matrix
                    rows.copy_(found[place][:, columns])
                else:  # a map from dim to dim needs no tensor of its own
                    rows.copy_(found[place][:, columns] @ matrix)

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        dim = sizing.tables[0].table.dim
        if sizing.settings.get("search"):
            return replace(row_access(sizing, "rows", width=sum(self._widths(dim))), computes=True)
        width = int(sizing.settings["width"])
        return row_access(sizing, "rows", width=width, widen="widen" if width < dim else None)

    def mixture(self, group: Group) -> Tensor:
        """How much of each candidate a table's vectors are: float32 [tables, widths], rows that sum to 1.

        While training, after :meth:`before_step`, drawn by Gumbel-softmax, noise being a function of seed and step;
        else the probabilities themselves.
        """
        import torch  # here, not above: sizing answers without it

        logits, (seed, number, rows) = group.tensor("alpha"), group.tensor("moment").tolist()
        if not (group.training and number):
            return logits.softmax(dim=1)
        uniform = torch.rand(logits.shape, generator=generator(stream(seed, number)))
        noise = -(-uniform.clamp(min=torch.finfo(torch.float32).tiny).log()).log()
        return ((logits + noise) / self.temperature(rows)).softmax(dim=1)

    def temperature(self, rows: int) -> float:
        """Of the mixing, after so many data rows: small is close to one candidate alone."""
        return max(_COLDEST, 1 - self.cooling * rows)

    def computed(self, group: Group, rows: Tensor, asked: Asked) -> Tensor:
        import torch  # here, not above: sizing answers without it

        widths = torch.tensor(self._widths(group.dim))
        parts = self.mixture(group).repeat_interleave(widths, dim=1, output_size=group.access.width)
        matrices = parts[:, :, None] * group.tensor("widen")
        if asked.runs is None:
            return torch.einsum("vw,vwd->vd", rows, matrices[asked.tables])
        return torch.cat([rows[first:end] @ matrices[table] for table, first, end in asked.runs or [(0, 0, 0)]])


METHOD = AutoDim
