"""Rows too short for their table's learned threshold go, and an evolution finds how many numbers the others need.

Paper: Lyu, Tang, Zhu, Guo, Zhang, Tang, Liu, OptEmbed: Learning Optimal Embedding Table for Click-through Rate
    Prediction, CIKM 2022, arXiv:2208.04482; estimator and settings as in the authors' program. A supernet trains in
    which a vector is the first k numbers of its row, k drawn anew, or zeros where the row's sum of magnitudes is not
    above its table's threshold. Then candidates, a width for each table, are scored by AUC on validation rows: 30
    generations of 20. The best is trained anew. Ours: k is drawn for each (step, table, id), not for each data row, so
    equal ids of a batch share it; thresholds learn by the optimizer of the dense nets; what was scored before is not
    scored again; the first candidate is not random, and there is a budget, see below.
Bytes: rows x stored row of a table's width, or, where that is less, rows left x stored row + 4 x rows for a map: a
    table loses rows only where that saves bytes. Before the search that is a ceiling: all rows, at the widths that fit
    if all tables are alike. A candidate above it is narrowed before it is scored, so what wins fits, and is exact.
    The search trains the dense tables, and as much again per state of the optimizer: 300 % in all with Adam.
Use when: tables need different widths for reasons that their sizes do not tell, many ids are never needed, and there
    are validation rows enough to tell candidates apart: .0005 of AUC behind full tables at 10x of KuaiRand.
Did not help when: measured: .006 and .005 of AUC behind full tables at 2x and 10x of the Criteo sample, .009 and .034
    on Frappe (docs/which_method.md). A floor of one number per id, and up to 601 passes over the validation rows
    (`score_rows` takes the first of them), whose figures then flatter it; a refit has no rows to score on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing.mapped import Mapped
from pocketrec.compress.holdings import Fixed, Holding, Matrix, Rows, Scratch
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.evolution import Evolution, best_of
from pocketrec.compress.parts.init import stream
from pocketrec.compress.parts.knapsack import Choice, best_choices
from pocketrec.compress.parts.narrowing import narrowed
from pocketrec.compress.parts.row_tables import per_table, row_access, starts, total_rows, uniform_rows
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

__all__ = ["METHOD", "OptEmbed"]

_MAP_BYTES: Final = 4
_UNKNOWN: Final = -1  # rows left of a table, before they were counted
_LOST: Final = -1  # in a map
# Places in the tensor that says when it is and what is read.
_SEED, _STEP, _READ = range(3)


@final
@dataclass(frozen=True, kw_only=True)
class OptEmbed(Method):
    """Optimal embedding tables.

    Attributes:
        supernet_epochs: length of the first stage, 1 or more.
        alpha: weight of the sum of exp(-threshold) over tables in the loss, 0 or more; what makes thresholds grow. The
            authors take 1e-6 to 1e-4.
        generations: of candidates, the first one random, 1 or more.
        mutations: of a generation that are one parent with some widths drawn anew, 0 or more.
        crossovers: of a generation that begin as one parent and end as another, 0 or more.
        parents: the best so many of a generation have children, 1 or more.
        mutation_rate: probability that a width of a mutated parent is drawn anew, above 0 and up to 1.
        score_rows: how many validation rows, the first ones, judge a candidate; None: all.
        inherits: the last stage begins as the supernet ended (VLDB 2024's program), not anew (the authors' program).
    """

    name = "optembed"
    traits = Traits(staged=True, settles=True, scores=True, timed=True)

    supernet_epochs: int = 1
    alpha: float = 1e-5
    generations: int = 30
    mutations: int = 10
    crossovers: int = 10
    parents: int = 10
    mutation_rate: float = 0.1
    score_rows: int | None = None
    inherits: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("supernet_epochs", "generations", "parents"):
            self.require(option, getattr(self, option) >= 1, "be 1 or more")
        for option in ("mutations", "crossovers"):
            self.require(option, getattr(self, option) >= 0, "be 0 or more")
        self.require("mutations", self.mutations + self.crossovers > 0, "be 1 or more where there are no crossovers")
        self.require("alpha", 0 <= self.alpha < math.inf, "be 0 or more, and finite")
        self.require("mutation_rate", 0 < self.mutation_rate <= 1, "be above 0 and up to 1")
        self.require("score_rows", self.score_rows is None or self.score_rows >= 1, "be 1 or more")

    def _evolution(self, dim: int) -> Evolution:
        return Evolution(
            generations=self.generations, mutations=self.mutations, crossovers=self.crossovers, parents=self.parents,
            rate=self.mutation_rate, most=dim,
        )  # fmt: skip

    # -- sizes -------------------------------------------------------------------------------------------------------

    def _ways(self, table: TableSpec, width: int, kept: int) -> tuple[int, int]:
        """Bytes of a table with all of its rows, and without those that are lost."""
        row_bytes = STORAGES.get(self.storage).row_bytes(width)
        return table.closed_rows * row_bytes, kept * row_bytes + table.closed_rows * _MAP_BYTES

    def _is_mapped(self, table: TableSpec, width: int, kept: int) -> bool:
        """Whether it loses rows at this width: a map of all ids must be less than what it saves."""
        whole, mapped = self._ways(table, width, kept)
        return mapped < whole

    def _by_width(self, table: TableSpec, kept: int) -> list[int]:
        """Bytes of a table at width 1, 2, ... dim."""
        return [min(self._ways(table, width, kept)) for width in range(1, table.dim + 1)]

    def _alike(self, nbytes: Sequence[Sequence[int]], budget_bytes: int) -> list[int]:
        """Widths that fit, as good as possible if all tables are alike: the largest sum of log widths."""
        choices = [[Choice(n, math.log(width)) for width, n in enumerate(own, start=1)] for own in nbytes]
        return [1 + number for number in best_choices(choices, budget_bytes)]

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return sum(self._ways(t, 1, t.closed_rows)[0] for t in tables)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        widths = self._alike([self._by_width(t, t.closed_rows) for t in tables], budget_bytes)
        sized = tuple(
            TableSizing(
                table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
                settings={"rows": t.closed_rows, "width": width},
            )
            for t, width in zip(tables, widths, strict=True)
        )  # fmt: skip
        return Decision(tables=sized, settings={}, notes=("Bytes are a ceiling until the search has ended.",))

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision = self.decide(tables, budget_bytes, stats)
        return self._alike_together([(t, False) for t in decision.tables], {}, optimizer), decision.notes

    def _alike_together(
        self, tables: Sequence[tuple[TableSizing, bool]], settings: Mapping[str, Any], optimizer: OptimizerSpec
    ) -> tuple[GroupSizing, ...]:
        """One group per width, the widest first, and of each width one more for tables that have a map."""
        parted: dict[tuple[int, bool], list[TableSizing]] = {}
        for sized, mapped in tables:
            parted.setdefault((int(sized.settings["width"]), mapped), []).append(sized)
        return tuple(
            self.group_sizing(parted[width, mapped], {**settings, "width": width, "mapped": mapped}, optimizer)
            for width, mapped in sorted(parted, key=lambda kind: (-kind[0], kind[1]))
        )

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        rows, dim, count = total_rows(tables), tables[0].table.dim, len(tables)
        if settings.get("search"):
            candidates = self._evolution(dim).candidates
            return (
                Rows("rows", rows, dim, served=False), Matrix("thresholds", (count,), served=False),
                Scratch("kept", (count,), "int64"), Scratch("log", (candidates, count), "int32"),
                Scratch("fitness", (candidates,), "int64"), Scratch("moment", (3,), "int64"),
            )  # fmt: skip
        held = Rows("rows", rows, int(settings["width"]))
        if not settings["mapped"]:
            return (held,)
        return held, Fixed("map", (sum(t.table.closed_rows for t in tables),), "int32")

    # -- stages ------------------------------------------------------------------------------------------------------

    def stages(self, sizing: GroupSizing, optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        warm = self.inherits
        return ((Stage(name="retrain", begin="warm" if warm else "initial", judged_first=warm), sizing),)

    def search(self, groups: Sequence[GroupSizing], optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        if any(group.settings.get("settled") for group in groups):  # yesterday's tables go on
            return ()
        ceiling = sum(group.serve_bytes for group in groups)
        every = self.group_sizing(
            [t for group in groups for t in group.tables], {"search": True, "ceiling": ceiling}, optimizer
        )
        # what it will be frozen to is promised all the time, under names that tell the widths apart
        promised = tuple(replace(s, name=f"{g.settings['width']}.{s.name}") for g in groups for s in g.serve)
        held = replace(every, serve=promised)
        candidates = self._evolution(held.tables[0].table.dim).candidates
        return (
            (Stage(name="supernet", epochs=self.supernet_epochs), held),
            (Stage(name="evolve", optimizer="keep", scores=candidates, score_rows=self.score_rows), held),
        )

    def settled(self, group: Group, optimizer: OptimizerSpec) -> tuple[GroupSizing, ...]:
        if not group.sizing.settings.get("search"):
            return (group.sizing,)
        kept, fitness = self._kept(group), self._fitness(group)
        widths = group.tensor("log")[best_of(fitness)].tolist() if fitness else self._first(group, kept)
        sized = []
        for t, width, rows in zip(group.sizing.tables, widths, kept, strict=True):
            mapped = self._is_mapped(t.table, width, rows)
            settings = {**t.settings, "width": width, "rows": rows if mapped else t.table.closed_rows}
            sized.append((replace(t, settings=settings), mapped))
        return self._alike_together(sized, {"settled": True}, optimizer)

    def before_step(self, group: Group, *, step: int, rows: int, held_out: bool) -> None:
        if group.sizing.settings.get("search"):
            group.tensor("moment").data[_STEP] = 1 + step

    # -- candidates --------------------------------------------------------------------------------------------------

    def _kept(self, group: Group) -> list[int]:
        """Rows of each table that are above its threshold; counted once, for nothing trains while candidates do."""
        known: list[int] = group.tensor("kept").tolist()
        return known if _UNKNOWN not in known else [int(alive.sum()) for alive in self._alive(group)]

    def _alive(self, group: Group) -> list[Tensor]:
        """Of each table which rows are above its threshold: bool [rows]."""
        from pocketrec.compress.in_float32 import float32_weights
        from pocketrec.compress.parts.row_thresholds import all_lengths

        limits = group.tensor("thresholds").detach()
        tables = per_table(float32_weights(group, "rows"), group.sizing.tables)
        return [all_lengths(rows) > limit for rows, limit in zip(tables, limits, strict=True)]

    def _fitness(self, group: Group) -> list[float]:
        """Of the candidates that were scored, in the order of their numbers; the log has theirs before all others."""
        return [f for f in _as_floats(group.tensor("fitness")).tolist() if not math.isnan(f)]

    def _nbytes(self, group: Group, kept: Sequence[int]) -> list[list[int]]:
        return [self._by_width(t.table, rows) for t, rows in zip(group.sizing.tables, kept, strict=True)]

    def _first(self, group: Group, kept: Sequence[int]) -> list[int]:
        """Candidate 0: what is best if all tables are alike."""
        return self._alike(self._nbytes(group, kept), int(group.sizing.settings["ceiling"]))

    def propose(self, group: Group) -> bool:
        """Write the next candidate that was not scored yet into the log, and read by it; see `Candidates`."""
        if not group.sizing.settings.get("search"):
            return False
        import torch  # here, not above: sizing answers without it

        kept, fitness = self._kept(group), self._fitness(group)
        group.tensor("kept").copy_(torch.tensor(kept))
        nbytes, log, moment = self._nbytes(group, kept), group.tensor("log"), group.tensor("moment")
        seen: dict[tuple[int, ...], float] = {}
        for widths, found in zip(log[: len(fitness)].tolist(), fitness, strict=True):
            seen.setdefault(tuple(widths), found)
        candidates = log[: len(fitness)].tolist()
        while len(fitness) < len(log):
            widths = self._candidate(group, candidates, fitness, kept, nbytes)
            log[len(fitness)] = torch.tensor(widths, dtype=torch.int32)
            if tuple(widths) not in seen:
                moment[_READ] = 1 + len(fitness)
                return True
            _as_floats(group.tensor("fitness"))[len(fitness)] = seen[tuple(widths)]
            fitness.append(seen[tuple(widths)])
            candidates.append(widths)
        moment[_READ] = 1 + best_of(fitness)
        return False

    def _candidate(
        self, group: Group, log: Sequence[Sequence[int]], fitness: Sequence[float], kept: Sequence[int],
        nbytes: Sequence[Sequence[int]],
    ) -> list[int]:  # fmt: skip
        """The one behind those of the log; it fits."""
        if not log:
            return self._first(group, kept)
        child = self._evolution(group.dim).child(len(log), log, fitness, int(group.tensor("moment")[_SEED]))
        return narrowed(child, nbytes, int(group.sizing.settings["ceiling"]))

    def scored(self, group: Group, auc: float) -> None:
        """Note the AUC of the candidate that is read by; see `Candidates`."""
        if group.sizing.settings.get("search"):
            _as_floats(group.tensor("fitness"))[int(group.tensor("moment")[_READ]) - 1] = auc

    def best(self, group: Group) -> float:
        """The best AUC so far; see `Candidates`."""
        return max(self._fitness(group), default=0.0) if group.sizing.settings.get("search") else 0.0

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        import torch  # here, not above: sizing answers without it

        uniform_rows(group, "rows", self.init, seed=seed)
        if group.sizing.settings.get("search"):
            group.tensor("moment")[_SEED] = stream(seed, len(group.sizing.tables))
            group.tensor("kept").fill_(_UNKNOWN)
            _as_floats(group.tensor("fitness")).fill_(math.nan)
        elif group.sizing.settings["mapped"]:  # without a search the first ids of every table have the rows
            self._write_map(
                group, [torch.arange(t.table.closed_rows) < t.settings["rows"] for t in group.sizing.tables]
            )

    def warm(self, group: Group, previous: Group) -> None:
        before, now = (bool(g.sizing.settings.get("search")) for g in (previous, group))
        if before == now:
            super().warm(group, previous)
        elif now:
            raise OptionError(
                "optembed cannot search again for tables that lost rows or numbers. Keep the sizing of the model that "
                "you continue."
            )
        else:
            self._inherit(group, previous)

    def _inherit(self, group: Group, searched: Group) -> None:
        """Take over what is left of the rows of each table."""
        from pocketrec.compress.in_float32 import float32_weights, in_float32

        tables, width, mapped = (
            group.sizing.tables,
            int(group.sizing.settings["width"]),
            group.sizing.settings["mapped"],
        )
        names = [t.table.name for t in searched.sizing.tables]
        places = [names.index(t.table.name) for t in tables]
        found = per_table(float32_weights(searched, "rows"), searched.sizing.tables)
        every = self._alive(searched) if mapped else []
        with in_float32(group) as plain:
            for rows, place in zip(per_table(plain.tensor("rows").data, tables), places, strict=True):
                own = found[place][:, :width]
                rows.copy_(own[every[place]] if mapped else own)
        if mapped:
            self._write_map(group, [every[place] for place in places])

    def _write_map(self, group: Group, alive: Sequence[Tensor]) -> None:
        """Let each id that is alive have the row of its place among those of its table."""
        import torch  # here, not above: sizing answers without it

        places = [torch.where(own, own.cumsum(0) - 1, _LOST) for own in alive]
        group.tensor("map").copy_(torch.cat(places))

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        if sizing.settings.get("search"):
            return replace(row_access(sizing, "rows", width=sizing.tables[0].table.dim), computes=True)
        width = int(sizing.settings["width"])
        if not sizing.settings["mapped"]:
            return row_access(sizing, "rows", width=width)
        ids = [t.table.closed_rows for t in sizing.tables]
        first = [0, *accumulate(ids)]
        addressing = [
            Mapped(start=s, ids=n, map_start=f) for s, n, f in zip(starts(sizing.tables), ids, first, strict=False)
        ]
        return Access(regions=("rows",), addressing=addressing, width=width, maps="map")

    def computed(self, group: Group, rows: Tensor, asked: Asked) -> Tensor:
        import torch  # here, not above: sizing answers without it

        from pocketrec.compress.computed import with_loss
        from pocketrec.compress.parts.row_thresholds import is_longer, lengths

        limits, (_, step, read) = group.tensor("thresholds"), group.tensor("moment").tolist()
        alive = is_longer(lengths(rows), limits[asked.tables])
        if group.training and step:
            widths = self._drawn(group, asked)
        elif read:
            now = group.tensor("log")[read - 1]
            whole = [
                not self._is_mapped(t.table, width, kept)
                for t, width, kept in zip(group.sizing.tables, now.tolist(), self._kept(group), strict=True)
            ]
            alive = torch.where(torch.tensor(whole)[asked.tables], 1.0, alive)
            widths = now[asked.tables]
        else:
            widths = torch.full_like(asked.ids, group.dim)
        prefix = torch.arange(group.dim) < widths[:, None]
        vectors = rows * (prefix * alive[:, None])
        if not (group.training and torch.is_grad_enabled()):
            return vectors
        counts = torch.ones_like(asked.ids) if asked.counts is None else asked.counts
        here = torch.zeros(len(limits)).index_add_(0, asked.tables, counts.float()) > 0
        return with_loss(vectors, self.alpha * (-limits).exp()[here].sum())

    def _drawn(self, group: Group, asked: Asked) -> Tensor:
        """Of each id the width that it has in this step: int64 [n], uniform in 1..dim, of (seed, step, table, id)."""
        import torch  # here, not above: sizing answers without it

        from pocketrec.native.mix import bucket, mix

        seed, step, _ = group.tensor("moment").tolist()
        tables = mix(torch.arange(len(group.sizing.tables)), stream(seed, step))
        return 1 + bucket(mix(asked.ids, tables[asked.tables]), group.dim)


def _as_floats(bits: Tensor) -> Tensor:
    """The float64 numbers that the words of an int64 tensor are, in the same memory: files know no float64."""
    import torch  # here, not above: sizing answers without it

    return bits.detach().view(torch.float64)


METHOD = OptEmbed
