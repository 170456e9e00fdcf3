"""Rows for the ids that a sketch says matter most, another method for all others: what such methods share.

A method of this kind says who is hot, in `after_step`: it tells the sketch of the step, chooses, and calls `promote`.
Sizes, looking up and freezing stand here.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.addressing.sketched import Sketched, Tagged
from pocketrec.compress.holdings import Holding, Rows, Scratch, Served, serve_tensors, trained_storage
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.cold_part import SPACES, ColdPart
from pocketrec.compress.parts.hot_rows import Admission, all_free, medium_slots, promote, take
from pocketrec.compress.parts.init import stream
from pocketrec.compress.parts.promoted import read_rest, write_rows
from pocketrec.compress.parts.seed import SEED, read_seed, write_seed
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group
    from pocketrec.native.scored_keys import Scored

__all__ = ["SketchSplit", "sketch_of", "table_seeds"]

# Buckets of the sketch for one of the tags, which have one for two rows: one for each row, as published.
_WIDER: Final = 2
# A bucket of tags may hold 32 of them.
_MOST_SLOTS: Final = 32 // _WIDER
_MOST_ROWS: Final = 2**31 - 2  # rows are int32
# A row of the second level for so many hot rows, and about so many ids for it (the latter as CAFE+ has it).
_PER_SECOND: Final = 100


@dataclass(frozen=True, kw_only=True)
class SketchSplit(Method):
    """Rows for the ids with the highest scores, another method for all others.

    Attributes:
        hot: share of the budget for hot rows and all that finds them, above 0 and below 1; what the cold method needs
            at least is left to it.
        slots: of a bucket of the sketch, 1 to 16; there is a bucket for each hot row.
        every: steps from one look at the whole sketch to the next, 1 or more.
        levels: 2 gives those that are next to the hot ones a vector of a second, small table that is added to what the
            cold method has for them (CAFE-ML); 1 does not.
        state_moves: whether a promoted id also takes along the optimizer's state of the row that it read, where it read
            one; else, and where not, its state begins at 0. On synthetic logs beginning at 0 is .0012 better,
            .017 where popularity drifts (docs/results.md, "Who is hot"): a shared row's state is that of many ids.
        exempt_rows: ranked tables of at most so many rows are left to the cold method alone, in ranks, so that it may
            hold them exact; they need a vocabulary. Without any there is none, if the cold method takes hashes.
        cold: name of the method that holds all other ids.
        cold_options: its options, JSON only. `storage` and `init` are those of this method where it does not name them.
    """

    traits = Traits(ids=SPACES, adaptive=True)

    hot: float = 0.7
    slots: int = 4
    every: int = 20
    levels: int = 1
    state_moves: bool = False
    exempt_rows: int = 0
    cold: str = "hash_rows"
    cold_options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("hot", 0 < self.hot < 1, "lie between 0 and 1")
        self.require("slots", 1 <= self.slots <= _MOST_SLOTS, f"lie in 1..{_MOST_SLOTS}")
        self.require("every", self.every >= 1, "be 1 or more")
        self.require("levels", self.levels in (1, 2), "be 1 or 2")
        self.require("exempt_rows", self.exempt_rows >= 0, "be 0 or more")
        cold = self.cold_part
        object.__setattr__(self, "cold_options", cold.options)
        if isinstance(cold.method, SketchSplit):
            raise OptionError(f"{self.name}: the cold method is one without a sketch; who is hot is decided once.")
        # what it takes depends on what it contains
        object.__setattr__(self, "traits", cold.traits(type(self).traits))

    @property
    def cold_part(self) -> ColdPart:
        """The method that holds all ids that are not hot."""
        return ColdPart.of(self, self.cold, self.cold_options)

    @property
    @abstractmethod
    def admission(self) -> Admission:
        """How a key comes to own a row."""

    @property
    @abstractmethod
    def first_threshold(self) -> float:
        """The least score of a key with a row, before the first step."""

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return self._hot_bytes(1, tables[0].dim) + self._cold_bytes(tables)

    def _hot_bytes(self, rows: int, dim: int) -> int:
        return sum(spec.nbytes for spec in serve_tensors(self.held(rows, dim), self.storage))

    def _cold_bytes(self, tables: Sequence[TableSpec]) -> int:
        return self.cold_part.method.least_bytes([self._cold_spec(t) for t in tables])

    def counted(self, tables: Sequence[TableSpec]) -> list[TableSpec]:
        return self.cold_part.method.counted([self._cold_spec(t) for t in tables])

    def value_sets(self) -> Mapping[str, Any]:
        """Those of the cold method."""
        return self.cold_part.method.value_sets()

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        dim = tables[0].dim
        sized = tuple(
            TableSizing(table=t, ids=t.ids, told_apart=0, settings={"sketched": not self._is_exempt(t)}) for t in tables
        )
        sizes = [t.rows for t in tables if not self._is_exempt(t)]
        ids = _MOST_ROWS if None in sizes else sum(t.closed_rows for t in tables if not self._is_exempt(t))
        room = min(int(self.hot * budget_bytes), budget_bytes - self._cold_bytes(tables))
        most = range(1, min(ids, _MOST_ROWS) + 1)
        rows = bisect_right(most, room, key=lambda n: self._hot_bytes(n, dim))
        return Decision(tables=sized, settings={"hot_rows": max(1, rows)})

    def _is_exempt(self, table: TableSpec) -> bool:
        return table.ids == "rank" and table.closed_rows <= self.exempt_rows

    def _cold_spec(self, table: TableSpec) -> TableSpec:
        """The table as the cold method is told of it."""
        exempt = self._is_exempt(table) and "rank" in self.cold_part.method.traits.ids
        return table if exempt else self.cold_part.by_hashes(table)

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision, cold = self.decide(tables, budget_bytes, stats), self.cold_part
        left = budget_bytes - self._hot_bytes(decision.settings["hot_rows"], tables[0].dim)
        groups, said = cold.groups([self._cold_spec(t) for t in tables], left, stats, optimizer)
        hot = [
            TableSizing(table=t.table, ids=c.ids, told_apart=c.told_apart, settings=t.settings)
            for t, c in zip(decision.tables, groups[0].tables, strict=True)
        ]
        own = self.group_sizing(hot, decision.settings, optimizer)
        return (own, *cold.joining(groups, hot)), (*decision.notes, *said)

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        return self.held(int(settings["hot_rows"]), tables[0].table.dim)

    def held(self, rows: int, dim: int) -> tuple[Holding, ...]:
        """What is held for so many hot rows."""
        tags, second = _buckets(rows) + 1 + rows, []
        if self.levels == 2:
            tags += _buckets(rows) + 1 + self.medium_ids(rows)
            second = [Rows("second", _second_rows(rows), dim)]
        return (
            Rows("hot", rows, dim),
            *second,
            SEED.holding,
            Served("tags", (tags,), "int32"),
            Scratch("sketch", (self.sketch_slots(rows) * 3,), "int32"),
            Scratch("free", (rows + 1,), "int32"),
            Scratch("threshold", (1,), "float32"),
            *self.also_held(rows),
        )

    def also_held(self, rows: int) -> tuple[Scratch, ...]:
        """What else is held while training, for so many hot rows. It begins as zeros."""
        return ()

    def sketch_slots(self, rows: int) -> int:
        """Slots of the sketch for so many hot rows."""
        return _WIDER * _buckets(rows) * self.slots

    def medium_ids(self, rows: int) -> int:
        """How many ids are medium at most where there are so many hot rows."""
        return 0 if self.levels == 1 else min(_PER_SECOND * _second_rows(rows), self.sketch_slots(rows))

    # -- values and looking up ---------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        write_seed(group, seed)
        for spec in group.sizing.train:
            if spec.name != "seed":
                group.tensor(spec.name).data.zero_()
        all_free(group.tensor("free"))
        group.tensor("threshold").fill_(self.first_threshold)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        seed, rows, training = read_seed(tensors), int(sizing.settings["hot_rows"]), "sketch" in tensors
        second = _second_rows(rows) if self.levels == 2 else 0
        addressing: list[Addressing] = []
        for index, sized in enumerate(sizing.tables):
            own = stream(seed, index)
            if not sized.settings["sketched"]:
                addressing.append(Row(start=0, rows=0, fold=-1))
            elif training:
                addressing.append(
                    Sketched(
                        buckets=_WIDER * _buckets(rows), slots=self.slots, seed=own, shared=second, first_shared=rows
                    )
                )
            else:
                addressing.append(
                    Tagged(
                        buckets=_buckets(rows), rows=rows, seed=own, shared=second, first_shared=rows,
                        medium=self.medium_ids(rows),
                    )
                )  # fmt: skip
        return Access(
            regions=("hot", "second") if second else ("hot",), addressing=addressing, width=sizing.tables[0].table.dim,
            maps="sketch" if training else "tags", adds_from=rows if second else None,
        )  # fmt: skip

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        """Rows in the order of their tags; rows that nobody owns hold zeros, behind the others."""
        import torch  # here, not above: sizing answers without it

        from pocketrec.compress.freeze import encoded
        from pocketrec.native.sketch import is_medium
        from pocketrec.native.tagged import tagged_maps

        sketch, rows = sketch_of(group), int(group.sizing.settings["hot_rows"])
        tags, order = tagged_maps(sketch, buckets=_buckets(rows), rows=rows)
        if self.levels == 2:
            medium, _ = tagged_maps(
                sketch, buckets=_buckets(rows), rows=self.medium_ids(rows), chosen=is_medium(sketch)
            )
            tags = torch.cat([tags, medium])
        trained = group.tensor("hot").detach()
        kept = trained_storage(Rows("hot", rows, group.dim), self.storage)
        nobodys = kept.encode(torch.zeros(1, group.dim)).expand(rows - len(order), -1)
        made = {"hot": torch.cat([trained[order], nobodys]), "tags": tags}
        if "hot.step" in group.tensors():  # a storage whose steps learn
            made["hot.step"] = torch.cat([group.tensor("hot.step")[order], torch.zeros(rows - len(order))])
        return group.sizing, encoded(group, made)

    # -- who is hot --------------------------------------------------------------------------------------------------

    def told(self, group: Group, ids: Tensor, tables: Tensor, importance: Tensor) -> Scored:
        """What the sketch is told of a step, as keys and scores; the arguments are those of `after_step`.

        Left out are tables that are exempt, and numbers beyond a ranked table, which all read one row.
        """
        import torch

        from pocketrec.native.scored_keys import ALL_IDS, scored_keys

        lasts = [
            (t.table.closed_rows - 1 if t.ids == "rank" else ALL_IDS) if t.settings["sketched"] else -1
            for t in group.sizing.tables
        ]
        return scored_keys(ids, tables, importance, seeds=table_seeds(group), lasts=torch.tensor(lasts))

    def promote(self, group: Group, slots: Tensor, ids: Tensor, tables: Tensor) -> None:
        """Let ids int64 of tables int64, which own none, own rows: their keys stand in these slots of the sketch."""
        if not len(slots):
            return
        vectors, states = read_rest(group, ids, tables)
        rows = take(group.tensor("free"), len(slots))
        write_rows(group, "hot", rows, vectors, states if self.state_moves else [])
        promote(sketch_of(group), slots, rows, self.admission)

    def look_for_medium(self, group: Group) -> None:
        """Let those be medium that come after the hot ones, if there are two levels. Reads the whole sketch."""
        from pocketrec.native.sketch import set_medium

        if self.levels == 2:
            sketch, rows = sketch_of(group), int(group.sizing.settings["hot_rows"])
            most = self.medium_ids(rows)
            set_medium(sketch, medium_slots(sketch, rows, most, guaranteed=self.admission.guaranteed))


def sketch_of(group: Group) -> Tensor:
    """The sketch as int32 [buckets, slots, 3], sharing memory."""
    assert isinstance(group.method, SketchSplit)
    return group.tensor("sketch").view(-1, group.method.slots, 3)


def table_seeds(group: Group) -> Tensor:
    """The seed of each table's keys: int64 [tables]."""
    import torch

    return torch.tensor(_streams(read_seed({"seed": group.tensor("seed")}), len(group.sizing.tables)))


@lru_cache
def _streams(seed: int, count: int) -> list[int]:
    """Seeds of tables 0, 1, ...; asked for at each step."""
    return [stream(seed, index) for index in range(count)]


def _buckets(rows: int) -> int:
    """Buckets of the tags: one for two rows."""
    return -(-rows // 2)


def _second_rows(rows: int) -> int:
    """Rows of the second level."""
    return max(1, rows // _PER_SECOND)
