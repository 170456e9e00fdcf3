"""Tables that are smaller as they are stay exact, in a group before the one that compresses all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.holdings import Rows
from pocketrec.compress.parts.row_tables import starts, total_rows
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing

if TYPE_CHECKING:
    from pocketrec.compress.method import Decision, Method

__all__ = ["EXACT", "exact_access", "exact_holding", "groups_beside_exact", "is_exact"]

EXACT: Final = "rows"
"""``settings["part"]`` of the group of exact tables, and the name of its tensor."""


def groups_beside_exact(
    method: Method, decision: Decision, optimizer: OptimizerSpec, *, part: str, compressed: Sequence[bool]
) -> tuple[GroupSizing, ...]:
    """The group of exact tables, and the one of all others, which is asked for what has no row there.

    Both hold all tables; of those that are not theirs, settings["rows"] is 0. Where one would be empty there is only
    the other.

    Args:
        method: whose tables they are.
        decision: of the method; settings["rows"] of a table says how many rows it has in its group.
        optimizer: whose state they hold.
        part: ``settings["part"]`` of the group that compresses.
        compressed: for each table, whether it is in that one.
    """

    def group(name: str, chosen: Sequence[bool]) -> GroupSizing:
        tables = [
            t if own else replace(t, settings={**t.settings, "rows": 0})
            for t, own in zip(decision.tables, chosen, strict=True)
        ]
        return method.group_sizing(tables, {**decision.settings, "part": name}, optimizer)

    if all(compressed):
        return (group(part, compressed),)
    exact = group(EXACT, [not c for c in compressed])
    return (exact, replace(group(part, compressed), joins="rest")) if any(compressed) else (exact,)


def is_exact(sizing: GroupSizing) -> bool:
    """Whether this is the group of exact tables."""
    return bool(sizing.settings["part"] == EXACT)


def exact_holding(tables: Sequence[TableSizing]) -> Rows:
    """The rows of the group of exact tables."""
    return Rows(EXACT, total_rows(tables), tables[0].table.dim)


def exact_access(sizing: GroupSizing) -> Access:
    """Rows of exact tables; an id of a table that has none here has no address, and is asked of the other group."""
    rows = [int(t.settings["rows"]) for t in sizing.tables]
    exact = [Row(start=s, rows=n, fold=0 if n else -1) for s, n in zip(starts(sizing.tables), rows, strict=True)]
    return Access(regions=(EXACT,), addressing=exact, width=sizing.tables[0].table.dim)
