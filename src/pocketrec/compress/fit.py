"""Which method, storage and bytes for which table: as little expected loss as bytes allow.

Each table is offered choices: every method that says by arithmetic what it keeps (:meth:`Method.kept`), in every
storage, at a ladder of bytes. A choice is expected to lose worth x (1 - kept x (1 - error of the storage)) nats per
row, and the losses of tables are taken to add up. One choice for each table with least loss in all, within bytes (and
training bytes, and time of looking up, where these are limited), is a multiple-choice knapsack; HiGHS solves it. The
price of a byte is the dual value of the budget in its linear relaxation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from pocketrec.compress.method import METHODS, Method, of
from pocketrec.compress.multiple_choice import Limit, pick, price
from pocketrec.compress.storage import STORAGES
from pocketrec.compress.worth import TableWorth
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec

__all__ = ["Chosen", "Limits", "TableChoice", "Tastes", "choices_of", "choose", "topped_up"]

# Bytes of neighbouring choices differ by this factor.
_STEP: Final = 2**0.5
_STORAGES: Final = ("float32", "float16", "int8", "int4")
_METHODS: Final = ("min_count", "hash_rows", "offline_split")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the tables may take.

    Attributes:
        serve_bytes: of all tables.
        train_bytes: of all tables, parameters and optimizer state, or None.
        ns: nanoseconds to look one row's ids up, all tables together, or None; choices then say how long they take.
    """

    serve_bytes: int
    train_bytes: int | None = None
    ns: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tastes:
    """What may be chosen.

    Attributes:
        methods: names; those without a law of what they keep are left out.
        storages: names.
        options: of all methods, such as ``init``.
        ns: nanoseconds per looked-up id, by (method, storage).
    """

    methods: tuple[str, ...] = _METHODS
    storages: tuple[str, ...] = _STORAGES
    options: Mapping[str, Any] = field(default_factory=dict)
    ns: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChoice:
    """A way in which a table can be held.

    Attributes:
        table: its name.
        method: a name.
        options: of the method.
        nbytes: serving bytes, exact.
        train_bytes: training bytes, exact.
        kept: share of what its ids are worth that is left, by the method's law, 0..1.
        nats: expected loss per row.
        ns: nanoseconds to look its ids of a row up; 0 where nobody asked.
        held: the method's own numbers for the table (rows, ...).
    """

    table: str
    method: str
    options: Mapping[str, Any]
    nbytes: int
    train_bytes: int
    kept: float
    nats: float
    ns: float = 0.0
    held: Mapping[str, Any] = field(default_factory=dict)

    @property
    def storage(self) -> str:
        """Name of the storage."""
        return str(self.options["storage"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A choice for each table.

    Attributes:
        choices: in the order of the tables.
        limits: within which they are.
        price: nats per row that one more byte would save, 0 or more.
        gap: nats by which some other choices might be better, as the solver proved; 0 when these are the best.
        next: per table the choice that would be next with more bytes, or None where there is none that loses less.
    """

    choices: tuple[TableChoice, ...]
    limits: Limits
    price: float
    gap: float
    next: tuple[TableChoice | None, ...]

    @property
    def serve_bytes(self) -> int:
        """Of all tables."""
        return sum(choice.nbytes for choice in self.choices)

    @property
    def nats(self) -> float:
        """Expected loss per row against all ids told apart in float32."""
        return math.fsum(choice.nats for choice in self.choices)

    def parts(self) -> list[dict[str, Any]]:
        """As the method ``mixed`` takes it: a part per method and options, with bytes for each of its tables."""
        found: dict[str, dict[str, Any]] = {}
        for choice in self.choices:
            kind = f"{choice.method} {sorted(choice.options.items())}"
            empty = {"tables": [], "method": choice.method, "options": dict(choice.options), "bytes": []}
            part = found.setdefault(kind, empty)
            part["tables"].append(choice.table)
            part["bytes"].append(choice.nbytes)
        return list(found.values())

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def choices_of(
    table: TableSpec, worth: TableWorth, tastes: Tastes, *, budget_bytes: int, optimizer: OptimizerSpec,
    lookups: float = 1.0,
) -> list[TableChoice]:  # fmt: skip
    """The ways in which one table can be held that no other one beats.

    Args:
        table: closed or open.
        worth: what its ids are worth.
        tastes: what may be chosen.
        budget_bytes: what all tables may take: no choice but the smallest takes more.
        optimizer: whose state counts as training bytes.
        lookups: ids of this table in a row, on average.

    Returns:
        Falling in expected loss; none takes more bytes, training bytes and time than another that loses less.

    Raises:
        OptionError: no method takes this table's ids, or none has a law.
    """
    found: list[TableChoice] = []
    for name in tastes.methods:
        for storage in tastes.storages:
            kind = METHODS.get(name)
            if table.ids not in kind.traits.ids or storage not in (kind.traits.storages or (storage,)):
                continue
            method = of(name, {**tastes.options, "storage": storage})
            ns = lookups * tastes.ns.get((name, storage), 0.0)
            found += _ladder(method, table, worth, budget_bytes, optimizer, ns)
    if not found:
        raise OptionError(
            f"No method of {', '.join(tastes.methods)} says by arithmetic what it keeps of table {table.name!r} "
            f"({table.ids} ids). Allow other methods."
        )
    return _unbeaten(found)


def _ladder(
    method: Method, table: TableSpec, worth: TableWorth, budget_bytes: int, optimizer: OptimizerSpec, ns: float
) -> list[TableChoice]:
    """The choices of one method and storage: bytes from the floor to what the table can use."""
    found: list[TableChoice] = []
    nbytes = float(method.least_bytes([table]))
    while nbytes <= budget_bytes or not found:  # what is too large even so is refused with the floor of all tables
        choice = _choice(method, table, worth, int(nbytes), optimizer, ns)
        if choice is None:
            return []
        if not found or choice.nbytes > found[-1].nbytes:
            found.append(choice)
        if choice.kept >= 1.0:
            break
        nbytes = max(nbytes * _STEP, nbytes + 1)
    return found


def _choice(
    method: Method, table: TableSpec, worth: TableWorth, nbytes: int, optimizer: OptimizerSpec, ns: float
) -> TableChoice | None:
    """One choice, with at most so many bytes; None where no law is known."""
    sizing = method.size([table], nbytes, stats={table.name: worth.stats}, optimizer=optimizer)
    kept = method.kept(sizing.groups, worth)
    if kept is None:
        return None
    left = kept * (1.0 - _rounding(method.storage, table.dim))
    return TableChoice(
        table=table.name, method=method.name, options=_short(method), nbytes=sizing.serve_bytes,
        train_bytes=sizing.train_bytes, kept=kept, nats=worth.nats * (1.0 - left), ns=ns,
        held=dict(sizing.of(table.name).settings),
    )  # fmt: skip


def _short(method: Method) -> dict[str, Any]:
    """The options that differ from what they are by themselves, and the storage."""
    plain = type(method)().options()
    return {key: value for key, value in method.options().items() if key == "storage" or value != plain[key]}


@lru_cache(maxsize=64)
def _rounding(storage: str, width: int) -> float:
    """Share of the variance of normal rows [4096, width] that the storage's rounding takes."""
    import torch

    held = STORAGES.get(storage)
    rows = torch.randn(4096, width, generator=torch.Generator().manual_seed(0))
    error = held.decode(held.encode(rows), width) - rows
    return float(error.square().sum() / rows.square().sum())


def _unbeaten(choices: Sequence[TableChoice]) -> list[TableChoice]:
    """Those that no other one equals or beats in bytes, training bytes, time and loss together; the first of equals."""
    order = sorted(range(len(choices)), key=lambda n: (choices[n].nats, choices[n].nbytes, choices[n].train_bytes, n))
    found: list[TableChoice] = []
    for number in order:
        one = choices[number]
        costs = (one.nbytes, one.train_bytes, one.ns)
        better = ((b.nbytes, b.train_bytes, b.ns) for b in found)
        if not any(all(x <= y for x, y in zip(other, costs, strict=True)) for other in better):
            found.append(one)
    return found


# -- the knapsack ----------------------------------------------------------------------------------------------------


def choose(offered: Sequence[Sequence[TableChoice]], limits: Limits) -> Chosen:
    """One choice for each table, with the least expected loss within the limits.

    Args:
        offered: per table, see :func:`choices_of`.
        limits: of all tables together.

    Raises:
        BudgetTooSmall: the smallest choices together are above the serving, or the training, ceiling.
        OptionError: no choices are quick enough, or they are not while they fit.
    """
    flat = [choice for own in offered for choice in own]
    within = [Limit(np.array([c.nbytes for c in flat], float), limits.serve_bytes)]
    if limits.train_bytes is not None:
        within.append(Limit(np.array([c.train_bytes for c in flat], float), limits.train_bytes))
    if limits.ns is not None:
        within.append(Limit(np.array([c.ns for c in flat]), limits.ns))
    _check_each(offered, limits)
    costs, lengths = np.array([c.nats for c in flat]), [len(own) for own in offered]
    picked = pick(costs, lengths, within)
    if picked is None:
        raise OptionError(
            f"No choice of methods is within all limits at once: {limits.serve_bytes:,} bytes"
            + ("" if limits.train_bytes is None else f", {limits.train_bytes:,} training bytes")
            + ("" if limits.ns is None else f", {limits.ns:,.0f} ns per row")
            + ". Each can be met by itself; raise one of them."
        )
    choices = tuple(flat[n] for n in picked.numbers)
    follow = tuple(_next(own, choice) for own, choice in zip(offered, choices, strict=True))
    saved = price(costs, lengths, within)
    return Chosen(choices=choices, limits=limits, price=saved, gap=picked.gap, next=follow)


def topped_up(
    chosen: Chosen, tables: Sequence[TableSpec], worths: Mapping[str, TableWorth], optimizer: OptimizerSpec
) -> Chosen:
    """The same with bytes that are left spent where they save most, one table after the other."""
    found, follow = list(chosen.choices), chosen.next
    limit = chosen.limits.train_bytes
    for _ in tables:
        left = chosen.limits.serve_bytes - sum(c.nbytes for c in found)
        gains = []
        for n, (table, now) in enumerate(zip(tables, found, strict=True)):
            more = _choice(of(now.method, now.options), table, worths[table.name], now.nbytes + left, optimizer, now.ns)
            if more is not None and now.nbytes < more.nbytes <= now.nbytes + left and more.nats < now.nats:
                train = sum(c.train_bytes for c in found) - now.train_bytes + more.train_bytes
                if limit is None or train <= limit:
                    gains.append((now.nats - more.nats, -n, more))
        if not gains:
            break
        _, place, more = max(gains, key=lambda gain: gain[:2])
        found[-place] = more
    return replace(chosen, choices=tuple(found), next=follow)


def _check_each(offered: Sequence[Sequence[TableChoice]], limits: Limits) -> None:
    """A limit that cannot be met even by itself, in numbers."""
    least = sum(min(c.nbytes for c in own) for own in offered)
    if least > limits.serve_bytes:
        raise BudgetTooSmall("fit", limits.serve_bytes, least)
    least = sum(min(c.train_bytes for c in own) for own in offered)
    if limits.train_bytes is not None and least > limits.train_bytes:
        raise BudgetTooSmall("fit", limits.train_bytes, least, "train")
    quickest = math.fsum(min(c.ns for c in own) for own in offered)
    if limits.ns is not None and quickest > limits.ns:
        raise OptionError(
            f"The quickest choices take {quickest:,.0f} ns to look one row's ids up, {limits.ns:,.0f} are allowed. "
            "Allow more, or fewer tables."
        )


def _next(own: Sequence[TableChoice], choice: TableChoice) -> TableChoice | None:
    """The choice with more bytes that saves most per byte."""
    larger = [c for c in own if c.nbytes > choice.nbytes and c.nats < choice.nats]
    return max(larger, key=lambda c: (choice.nats - c.nats) / (c.nbytes - choice.nbytes), default=None)
