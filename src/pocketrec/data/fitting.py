"""Which part of a schema a file can give: files to be predicted come without a label, with a weight, without a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from pocketrec.spec.schema import Kind, Schema

__all__ = ["INPUTS", "fitting_by_name", "fitting_by_number", "only"]

INPUTS: frozenset[Kind] = frozenset({"dense", "categorical"})
"""The kinds of fields on which a score depends."""


def only(schema: Schema, kinds: Collection[Kind]) -> Schema:
    """The fields of these kinds."""
    return replace(schema, fields=tuple(f for f in schema.fields if f.kind in kinds))


def fitting_by_name(columns: Collection[str], forms: Sequence[Schema]) -> Schema:
    """The first of several schemas whose columns are all there, else the last.

    Args:
        columns: names of the columns of a file.
        forms: one or more.
    """
    return next((form for form in forms if {f.name for f in form.fields} <= set(columns)), forms[-1])


def fitting_by_number(columns: int, schema: Schema) -> Schema:
    """All columns of a file that does not name them, by their number.

    Args:
        columns: how many the file has.
        schema: of a file that has all.

    Returns:
        The schema, or it without label and weight, or only its inputs; where none has so many columns, the schema.
    """
    known = [schema, schema.unlabelled(), only(schema, INPUTS)]
    return next((form for form in known if len(form.fields) == columns), schema)
