"""A method for each table, or group of tables: every part has its tables, its method, its options and its bytes.

Paper: none. That tables deserve different methods and shares of the bytes is what mixed dimensions (Ginart et al.,
    arXiv:1909.11810) and searched ones (AutoDim, WWW 2021) say of dimensions alone; `pocketrec fit` writes such parts.
Bytes: those of the parts, each (or each of its tables) at most what it was given, + what the method of the rest makes
    of all others.
Use when: tables are unlike: ids in a table of a million users need other bytes than the seven days of a week, and one
    table must be exact whatever the others are.
Did not help when: one method shares the bytes among all tables by counts (min_count, coded): parts with bytes of their
    own cannot lend a byte to another part. A mixture that `pocketrec fit` wrote for 2x of Frappe is .0017 of AUC behind
    min_count in int8 on fresh seeds (docs/guides/fit.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Holding
from pocketrec.compress.method import METHODS, Decision, Method, Traits, of
from pocketrec.compress.together import together
from pocketrec.spec.errors import OptionError, UnknownName
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import IdSpace, TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "Mixed"]

_SPACES: Final[tuple[IdSpace, ...]] = ("rank", "plain", "hash63")
_KEYS: Final = {"tables": list, "method": str, "options": dict, "bytes": int | list}


@final
@dataclass(frozen=True, kw_only=True)
class _Part:
    """Some tables and how they are held: with so many bytes together, or each; None are all that the others leave."""

    tables: tuple[str, ...] | None
    method: Method
    nbytes: int | tuple[int, ...] | None

    def groups(
        self, tables: Sequence[TableSpec], left: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        """What its method decides for its tables."""
        if not isinstance(self.nbytes, tuple):
            sizing = self.method.size(
                tables, left if self.nbytes is None else self.nbytes, optimizer=optimizer,
                stats={t.name: stats[t.name] for t in tables if t.name in stats},
            )  # fmt: skip
            return sizing.groups, sizing.notes
        each = [
            self.method.size([t], n, optimizer=optimizer, stats={k: v for k, v in stats.items() if k == t.name})
            for t, n in zip(tables, self.nbytes, strict=True)
        ]
        return together([s.groups for s in each], optimizer), tuple(chain.from_iterable(s.notes for s in each))


@final
@dataclass(frozen=True, kw_only=True)
class Mixed(Method):
    """Methods by table.

    Attributes:
        parts: mappings, each with ``tables`` (their names), ``method`` (its name), ``bytes`` (its ceiling, or a list
            with one for each table) and, if it has any, ``options``. No table stands in two of them.
        rest: name of the method of all tables that no part names.
        rest_options: its options. `storage` and `init` are those of this method where options of a part, or these, do
            not name them.
    """

    name = "mixed"
    traits = Traits(ids=_SPACES)

    parts: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    rest: str = "min_count"
    rest_options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "parts", tuple(dict(part) for part in self.parts))
        object.__setattr__(self, "rest_options", dict(self.rest_options))
        each = [part.method.traits for part in self._all()]
        traits = Traits(
            # whether a table's ids are of a space that its part takes, the part says
            ids=tuple(space for space in _SPACES if any(space in t.ids for t in each)),
            needs_counts=any(t.needs_counts for t in each), needs_value_sets=any(t.needs_value_sets for t in each),
            adaptive=any(t.adaptive for t in each), staged=any(t.staged for t in each),
            settles=any(t.settles for t in each), scores=any(t.scores for t in each), timed=any(t.timed for t in each),
            rounds=any(t.rounds for t in each), rehashed=any(t.rehashed for t in each),
        )  # fmt: skip
        object.__setattr__(self, "traits", traits)

    def _all(self) -> list[_Part]:
        """The parts, and the rest as the last one."""
        named = [self._part(number, part) for number, part in enumerate(self.parts)]
        twice = _twice(list(chain.from_iterable(part.tables or () for part in named)))
        if twice:
            raise OptionError(f"mixed: table {twice!r} stands in two parts. A table has one method.")
        return [*named, _Part(tables=None, method=self._method(self.rest, self.rest_options), nbytes=None)]

    def _part(self, number: int, part: Mapping[str, Any]) -> _Part:
        where = f"mixed: parts[{number}]"
        unknown = sorted(set(part) - set(_KEYS))
        if unknown:
            raise OptionError(f"{where} has no key {', '.join(map(repr, unknown))}. Keys: {', '.join(_KEYS)}.")
        for key, kind in _KEYS.items():
            if key not in part and key != "options":
                raise OptionError(f"{where} lacks {key!r}. Give tables, method and bytes.")
            if key in part and not isinstance(part[key], kind):
                raise OptionError(f"{where}: {key} must be a {getattr(kind, '__name__', kind)}, got {part[key]!r}.")
        method = self._method(part["method"], part.get("options", {}))
        return _Part(tables=tuple(part["tables"]), method=method, nbytes=_bytes_of(part, where))

    def _method(self, name: str, options: Mapping[str, Any]) -> Method:
        if METHODS.get(name) is Mixed:
            raise OptionError(
                "mixed: a part must name another method; a mixture of mixtures is a longer list of parts."
            )
        return of(name, {"storage": self.storage, "init": self.init, **options})

    def _shared_out(self, tables: Sequence[TableSpec]) -> list[tuple[_Part, list[TableSpec]]]:
        """Each part with its tables; parts without any are left out.

        Raises:
            OptionError: a part names a table that there is not.
        """
        left, found = {t.name: t for t in tables}, []
        for part in self._all():
            if part.tables is None:
                own = list(left.values())
            else:
                missing = [name for name in part.tables if name not in left]
                if missing:
                    raise UnknownName("table", missing[0], [t.name for t in tables])
                own = [left.pop(name) for name in part.tables]
            if own:
                found.append((part, own))
        return found

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        each = self._shared_out(tables)
        return sum(
            part.method.least_bytes(own) if part.nbytes is None
            else sum(part.nbytes) if isinstance(part.nbytes, tuple) else part.nbytes
            for part, own in each
        )  # fmt: skip

    def counted(self, tables: Sequence[TableSpec]) -> list[TableSpec]:
        each = self._shared_out(tables)
        return [t for part, own in each if part.method.traits.needs_counts for t in part.method.counted(own)]

    def value_sets(self) -> Mapping[str, Any]:
        """Those of the parts, which must agree."""
        wanted = [p.method.value_sets() for p in self._all() if p.method.traits.needs_value_sets]
        if any(other != wanted[0] for other in wanted):
            raise OptionError(f"mixed: parts must ask for the same value sets, these ask for {wanted}.")
        return wanted[0]

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        groups: list[GroupSizing] = []
        notes: list[str] = []
        for part, own in self._shared_out(tables):
            left = budget_bytes - sum(group.serve_bytes for group in groups)
            held, said = part.groups(own, left, stats, optimizer)
            groups += held
            notes += said
        return tuple(groups), tuple(dict.fromkeys(notes))

    # A group is that of a part's method, so none of these is ever asked for.

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        _never()

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        _never()

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        _never()

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        _never()


def _bytes_of(part: Mapping[str, Any], where: str) -> int | tuple[int, ...]:
    """The bytes of a part, or of each of its tables."""
    tables, given = part["tables"], part["bytes"]
    each = given if isinstance(given, list) else [given]
    if not tables or not all(type(n) is int and n >= 0 for n in each):
        raise OptionError(f"{where} needs a table and bytes of 0 or more, got {tables}, {given}.")
    if isinstance(given, list) and len(given) != len(tables):
        raise OptionError(f"{where} has {len(given)} numbers of bytes for {len(tables)} tables. Give one for each.")
    return tuple(each) if isinstance(given, list) else int(each[0])


def _never() -> NoReturn:
    raise AssertionError("a mixture has no group of its own: its parts have")


def _twice(names: Sequence[str]) -> str | None:
    return next((name for place, name in enumerate(names) if name in names[:place]), None)


METHOD = Mixed
