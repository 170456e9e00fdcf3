"""Another method's rows, more of them than fit: when they are frozen the numbers of largest magnitude stay, packed.

Paper: none of its own. Magnitude pruning after training is the baseline of DeepLight (arXiv:2002.06987) and PEP
    (arXiv:2101.07577), there of full tables; here the rows may be hashed, composed or chosen by counts.
Bytes: per number that is kept 3 or 4, its place and its value in float16, and 4 per block of 256 / width or 65,536 /
    width rows; what the other method holds besides rows as it is. Training holds all rows in float32.
Use when: a row has numbers that hardly differ from zero. By arithmetic, at dim 16 a quarter of the numbers takes as
    many bytes as all of them in int4. Over min_count it is level with full tables at 2x and 10x of the Criteo sample
    and .002 of AUC behind them at 100x, as its base in int8 is (docs/which_method.md).
Did not help when: compared with fewer bits: its base in int4 is as good or better at 10x and below, .009 behind full
    tables at 1000x of the Criteo sample to .013, .011 at 10x of Frappe to .021, and its look-ups take a twentieth of
    the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.given import stats_or_zipf
from pocketrec.compress.holdings import Holding, Rows
from pocketrec.compress.method import METHODS, Decision, Method, Traits, of
from pocketrec.compress.parts.largest import largest_fitting
from pocketrec.compress.parts.packed_sparse import STORE, pack, store_codes, store_holdings
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.sparse_sizes import SparseSize, least_sparse_bytes, most_nonzeros
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "Pruned"]

_MOST_WIDTH: Final = 65_536  # numbers of a row, so that one of 16 bits says which


@final
@dataclass(frozen=True, kw_only=True)
class Pruned(Method):
    """Rows of a method, pruned when they are frozen.

    The other method gets the most rows of which the wanted share fits; what is left over keeps more of their numbers.
    One threshold is that of all rows.

    Attributes:
        base: name of the method whose rows these are. It trains in one stage and looks up rows of one tensor.
        base_options: its options but the storage; `init` is that of this method where they do not name it.
        keep: the least share of all numbers that is kept, above 0 and at most 1.
    """

    name = "pruned"
    traits = Traits(ids=("rank", "plain", "hash63"), from_dense=True, storages=("float16",))  # those of hash_rows

    storage: str = "float16"
    base: str = "hash_rows"
    base_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    keep: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("keep", 0 < self.keep <= 1, "be above 0 and at most 1")
        object.__setattr__(self, "base_options", dict(self.base_options))
        if "storage" in self.base_options:
            raise OptionError("pruned: base_options name a storage, but what is kept is held in float16.")
        refuse_unless_rows_stay(self.base)
        inner = self._base().traits
        traits = Traits(
            ids=inner.ids, needs_counts=inner.needs_counts, needs_value_sets=inner.needs_value_sets,
            from_dense=inner.from_dense, grows=inner.grows, rounds=inner.rounds, storages=("float16",),
        )  # fmt: skip
        object.__setattr__(self, "traits", traits)

    def _base(self) -> Method:
        return of(self.base, {"init": self.init, **self.base_options, "storage": "float32"})

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        base = self._base()
        stats, _ = stats_or_zipf(base, tables, {})
        return self._bytes(self._unpruned(tables, base.least_bytes(tables), stats))

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        base = self._base()
        least = base.least_bytes(tables)
        # a kept number takes at most its four bytes in float32, so more than so many rows never fit
        most = max(least, int(budget_bytes / self.keep * 2))
        nbytes = largest_fitting(
            least, most, lambda b: self._bytes(self._unpruned(tables, b, stats)) <= budget_bytes
        )  # fmt: skip
        decided = self._unpruned(tables, nbytes, stats)
        rows = self._rows(decided.tables, decided.settings)
        size = most_nonzeros(rows.rows, rows.width, budget_bytes - self._others(decided))
        assert size is not None, "what fits holds a number"
        numbers = rows.rows * rows.width
        zeros = f"{1 - size.nonzeros / numbers:.2%} of the {numbers:,} numbers of {self.base} become zeros when frozen."
        return replace(
            decided, notes=(*decided.notes, *([zeros] if size.nonzeros < numbers else [])),
            settings={**decided.settings, "nonzeros": size.nonzeros, "place_bytes": size.place_bytes},
        )  # fmt: skip

    def _unpruned(self, tables: Sequence[TableSpec], nbytes: int, stats: Mapping[str, TableStats]) -> Decision:
        """What the other method decides.

        Raises:
            OptionError: it holds these tables in a way in which nothing can be pruned.
        """
        base = self._base()
        groups, notes = base.groups(tables, nbytes, stats, OptimizerSpec(name="sgd"))
        if len(groups) > 1:
            raise OptionError(
                f"pruned: {self.base} holds these tables in {len(groups)} groups, and what is pruned are the rows of "
                "one tensor. Choose other options of it, or another method; a part of mixed may be pruned by itself."
            )
        return Decision(tables=groups[0].tables, settings=groups[0].settings, notes=notes)

    def _rows(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> Rows:
        """The one tensor of rows that the other method holds."""
        held = [h for h in self._base().holdings(tables, settings) if isinstance(h, Rows)]
        if len(held) != 1:
            raise OptionError(
                f"pruned: {self.base} holds {'no rows' if not held else f'{len(held)} tensors of rows'}; "
                "a method with one can be pruned, such as full, min_count, hash_rows or quotient_remainder."
            )
        if held[0].width > _MOST_WIDTH:
            raise OptionError(f"pruned takes rows of at most {_MOST_WIDTH:,} numbers, these have {held[0].width:,}.")
        return held[0]

    def _others(self, decided: Decision) -> int:
        """Bytes of what is held besides the rows."""
        rows = self._rows(decided.tables, decided.settings)
        sizing = self._base().group_sizing(decided.tables, decided.settings, OptimizerSpec(name="sgd"))
        return sum(t.nbytes for t in sizing.serve if t.name != rows.name)

    def _bytes(self, decided: Decision) -> int:
        """Bytes where just the wanted share is kept."""
        rows = self._rows(decided.tables, decided.settings)
        wanted = max(1, int(self.keep * rows.rows * rows.width))
        return self._others(decided) + least_sparse_bytes(rows.rows, rows.width, wanted)

    def counted(self, tables: Sequence[TableSpec]) -> list[TableSpec]:
        return self._base().counted(tables)

    def value_sets(self) -> Mapping[str, Any]:
        return self._base().value_sets()

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        held = self._base().holdings(tables, settings)
        trained = (replace(h, served=False) if isinstance(h, Rows) else h for h in held)
        return *trained, *store_holdings(self._store(tables, settings))

    def _store(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> SparseSize:
        rows = self._rows(tables, settings)
        return SparseSize(
            rows=rows.rows, dim=rows.width, nonzeros=int(settings["nonzeros"]),
            place_bytes=int(settings["place_bytes"]),
        )  # fmt: skip

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        self._base().initialise(group, seed=seed, data=data)

    def warm(self, group: Group, previous: Group) -> None:
        self._base().warm(group, previous)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        self._base().from_dense(group, weights)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        found = self._base().access(sizing, tensors)
        if found.combine in (Combine.concat, Combine.contract) or found.computes:
            raise OptionError(
                f"pruned: {self.base} makes vectors of parts of its rows (tensor trains, codes, networks), and packed "
                "rows are read whole. Choose a method whose vectors are rows, their sums or products."
            )
        if self._rows(sizing.tables, sizing.settings).name in tensors:
            return found
        return replace(found, regions=STORE, stored=store_codes(self._store(sizing.tables, sizing.settings)))

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        from pocketrec.compress.freeze import encoded

        tables, settings = group.sizing.tables, group.sizing.settings
        rows = group.tensor(self._rows(tables, settings).name).detach()
        return group.sizing, encoded(group, pack(rows, self._store(tables, settings)))


def refuse_unless_rows_stay(base: str) -> None:
    """Refuse a method whose rows are not what serves in the end, with the reason.

    Raises:
        OptionError: it searches, moves rows while it trains, or has a serving form of its own.
    """
    kind = METHODS.get(base)
    traits = kind.traits
    reasons = {
        "it is this method": kind is Pruned,
        "it chooses methods by table: let a part of it be pruned instead": base == "mixed",
        "it trains in stages, or settles on what it holds while it trains": traits.staged or traits.settles,
        "it moves rows while it trains": traits.adaptive or traits.scores or traits.timed or bool(traits.moves),
        "it has a serving form of its own": kind.frozen is not Method.frozen,
        "it is served on other ids than it trains on": traits.rehashed,
    }
    for reason, holds in reasons.items():
        if holds:
            raise OptionError(f"pruned: base cannot be {base}: {reason}.")


METHOD = Pruned
