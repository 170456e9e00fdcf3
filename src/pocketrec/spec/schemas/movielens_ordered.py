"""MovieLens with the order of each user's ratings in place of their times: columns user, item, rating, order."""

from __future__ import annotations

from dataclasses import replace

from pocketrec.spec.schema import Field
from pocketrec.spec.schemas.movielens_users import SCHEMA as _TIMED

__all__ = ["SCHEMA"]

SCHEMA = replace(
    _TIMED, fields=tuple(Field(name="order", kind="time") if f.kind == "time" else f for f in _TIMED.fields)
)
