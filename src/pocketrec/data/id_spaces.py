"""In which id space the ids of each field are given."""

from __future__ import annotations

from collections.abc import Mapping

from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Schema
from pocketrec.spec.table import Head, WantedIds

__all__ = ["resolve_spaces"]


def resolve_spaces(schema: Schema, wanted: Mapping[str, WantedIds] | None) -> tuple[WantedIds, ...]:
    """The id space of each categorical field.

    Args:
        schema: which ids each field has.
        wanted: id space by name of the table (for a field with a table of its own: the field's name). What is not named
            stays as the schema has it. Ranks may be given as ``hash63`` (each rank stands for a token), as a
            :class:`Head` (the first ranks, and hashes for the others) and as ``plain`` (which is the same as ``rank``);
            hashes and plain ids stay what they are.

    Raises:
        OptionError: for a table that does not exist or ids that cannot be had.
    """
    given = dict(wanted or {})
    unknown = sorted(set(given) - {f.table_name for f in schema.tables})
    if unknown:
        raise OptionError(
            f"id_spaces names {', '.join(unknown)}; tables: {', '.join(f.table_name for f in schema.tables)}."
        )
    out: list[WantedIds] = []
    for f in schema.categorical:
        space = given.get(f.table_name, f.ids)
        if not isinstance(space, Head) and space not in ("rank", "hash63", "plain"):
            raise OptionError(f"No id space called {space!r}. Known: rank, hash63, plain, Head(ranks).")
        if space != f.ids and f.ids != "rank":
            raise OptionError(
                f"The ids of table {f.table_name!r} are {f.ids} in the schema and cannot be given as {space}."
            )
        out.append("rank" if f.ids == "rank" and space == "plain" else space)
    return tuple(out)
