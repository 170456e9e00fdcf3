"""Give the ids that matter most rows of their own while training goes on, and ask another method for all others.

Paper: Zhang et al., CAFE: Towards Compact, Adaptive, and Fast Embedding for Large-scale Recommendation Models, SIGMOD
    2024, arXiv:2312.03256. A sketch finds the ids with the largest gradients in a fixed number of bytes. Policies
    "paper" and "pinned" are the published rule and about what the published program does; "top_k", the default, is
    ours, and so is all about the optimizer's state. Each id is hashed once; CAFE-ML (two hash levels) is left out.
Bytes: hot rows x (stored row + 6 for its tag) + 12, up to `hot` of the budget, + what the cold method makes of the
    rest. Training holds 12 x `slots` per hot row for the sketch and 4 for the free rows besides.
Use when: which ids matter is not known before training, or changes; ids never stop coming (no vocabulary is needed);
    the budget is a hundredth of the tables or less.
Did not help when: not measured yet by a study that is kept. First looks at synthetic logs put it ahead of hash_rows at
    100x and 1000x, close behind offline_split, which knows the counts, and ahead of "pinned" where popularity drifts;
    exempt tables (`exempt_rows`) and `state_moves`, both off, cost it a little there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.addressing.sketched import Sketched, Tagged
from pocketrec.compress.holdings import Holding, Rows, Scratch, Served, serve_tensors, trained_storage
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.cold_part import (
    SPACES,
    by_hashes,
    check_cold,
    cold_groups,
    cold_method,
    joined_traits,
    joining,
)
from pocketrec.compress.parts.hot_rows import (
    PAPER,
    PINNED,
    TOP_K,
    Admission,
    all_free,
    demote,
    give_back,
    promote,
    promotions,
    take,
    threshold_for,
    too_cold,
)
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

__all__ = ["METHOD", "Cafe", "published_split"]

_POLICIES: Final[Mapping[str, Admission]] = {"paper": PAPER, "pinned": PINNED, "top_k": TOP_K}
# Buckets of the sketch for one of the tags, which have one for two rows: one for each row, as published.
_WIDER: Final = 2
# A bucket of tags may hold 32 of them.
_MOST_SLOTS: Final = 32 // _WIDER
_MOST_ROWS: Final = 2**31 - 2  # rows are int32


@final
@dataclass(frozen=True, kw_only=True)
class Cafe(Method):
    """Rows for the ids with the highest scores, another method for all others.

    The score of an id is the sum of the norms of the gradients of its vectors, one for each time that it is looked up,
    each divided by the mean over its table and batch: an average occurrence counts 1 in every table, whatever the loss
    is multiplied by. A promoted id begins with the vector that it read from the cold part; one that loses its row reads
    the cold part again, which did not change. Both happen after the step of the optimizer (in the paper before it).

    Attributes:
        hot: share of the budget for hot rows and their tags, above 0 and below 1; what the cold method needs at least
            is left to it.
        slots: of a bucket of the sketch, 1 to 16; there is a bucket for each hot row.
        policy: who gets a row. ``top_k``: those that surely had more than the hot row number last, a threshold that is
            found anew at each look. ``paper``: whose score reaches `threshold`, and a newcomer may take the slot of a
            hot id. ``pinned``: whose score reaches `threshold` when it is hit again; hot ids stay until a decay.
        threshold: of "paper" and "pinned", in average occurrences, 0 or more.
        every: steps from one look at the whole sketch (decay, threshold, demotion) to the next, 1 or more. "top_k"
            looks at steps 1, 2, 4, 8 and so on besides, until there was the first one.
        hysteresis: share of its score that a newcomer of "top_k" must be ahead of a hot id, 0 or more.
        decay: what scores are multiplied by at each look, in (0, 1].
        state_moves: whether a promoted id also takes along the optimizer's state of the row that it read, where it read
            one; else, and where not, its state begins at 0. First looks with row-wise Adagrad found it better to begin
            at 0, most of all where popularity drifts; no study of it is kept yet.
        exempt_rows: ranked tables of at most so many rows are left to the cold method alone, in ranks, so that it may
            hold them exact; they need a vocabulary. Without any there is none, if the cold method takes hashes.
        cold: name of the method that holds all other ids.
        cold_options: its options, JSON only. `storage` and `init` are those of this method where it does not name them.
    """

    name = "cafe"
    traits = Traits(ids=SPACES, adaptive=True)

    hot: float = 0.7
    slots: int = 4
    policy: str = "top_k"
    threshold: float = 500.0
    every: int = 20
    hysteresis: float = 0.1
    decay: float = 0.9
    state_moves: bool = False
    exempt_rows: int = 0
    cold: str = "hash_rows"
    cold_options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.hot < 1:
            raise OptionError(f"cafe: hot must lie between 0 and 1, got {self.hot}.")
        if not 1 <= self.slots <= _MOST_SLOTS or self.every < 1 or self.exempt_rows < 0:
            raise OptionError(
                f"cafe: slots must lie in 1..{_MOST_SLOTS}, every be 1, exempt_rows 0 or more, got {self}."
            )
        if self.policy not in _POLICIES:
            raise OptionError(f"cafe: no policy {self.policy!r}. Known: {', '.join(_POLICIES)}.")
        if not 0 <= self.threshold < float("inf") or not 0 <= self.hysteresis < float("inf") or not 0 < self.decay <= 1:
            raise OptionError(f"cafe: threshold and hysteresis must be 0 or more, decay in (0, 1], got {self}.")
        object.__setattr__(self, "cold_options", check_cold(self, self.cold, self.cold_options))
        # what it takes depends on what it contains
        object.__setattr__(self, "traits", joined_traits(type(self).traits, self.cold_method))

    @property
    def cold_method(self) -> Method:
        """The method that holds all ids that are not hot."""
        return cold_method(self, self.cold, self.cold_options)

    @property
    def admission(self) -> Admission:
        """The policy as a rule."""
        return _POLICIES[self.policy]

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return self._hot_bytes(1, tables[0].dim) + self._cold_bytes(tables)

    def _hot_bytes(self, rows: int, dim: int) -> int:
        return sum(spec.nbytes for spec in serve_tensors(self._held(rows, dim), self.storage))

    def _cold_bytes(self, tables: Sequence[TableSpec]) -> int:
        return self.cold_method.least_bytes([self._cold_spec(t) for t in tables])

    def counted(self, tables: Sequence[TableSpec]) -> list[TableSpec]:
        return self.cold_method.counted([self._cold_spec(t) for t in tables])

    def value_sets(self) -> Mapping[str, Any]:
        """Those of the cold method."""
        return self.cold_method.value_sets()

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        dim = tables[0].dim
        room = min(int(self.hot * budget_bytes), budget_bytes - self._cold_bytes(tables)) - self._hot_bytes(0, dim)
        pair = self._hot_bytes(2, dim) - self._hot_bytes(0, dim)
        single = self._hot_bytes(1, dim) - self._hot_bytes(0, dim)
        rows = 2 * (room // pair) + (room % pair >= single)
        sized = tuple(
            TableSizing(table=t, ids=t.ids, told_apart=0, settings={"sketched": not self._is_exempt(t)}) for t in tables
        )
        sizes = [t.rows for t in tables if not self._is_exempt(t)]
        ids = _MOST_ROWS if None in sizes else sum(t.closed_rows for t in tables if not self._is_exempt(t))
        return Decision(tables=sized, settings={"hot_rows": max(1, min(rows, ids, _MOST_ROWS))})

    def _is_exempt(self, table: TableSpec) -> bool:
        return table.ids == "rank" and table.closed_rows <= self.exempt_rows

    def _cold_spec(self, table: TableSpec) -> TableSpec:
        """The table as the cold method is told of it."""
        exempt = self._is_exempt(table) and "rank" in self.cold_method.traits.ids
        return table if exempt else by_hashes(self.cold_method, table)

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision, cold = self.decide(tables, budget_bytes, stats), self.cold_method
        left = budget_bytes - self._hot_bytes(decision.settings["hot_rows"], tables[0].dim)
        groups, said = cold_groups(self, cold, [self._cold_spec(t) for t in tables], left, stats, optimizer)
        hot = [
            TableSizing(table=t.table, ids=c.ids, told_apart=c.told_apart, settings=t.settings)
            for t, c in zip(decision.tables, groups[0].tables, strict=True)
        ]
        own = self.group_sizing(hot, decision.settings, optimizer)
        return (own, *joining(groups, hot)), (*decision.notes, *said)

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        return self._held(int(settings["hot_rows"]), tables[0].table.dim)

    def _held(self, rows: int, dim: int) -> tuple[Holding, ...]:
        buckets = _buckets(rows)
        return (
            Rows("hot", rows, dim),
            SEED.holding,
            Served("tags", (buckets + 1 + rows,), "int32"),
            Scratch("sketch", (_WIDER * buckets * self.slots * 3,), "int32"),
            Scratch("free", (rows + 1,), "int32"),
            Scratch("threshold", (1,), "float32"),
        )

    # -- values and looking up ---------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        write_seed(group, seed)
        for name in ("hot", "sketch"):
            group.tensor(name).data.zero_()
        all_free(group.tensor("free"))
        group.tensor("threshold").fill_(0.0 if self.policy == "top_k" else self.threshold)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        seed, rows, training = read_seed(tensors), int(sizing.settings["hot_rows"]), "sketch" in tensors
        addressing: list[Addressing] = []
        for index, sized in enumerate(sizing.tables):
            own = stream(seed, index)
            if not sized.settings["sketched"]:
                addressing.append(Row(start=0, rows=0, fold=-1))
            elif training:
                addressing.append(Sketched(buckets=_WIDER * _buckets(rows), slots=self.slots, seed=own))
            else:
                addressing.append(Tagged(buckets=_buckets(rows), rows=rows, seed=own))
        return Access(
            regions=("hot",), addressing=addressing, width=sizing.tables[0].table.dim,
            maps="sketch" if training else "tags",
        )  # fmt: skip

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        """Rows in the order of their tags; rows that nobody owns hold zeros, behind the others."""
        import torch  # here, not above: sizing answers without it

        from pocketrec.compress.freeze import encoded
        from pocketrec.native.tagged import tagged_maps

        rows = int(group.sizing.settings["hot_rows"])
        tags, order = tagged_maps(_sketch(group), buckets=_buckets(rows), rows=rows)
        trained = group.tensor("hot").detach()
        kept = trained_storage(Rows("hot", rows, group.dim), self.storage)
        nobodys = kept.encode(torch.zeros(1, group.dim)).expand(rows - len(order), -1)
        return group.sizing, encoded(group, {"hot": torch.cat([trained[order], nobodys]), "tags": tags})

    # -- who is hot --------------------------------------------------------------------------------------------------

    def after_step(self, group: Group, *, step: int, ids: Tensor, tables: Tensor, importance: Tensor) -> None:
        from pocketrec.native.scored_keys import scored_keys
        from pocketrec.native.sketch import sketch_insert

        sketch, free, threshold = _sketch(group), group.tensor("free"), group.tensor("threshold")
        told = scored_keys(ids, tables, importance, seeds=_seeds(group), lasts=_lasts(group))
        found = sketch_insert(sketch, told.keys, told.scores, evict_hot=self.admission.evict_hot)
        if self.admission.evict_hot:
            give_back(free, found.released[found.released >= 0])
        if self._looks(step):
            self._look(sketch, free, threshold, step)
        chosen = promotions(
            sketch, found, self.admission, threshold=float(threshold), most=int(free[0]),
            hysteresis=self.hysteresis if self.policy == "top_k" else 0.0,
        )  # fmt: skip
        if not len(chosen):
            return
        values = told.values[found.values[chosen]]
        vectors, states = read_rest(group, ids[values], tables[values])
        rows = take(free, len(chosen))
        write_rows(group, "hot", rows, vectors, states if self.state_moves else [])
        promote(sketch, found.slots[chosen], rows, self.admission)

    def _looks(self, step: int) -> bool:
        early = self.policy == "top_k" and step < self.every and step & (step - 1) == 0
        return early or step % self.every == 0

    def _look(self, sketch: Tensor, free: Tensor, threshold: Tensor, step: int) -> None:
        """Go through the whole sketch: decay, threshold, demotion."""
        from pocketrec.native.sketch import sketch_decay

        if self.decay < 1 and step % self.every == 0:
            sketch_decay(sketch, self.decay)
        if self.policy == "top_k":
            # a newcomer, which needs the hysteresis more, is then one of those that there is a row for
            threshold.fill_(threshold_for(sketch, len(free) - 1, guaranteed=True) / (1 + self.hysteresis))
        give_back(free, demote(sketch, too_cold(sketch, float(threshold))))


def published_split(rows: Sequence[int], *, ratio: float, share: float, dim: int) -> tuple[int, list[int]]:
    """Hot rows and shared rows per field as the published program splits a budget of so many times fewer numbers.

    Its sketch takes 48 bytes per hot row (4 slots of 3 words), served or not; rows are float32.

    Args:
        rows: ids per field.
        ratio: how many times fewer numbers than the dense tables.
        share: of the budget for hot rows and sketch, in 0..1.
        dim: numbers per row.

    >>> published_split([1000, 24], ratio=8, share=0.5, dim=16)
    (36, [63, 2])
    """
    import math

    row_bytes = 4 * dim
    hot = math.floor(sum(rows) / ratio * share * row_bytes / (row_bytes + 48))
    return hot, [math.ceil(n / ratio * (1 - share)) for n in rows]


def _buckets(rows: int) -> int:
    """Buckets of the tags: one for two rows."""
    return -(-rows // 2)


def _sketch(group: Group) -> Tensor:
    """The sketch as int32 [buckets, slots, 3], sharing memory."""
    assert isinstance(group.method, Cafe)
    return group.tensor("sketch").view(-1, group.method.slots, 3)


def _seeds(group: Group) -> Tensor:
    """The seed of each table's keys: int64 [tables]."""
    import torch

    seed = read_seed({"seed": group.tensor("seed")})
    return torch.tensor([stream(seed, index) for index in range(len(group.sizing.tables))])


def _lasts(group: Group) -> Tensor:
    """The last id of each table that the sketch is told of: int64 [tables].

    Left out are tables that are exempt, and numbers beyond a ranked table, which all read one row.
    """
    import torch

    from pocketrec.native.scored_keys import ALL_IDS

    lasts = [
        (t.table.closed_rows - 1 if t.ids == "rank" else ALL_IDS) if t.settings["sketched"] else -1
        for t in group.sizing.tables
    ]
    return torch.tensor(lasts)


METHOD = Cafe
