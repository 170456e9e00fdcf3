"""Method: the contract. A named way to store tables in fewer bytes.

A method decides (:meth:`Method.size`, arithmetic only), says what it holds (:meth:`Method.holdings`), fills it
(:meth:`Method.initialise`) and says how it is looked up (:meth:`Method.access`). The bank makes the calls, the trainer
drives the loop, the storage counts and converts. What a method does beyond that, it declares in its traits.

A method's options are the fields of its frozen dataclass; two methods with equal options are equal. All that is
decided survives JSON in a :class:`~pocketrec.spec.sizing.Sizing`, from which :func:`of` gives the method back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from pocketrec.compress.access import Access
from pocketrec.compress.given import check_tables, stats_or_zipf
from pocketrec.compress.holdings import Holding, serve_tensors, state_tensors, train_tensors
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.kinds import check_kinds
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.registry import Folder
from pocketrec.spec.sizing import GroupSizing, Sizing, TableSizing
from pocketrec.spec.stage import Stage
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import IdSpace, TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.computed import Asked
    from pocketrec.compress.group import Group
    from pocketrec.compress.worth import TableWorth

__all__ = ["METHODS", "Decision", "Method", "Traits", "of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What callers and tests must know of a method. Data, never discovered.

    Attributes:
        ids: id spaces that it accepts.
        needs_counts: whether sizing looks at frequencies (without measured ones Zipf 1.05 is assumed, and said).
        needs_value_sets: whether it is built from value sets (:meth:`Method.value_sets` says which).
        adaptive: whether it is told after each step what was touched (:meth:`Method.after_step`).
        staged: whether it trains in more than one stage (:meth:`Method.stages`).
        settles: whether its first stages are about all its tables at once and end with a choice of how each of them is
            held (:meth:`Method.search`, :meth:`Method.settled`). Until then a sizing's bytes are a ceiling.
        scores: whether a stage of its search scores candidates (`pocketrec.compress.candidates.Candidates`).
        moves: names of matrices that it moves by a rule of its own (`pocketrec.compress.moves`): no optimizer does.
        timed: whether it is told before each step when it is (:meth:`Method.before_step`).
        separable: whether what is decided for a table says all that its look-ups need, so that tables which were sized
            one by one can be held as one group. Settings of the group then say nothing.
        from_dense: whether it can start from a dense table (:meth:`Method.from_dense`).
        grows: whether a table may get more rows later without moving those that it has.
        rounds: whether matrix products make its vectors: an id's may then differ in the last bits with what else is
            asked for in the same call.
        rehashed: whether it trains on ranks and is served on the hashes of their tokens. A method that holds only some
            ids of a table asks by one kind of id all the time, so such a one cannot be its part.
        storages: in what numbers it can be kept, names of ``compress/storage``; None is all of them.
    """

    ids: tuple[IdSpace, ...] = ("rank", "plain")
    needs_counts: bool = False
    needs_value_sets: bool = False
    adaptive: bool = False
    staged: bool = False
    settles: bool = False
    scores: bool = False
    timed: bool = False
    separable: bool = False
    moves: tuple[str, ...] = ()
    from_dense: bool = False
    grows: bool = False
    rounds: bool = False
    rehashed: bool = False
    storages: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a method decided, before it is written down as tensors.

    Attributes:
        tables: what was decided per table.
        settings: numbers of the whole group, JSON only.
        notes: sentences to print.
    """

    tables: tuple[TableSizing, ...]
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A way to store tables. Subclasses are final, one per file, named after the file.

    Attributes:
        storage: in what numbers weights are kept, a name of ``compress/storage``.
        init: half-width of the uniform distribution that looked-up vectors start from; None means sqrt(1 / rows) of
            each table, as DLRM does.
    """

    name: ClassVar[str]
    traits: ClassVar[Traits]

    storage: str = "float32"
    init: float | None = None

    def __post_init__(self) -> None:
        STORAGES.get(self.storage)
        taken = self.traits.storages
        self.require("storage", taken is None or self.storage in taken, f"be {' or '.join(map(repr, taken or ()))}")
        if self.init is not None and not self.init > 0:
            raise OptionError(f"{self.name}: init must be above 0, got {self.init}.")

    def require(self, option: str, fits: bool, rule: str) -> None:
        """OptionError that names the option, the rule ("must ...") and the value, unless it fits."""
        if not fits:
            raise OptionError(f"{self.name}: {option} must {rule}, got {getattr(self, option)!r}.")

    # -- what a method says ------------------------------------------------------------------------------------------

    @abstractmethod
    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        """The floor: the fewest serving bytes in which these tables can be held."""

    @abstractmethod
    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        """Settings whose serving bytes are at most `budget_bytes`, which is at least the floor.

        `stats` has an entry for every table of :meth:`counted` if the method's traits say that it needs counts, else it
        may be empty.
        """

    @abstractmethod
    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        """What is held for this decision."""

    @abstractmethod
    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        """Fill the group's tensors (training form). Equal seeds give equal values on every machine.

        Args:
            group: to be filled.
            seed: of what is drawn.
            data: what is known of the rows that train; any of it may be absent. ``stats``: `TableStats` by table.
                ``tokens``: from a table's name to int64 [ranks], the hash of each rank's token, read when asked for.
                ``value_sets``: see :meth:`value_sets`.
        """

    @abstractmethod
    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        """How the group is looked up. `tensors` are given for seeds that live in them; they may be on meta."""

    # -- what a method may say besides -------------------------------------------------------------------------------

    def computed(self, group: Group, rows: Tensor, asked: Asked) -> Tensor:
        """The vectors of some ids, if the group's access says that they are computed. Differentiable, ids one by one.

        Args:
            group: in either form; matrices and rows that train are its parameters.
            rows: float32 [n, width], what was looked up for each id; [n, 0] where there are no regions.
            asked: n ids and the tables that they are of. There may be none.

        Returns:
            float32 [n, dim]. A loss that the method has of its own goes with them
            (`pocketrec.compress.computed.with_loss`).
        """
        raise NotImplementedError(f"{self.name} says that it computes vectors and not how.")

    def value_sets(self) -> Mapping[str, Any]:
        """The options of `pocketrec.data.value_sets` by which its sets are made, if its traits say that it needs them.

        They are given to :meth:`initialise` as ``data["value_sets"]``: by table, arrays ``values``, ``starts`` and
        ``members``.
        """
        raise NotImplementedError(f"{self.name} says that it needs value sets and not which.")

    def counted(self, tables: Sequence[TableSpec]) -> list[TableSpec]:
        """The tables whose frequencies sizing looks at, if the traits say that it needs counts: all closed ones.

        Of an open table nothing can be assumed where it was not measured.
        """
        return [t for t in tables if t.rows is not None]

    def kept(self, groups: Sequence[GroupSizing], worth: TableWorth) -> float | None:
        """By arithmetic: the share of what a table's ids are worth that is left when it is held so, 0..1.

        Args:
            groups: what :meth:`groups` decided for this table alone.
            worth: of the table.

        Returns:
            None where no law is known; such a method is chosen by training with it.
        """
        return None

    def warm(self, group: Group, previous: Group) -> None:
        """Take over the values of the bank before (an earlier stage, or yesterday's model with fewer rows).

        The default copies every tensor of equal name: whole when the shape is equal, else table by table when the
        tensor stacks the rows of all tables. A method whose tensors mean something else overrides it.
        """
        from pocketrec.compress.warm import copy_tables

        copy_tables(group, previous)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        """Fill the group's tensors so that they approximate these dense float32 [rows, dim] tables."""
        raise OptionError(
            f"{self.name} cannot start from a dense table; methods that can say from_dense in their traits."
        )

    def stages(self, sizing: GroupSizing, optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        """The stages of training, each with what is held in it. The last one freezes to the promise.

        Args:
            sizing: what was decided, that is what the last stage holds.
            optimizer: whose state every stage holds (:meth:`group_sizing` counts it).
        """
        return ((Stage(name="train"), sizing),)

    def search(self, groups: Sequence[GroupSizing], optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        """If the traits say settles: the stages before the last, each with one group that holds all these tables.

        Args:
            groups: neighbours of equal options. They are what is held if nothing is learned: the promise.
            optimizer: whose state every stage holds.

        Returns:
            Nothing, if the choice has been made already.
        """
        raise NotImplementedError(f"{self.name} says that it settles and has no search.")

    def settled(self, group: Group, optimizer: OptimizerSpec) -> tuple[GroupSizing, ...]:
        """What a group of :meth:`search` is to be held as, by what it learned; any other group as it is.

        No more than the promise in bytes, and exact from now on. Each of these groups is then built and takes its
        values over by :meth:`warm`.

        Args:
            group: in its training form.
            optimizer: whose state is held.
        """
        raise NotImplementedError(f"{self.name} says that it settles and not how.")

    def before_step(self, group: Group, *, step: int, rows: int, held_out: bool) -> None:
        """Told before a step, if the traits say timed: what is drawn or cooled in a step is a function of these alone.

        Args:
            group: the tensors, where it may be noted; they go into checkpoints.
            step: steps made before this one, in all stages.
            rows: data rows that these steps took (the last batch of an epoch counted as a whole one).
            held_out: whether it is the step on validation rows that stands behind that of this number.
        """
        raise NotImplementedError(f"{self.name} says that it is timed and has no before_step.")

    def after_step(self, group: Group, *, step: int, ids: Tensor, tables: Tensor, importance: Tensor) -> None:
        """Told after an update, once for all lookups of a step, if the traits say adaptive. No graph is recorded.

        Args:
            group: the tensors, which may be changed in place (maps, rows, state).
            step: number of this update, from 1.
            ids: int64 [values], all ids that were looked up since the step before, duplicates included, padding left
                out; they may lie beyond the rows of their table.
            tables: int64 [values], which table of the group each is of.
            importance: float32 [values], L2 norm of the gradient of each looked-up vector (of its bag's, for bags).
        """
        raise NotImplementedError(f"{self.name} says it is adaptive but has no after_step.")

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        """The serving form. The default encodes every weight tensor in the storage and keeps the rest.

        Returns:
            The sizing with the promised tensors, whose tables may want other ids than training did (ranks there, hashes
            here), and the tensors.
        """
        from pocketrec.compress.freeze import encoded

        return group.sizing, encoded(group)

    # -- what is the same for all ------------------------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        """The options, JSON only; ``type(method)(**method.options())`` is equal to the method."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def size(
        self,
        tables: Sequence[TableSpec],
        budget: Budget | str | int,
        *,
        stats: Mapping[str, TableStats] | None = None,
        optimizer: OptimizerSpec | None = None,
    ) -> Sizing:
        """Decide for a budget. Arithmetic only: no tensor is made.

        Args:
            tables: distinct names, one dim.
            budget: a ceiling, such as ``"64MiB"``, ``"16x"`` or an int of bytes.
            stats: frequencies by table name, for methods that need them.
            optimizer: whose state counts as training bytes; row-wise Adagrad when not given.

        Raises:
            BudgetTooSmall: the floor is above the serving or the training ceiling; it names the floor.
            OptionError: tables that this method cannot hold.
        """
        from pocketrec.compress.plan import most_train_bytes  # here, not above: plans are made of methods

        budget, optimizer = Budget.parse(budget), optimizer or OptimizerSpec()
        check_tables(self, tables)
        budget_bytes, floor = budget.resolve(tables), self.least_bytes(tables)
        if floor > budget_bytes:
            raise BudgetTooSmall(self.name, budget_bytes, floor)
        known, notes = stats_or_zipf(self, tables, stats or {})
        groups, said = self.groups(tables, budget_bytes, known, optimizer)
        sizing = Sizing(
            groups=groups, order=tuple(t.name for t in tables), budget_bytes=budget_bytes, optimizer=optimizer,
            notes=notes + said,
        )  # fmt: skip
        promised = sizing.serve_bytes
        assert promised <= budget_bytes, f"{self.name} promised {promised} of {budget_bytes} bytes"
        largest = most_train_bytes(groups, optimizer)
        if budget.train_bytes is not None and largest > budget.train_bytes:
            raise BudgetTooSmall(self.name, budget.train_bytes, largest, "train")
        return sizing

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        """What is decided, written down as groups, and sentences to print.

        A method that contains another (by its name) overrides it: its own group first, then the groups of the other,
        which join it.
        """
        decision = self.decide(tables, budget_bytes, stats)
        return (self.group_sizing(decision.tables, decision.settings, optimizer),), decision.notes

    def group_sizing(
        self, tables: Sequence[TableSizing], settings: Mapping[str, Any], optimizer: OptimizerSpec
    ) -> GroupSizing:
        """A decision written down as tensors, exactly."""
        held = self.holdings(tables, settings)
        return GroupSizing(
            method=self.name, options=self.options(), tables=tuple(tables), settings=dict(settings),
            serve=serve_tensors(held, self.storage), train=train_tensors(held, self.storage),
            state=state_tensors(held, optimizer, self.storage),
        )  # fmt: skip


METHODS: Folder[type[Method]] = Folder(
    "pocketrec.compress.methods", "method", "METHOD",
    aliases={"adapt_emb": "offline_split", "compo": "quotient_remainder", "low_rank": "narrow"},
)  # fmt: skip

# What a name of the literature says besides the method that it is another name of.
_PRESETS: Mapping[str, Mapping[str, Any]] = {"low_rank": {"widen": True}}


def of(name: str, options: Mapping[str, Any] | None = None) -> Method:
    """The method of this name, or of this name in the literature, with these options.

    Raises:
        OptionError: no method or option has this name (it says which there are), a value is of the wrong kind, or the
            method refuses it.
    """
    kind, options = METHODS.get(name), {**_PRESETS.get(name, {}), **(options or {})}
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise OptionError(f"{name} has no option {', '.join(map(repr, unknown))}. Options: {', '.join(sorted(known))}.")
    try:
        check_kinds(kind, options)
    except OptionError as wrong:
        raise OptionError(f"{name}: {str(wrong).removeprefix(f'{name}: ')}") from wrong
    return kind(**options)
