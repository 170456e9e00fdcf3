"""A method that holds the hot ids, and another one, by name, that is asked for all others: what such methods share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from pocketrec.compress.method import METHODS, Method, Traits, of
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import IdSpace, TableSpec

__all__ = ["SPACES", "ColdPart"]

SPACES: Final[tuple[IdSpace, ...]] = ("rank", "plain", "hash63")


@final
@dataclass(frozen=True, slots=True)
class ColdPart:
    """The part of a method that is asked for all ids which are not hot.

    Attributes:
        hot: name of the method that contains it.
        method: the one that holds those ids.
        options: what it was given, a dict of its own.
    """

    hot: str
    method: Method
    options: dict[str, Any]

    @staticmethod
    def of(hot: Method, cold: str, options: object) -> ColdPart:
        """The method called `cold`; `storage` and `init` are those of `hot` where the options do not name them.

        A method that does not take this storage keeps its own.

        Raises:
            OptionError: the method would contain itself, or these are no options.
        """
        kind = METHODS.get(cold)
        if kind is type(hot):
            raise OptionError(
                f"{hot.name}: cold must name another method (hash_rows, robe, ...): who is hot is decided once."
            )
        if not isinstance(options, Mapping):
            raise OptionError(f"{hot.name}: cold_options are options by name, not {options!r}.")
        taken, given = kind.traits.storages, {"storage": hot.storage, "init": hot.init}
        if taken is not None and hot.storage not in taken:
            del given["storage"]
        method = of(cold, {**given, **options})
        if method.traits.rehashed:
            raise OptionError(
                f"{hot.name}: {cold} with these options is served on other ids than it trains on, so it cannot be a "
                "part of another method; give cold_options that keep the vocabulary."
            )
        return ColdPart(hot.name, method, dict(options))

    def traits(self, own: Traits) -> Traits:
        """What the containing method takes and needs, of which these are its own.

        Ranks can be replaced by the hashes of their tokens.
        """
        inner = self.method.traits
        taken = tuple(space for space in SPACES if space in inner.ids or (space == "rank" and "hash63" in inner.ids))
        return replace(
            own, ids=taken, staged=inner.staged, needs_counts=own.needs_counts or inner.needs_counts,
            needs_value_sets=own.needs_value_sets or inner.needs_value_sets,
        )  # fmt: skip

    def by_hashes(self, table: TableSpec) -> TableSpec:
        """The table as the method is told of it when no vocabulary is wanted: in hashes, if it takes any."""
        if table.ids != "rank" or "hash63" not in self.method.traits.ids:
            return table
        return replace(table, ids="hash63")

    def groups(
        self, specs: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        """What the method decides, as groups that do not join yet, and its sentences.

        Raises:
            OptionError: groups that cannot be asked for the rest of others (disjoint ones, factors).
        """
        groups, said = self.method.groups(specs, budget_bytes, stats, optimizer)
        wanted, (first, *others) = [t.name for t in specs], groups
        if [t.table.name for t in first.tables] != wanted or any(g.joins != "rest" for g in others):
            raise OptionError(
                f"{self.hot}: {self.method.name} with these options cannot be a part of another method, because it is "
                "more than one row per id; give cold_options without that (weight_hashes: 0 of bloom) or another cold."
            )
        return groups, said

    @staticmethod
    def joining(groups: Sequence[GroupSizing], hot: Sequence[TableSizing]) -> tuple[GroupSizing, ...]:
        """These groups, asked for what has no hot row, in the ids that the hot part wants."""
        return tuple(
            replace(g, joins="rest", tables=tuple(replace(c, ids=h.ids) for c, h in zip(g.tables, hot, strict=True)))
            for g in groups
        )
