"""What a method is given to size: tables that it can hold, and counts, measured or assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pocketrec.spec.errors import OptionError
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from pocketrec.compress.method import Method

__all__ = ["check_tables", "stats_or_zipf"]


def check_tables(method: Method, tables: Sequence[TableSpec]) -> None:
    """OptionError for no tables, names that are not distinct, several dims, or ids that the method does not take."""
    if not tables:
        raise OptionError("There are no tables to size.")
    from pocketrec.compress.method import METHODS  # here, not above: methods are checked by this

    names = [t.name for t in tables]
    if len(set(names)) != len(names):
        raise OptionError(f"Table names must be distinct, got {names}.")
    if len({t.dim for t in tables}) > 1:
        raise OptionError(f"All tables of a bank have one dim, got {sorted({t.dim for t in tables})}.")
    for table in tables:
        if table.ids not in method.traits.ids:
            accepted = ", ".join(method.traits.ids)
            others = ", ".join(name for name in METHODS.names() if table.ids in METHODS.get(name).traits.ids)
            raise OptionError(
                f"{method.name} takes ids of space {accepted}; table {table.name!r} has {table.ids} ids, which these "
                f"methods take: {others}."
                + (" Say ids='rank' if 0 is unknown and 1, 2, ... fall in frequency." if table.ids == "plain" else "")
            )


def stats_or_zipf(
    method: Method, tables: Sequence[TableSpec], stats: Mapping[str, TableStats]
) -> tuple[Mapping[str, TableStats], tuple[str, ...]]:
    """Counts of all tables that the method looks at, Zipf where none were given, and what is to be said of them."""
    if not method.traits.needs_counts:
        return stats, ()
    missing = [t for t in method.counted(tables) if t.name not in stats]
    if not missing:
        return stats, tuple(dict.fromkeys(f"{s.assumed}." for s in stats.values() if s.assumed))
    assumed = {t.name: TableStats.zipf(t.name, max(1, t.closed_rows - 1)) for t in missing}
    return {**assumed, **stats}, (f"No counts were given for {len(missing)} tables: Zipf 1.05 assumed.",)
