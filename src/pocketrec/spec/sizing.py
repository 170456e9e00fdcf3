"""Sizing: what a method decided for a budget. No tensor exists yet.

The promise in bytes is never computed beside the layout: it *is* the sum over the tensors that the layout names, and
the bank and the file hold exactly those tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import Head, TableSpec, WantedIds

__all__ = [
    "DTYPE_BYTES",
    "VOCABULARY_ENTRY_BYTES",
    "GroupSizing",
    "Joins",
    "Role",
    "SizedIds",
    "Sizing",
    "TableSizing",
    "TensorSpec",
]

DTYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "uint8": 1, "int8": 1, "int32": 4, "int64": 8}

# One entry of a vocabulary: the token's 63-bit hash (int64) and its rank (int32), as the artifact holds them.
VOCABULARY_ENTRY_BYTES = 12

Role = Literal["weights", "matrix", "fixed", "training"]

SizedIds = Literal["rank", "plain", "hash63", "head"]
"""An id space, or ``head``: ranks for those told apart, hashes for all others (:class:`~pocketrec.spec.table.Head`)."""

Joins = Literal["alone", "rest", "factor"]
"""What a group's vectors are to those of the group before it, which holds the same tables.

``alone``: nothing; the group has tables of its own. ``rest``: it is asked for the ids for which the group before has no
address (the cold ids beside hot ones), and the two are added. ``factor``: it has one number per id, by which the vector
is multiplied. Behind a group that stands alone may come rests, one after the other, or one factor.
"""

_MAY_FOLLOW: Mapping[str, tuple[str, ...]] = {"rest": ("alone", "rest"), "factor": ("alone",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One tensor, described before it is taken.

    Attributes:
        name: unique within its group.
        shape: numbers of elements per axis.
        dtype: a key of :data:`DTYPE_BYTES`.
        role: ``weights`` are rows or arrays that lookups touch; ``matrix`` is small, trained densely and used whole (a
            widening matrix); ``fixed`` is what serving needs besides (maps, seeds); ``training`` is needed only while
            training (sketches, scores) and never served.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    role: Role = "weights"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPE_BYTES or self.role not in get_args(Role):
            raise OptionError(f"Tensor {self.name!r} has dtype {self.dtype!r} and role {self.role!r}; one is unknown.")
        if not all(isinstance(n, int) for n in self.shape) or min(self.shape, default=0) < 0:
            raise OptionError(f"Tensor {self.name!r} has shape {self.shape}; every axis must be an int of 0 or more.")

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, without padding."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSizing:
    """What was decided for one table.

    Attributes:
        table: the table.
        ids: the ids that the method wants for this table: a vocabulary rank, the user's own id, a hash, or ranks for
            the frequent tokens and hashes for the others.
        told_apart: how many ranks the method must tell apart from "unknown" (0 when it hashes); they need a vocabulary.
        settings: the method's own numbers for this table, JSON only (rows, remainders, width, ...).
    """

    table: TableSpec
    ids: SizedIds
    told_apart: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ids not in get_args(SizedIds) or self.told_apart < 0:
            raise OptionError(
                f"Table {self.table.name!r} wants ids {self.ids!r} and {self.told_apart} told apart; "
                f"ids must be one of {', '.join(get_args(SizedIds))}, the number 0 or more."
            )

    @property
    def wanted(self) -> WantedIds:
        """The ids as data gives them."""
        return Head(self.told_apart) if self.ids == "head" else self.ids


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSizing:
    """The tables that one method holds together in the same tensors.

    Attributes:
        method: its name in the registry.
        options: the method's options (storage included), JSON only.
        tables: what was decided per table.
        settings: numbers of the whole group, JSON only (the size of a shared array, ...).
        serve: the tensors of the serving form.
        train: the tensors of the training form (float32 shadows of stored weights, maps, sketches).
        state: the optimizer's tensors.
        joins: what its vectors are to those of the group before it, see :data:`Joins`.
    """

    method: str
    options: Mapping[str, Any]
    tables: tuple[TableSizing, ...]
    settings: Mapping[str, Any]
    serve: tuple[TensorSpec, ...]
    train: tuple[TensorSpec, ...]
    state: tuple[TensorSpec, ...] = ()
    joins: Joins = "alone"

    def __post_init__(self) -> None:
        if self.joins not in get_args(Joins):
            raise OptionError(f"A group joins {', '.join(get_args(Joins))}, not {self.joins!r}.")

    @property
    def serve_bytes(self) -> int:
        """Bytes of the serving form: everything that turns an encoded id into its vector."""
        return sum(t.nbytes for t in self.serve)

    @property
    def train_bytes(self) -> int:
        """Bytes while training: parameters, shadows, sketches, maps and optimizer state."""
        return sum(t.nbytes for t in (*self.train, *self.state))

    @property
    def vocabulary_bytes(self) -> int:
        """Bytes of raw token to rank, for the tokens that must be told apart; a group that joins uses another's."""
        told_apart = sum(t.told_apart for t in self.tables if t.ids in ("rank", "head"))
        return VOCABULARY_ENTRY_BYTES * told_apart if self.joins == "alone" else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """A method and settings for every table, with exact bytes.

    Attributes:
        groups: disjoint groups of tables; right behind a group may stand others of the same tables that join it.
        order: for each column of ids that the bank takes, the name of its table. Every table is named, and one that
            several columns share (a history and its candidate) is named for each of them.
        budget_bytes: the ceiling that was asked for.
        optimizer: whose state is counted in `train_bytes`.
        notes: sentences to print (assumed statistics, bytes left over and why).
    """

    groups: tuple[GroupSizing, ...]
    order: tuple[str, ...]
    budget_bytes: int
    optimizer: OptimizerSpec
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [t.table.name for g in self.groups if g.joins == "alone" for t in g.tables]
        if set(names) != set(self.order) or len(set(names)) != len(names):
            raise OptionError(f"A sizing must hold every table once: {sorted(names)} against {sorted(self.order)}.")
        for before, group in zip((None, *self.groups), self.groups, strict=False):
            if group.joins != "alone":
                _check_joins(group, before)

    @property
    def serve_bytes(self) -> int:
        """The promise: bytes of all serving tensors."""
        return sum(g.serve_bytes for g in self.groups)

    @property
    def train_bytes(self) -> int:
        """Bytes of all training tensors and the optimizer's state."""
        return sum(g.train_bytes for g in self.groups)

    @property
    def vocabulary_bytes(self) -> int:
        """Bytes of the vocabulary that this sizing needs."""
        return sum(g.vocabulary_bytes for g in self.groups)

    @property
    def wanted(self) -> tuple[WantedIds, ...]:
        """The ids that each column holds, as data gives them."""
        return tuple(self.of(name).wanted for name in self.order)

    @property
    def unused_bytes(self) -> int:
        """Budget that no tensor uses."""
        return self.budget_bytes - self.serve_bytes

    @property
    def method(self) -> str:
        """The method's name, or several joined by '+' for a mixed bank; what a method contains, its options say."""
        return "+".join(dict.fromkeys(g.method for g in self.groups if g.joins == "alone"))

    def of(self, table: str) -> TableSizing:
        """What was decided for this table, by the first group that holds it."""
        for group in self.groups:
            for sized in group.tables:
                if sized.table.name == table:
                    return sized
        raise OptionError(f"No table called {table!r} in this sizing. Tables: {', '.join(self.order)}.")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_json` gives an equal sizing back."""
        return _plain(asdict(self))  # type: ignore[no-any-return]

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Sizing:
        """The inverse of :meth:`to_json`. Wrong or missing keys raise OptionError."""
        try:
            return Sizing(
                groups=tuple(_group(g) for g in data["groups"]),
                order=tuple(data["order"]),
                budget_bytes=int(data["budget_bytes"]),
                optimizer=OptimizerSpec(**data["optimizer"]),
                notes=tuple(data.get("notes", ())),
            )
        except (KeyError, TypeError, ValueError) as wrong:
            raise OptionError(f"This is not a sizing: {wrong!r}.") from wrong


def _check_joins(group: GroupSizing, before: GroupSizing | None) -> None:
    """OptionError for a group that cannot join the one before it."""
    held = [(t.table.name, t.ids) for t in group.tables]
    if before is None or held != [(t.table.name, t.ids) for t in before.tables]:
        raise OptionError(f"{group.method} joins the group before it, which must hold the same tables: {held}.")
    if before.joins not in _MAY_FOLLOW[group.joins]:
        raise OptionError(f"{group.method} cannot join {before.method} as {group.joins}: that joins as {before.joins}.")


def _group(data: Mapping[str, Any]) -> GroupSizing:
    return GroupSizing(
        method=data["method"],
        options=dict(data["options"]),
        tables=tuple(
            TableSizing(
                table=TableSpec(**t["table"]), ids=t["ids"], told_apart=t["told_apart"], settings=dict(t["settings"])
            )
            for t in data["tables"]
        ),
        settings=dict(data["settings"]),
        serve=_tensors(data["serve"]),
        train=_tensors(data["train"]),
        state=_tensors(data["state"]),
        joins=data.get("joins", "alone"),
    )


def _tensors(data: Any) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name=t["name"], shape=tuple(t["shape"]), dtype=t["dtype"], role=t["role"]) for t in data)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
