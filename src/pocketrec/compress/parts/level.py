"""Hashed tables beside exact ones: what each wants while rows are shared out by level, and what it is given."""

from __future__ import annotations

from typing import Final

from pocketrec.spec.sizing import TableSizing
from pocketrec.spec.table import TableSpec

__all__ = ["hashed_or_exact", "rows_wanted"]

# What an open table wants: more than any budget, so it takes what the others leave.
_NO_LIMIT: Final = 2**60


def rows_wanted(table: TableSpec) -> int:
    """The most rows that the table can use."""
    return _NO_LIMIT if table.rows is None else table.rows


def hashed_or_exact(table: TableSpec, rows: int, *, may_be_exact: bool = True) -> TableSizing:
    """A table with so many rows: exact where they are all that it has, which needs a vocabulary, else hashed.

    Its settings are ``rows`` and ``exact``.
    """
    exact = may_be_exact and table.rows is not None and rows >= table.rows and table.ids != "hash63"
    settings = {"rows": rows, "exact": exact}
    if exact:
        told_apart = rows - 1 if table.ids == "rank" else 0
        return TableSizing(table=table, ids=table.ids, told_apart=told_apart, settings=settings)
    return TableSizing(table=table, ids="plain" if table.ids == "plain" else "hash63", told_apart=0, settings=settings)
