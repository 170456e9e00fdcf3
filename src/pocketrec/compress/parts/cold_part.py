"""A method that holds the hot ids, and another one, by name, that is asked for all others: what such methods share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pocketrec.compress.method import METHODS, Method, Traits, of
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import IdSpace, TableSpec

__all__ = ["SPACES", "by_hashes", "check_cold", "cold_groups", "cold_method", "joined_traits", "joining"]

SPACES: Final[tuple[IdSpace, ...]] = ("rank", "plain", "hash63")


def cold_method(hot: Method, cold: str, options: Mapping[str, Any]) -> Method:
    """The method called `cold`; `storage` and `init` are those of `hot` where the options do not name them."""
    return of(cold, {"storage": hot.storage, "init": hot.init, **options})


def check_cold(hot: Method, cold: str, options: object) -> dict[str, Any]:
    """The options of the cold method as a dict of their own.

    Raises:
        OptionError: the method would contain itself, or these are no options.
    """
    if METHODS.get(cold) is type(hot):
        raise OptionError(f"{hot.name}: the cold method is another one; who is hot is decided once.")
    if not isinstance(options, Mapping):
        raise OptionError(f"{hot.name}: cold_options are options by name, not {options!r}.")
    return dict(options)


def joined_traits(own: Traits, cold: Method) -> Traits:
    """What a method takes and needs that contains this one. Ranks can be replaced by the hashes of their tokens."""
    inner = cold.traits
    taken = tuple(space for space in SPACES if space in inner.ids or (space == "rank" and "hash63" in inner.ids))
    return replace(
        own, ids=taken, staged=inner.staged, needs_counts=own.needs_counts or inner.needs_counts,
        needs_value_sets=own.needs_value_sets or inner.needs_value_sets,
    )  # fmt: skip


def by_hashes(cold: Method, table: TableSpec) -> TableSpec:
    """The table as the cold method is told of it when no vocabulary is wanted: in hashes, if it takes any."""
    if table.ids != "rank" or "hash63" not in cold.traits.ids:
        return table
    return replace(table, ids="hash63")


def cold_groups(
    hot: Method,
    cold: Method,
    specs: Sequence[TableSpec],
    budget_bytes: int,
    stats: Mapping[str, TableStats],
    optimizer: OptimizerSpec,
) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
    """What the cold method decides, as groups that do not join yet, and its sentences.

    Raises:
        OptionError: groups that cannot be asked for the rest of others (disjoint ones, factors).
    """
    groups, said = cold.groups(specs, budget_bytes, stats, optimizer)
    wanted, (first, *others) = [t.name for t in specs], groups
    if [t.table.name for t in first.tables] != wanted or any(g.joins != "rest" for g in others):
        raise OptionError(f"{hot.name}: {cold.name} with these options cannot be a part of another method.")
    return groups, said


def joining(groups: Sequence[GroupSizing], hot: Sequence[TableSizing]) -> tuple[GroupSizing, ...]:
    """These groups, asked for what has no hot row, in the ids that the hot part wants."""
    return tuple(
        replace(g, joins="rest", tables=tuple(replace(c, ids=h.ids) for c, h in zip(g.tables, hot, strict=True)))
        for g in groups
    )
