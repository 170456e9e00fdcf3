"""MovieLens 100K and 1M, which say who their users are: `movielens` with gender, age, occupation and zip code."""

from __future__ import annotations

from dataclasses import replace

from pocketrec.spec.schema import Field
from pocketrec.spec.schemas.movielens import SCHEMA as _RATINGS

__all__ = ["SCHEMA"]

_USER = tuple(Field(name=name, kind="categorical") for name in ("gender", "age", "occupation", "zip"))

SCHEMA = replace(_RATINGS, fields=(*_RATINGS.fields, *_USER))
