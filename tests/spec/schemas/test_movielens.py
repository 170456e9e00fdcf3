"""The built-in schema of MovieLens ratings."""

from __future__ import annotations

from pocketrec.spec.schema import Schema
from pocketrec.spec.schemas import SCHEMAS


def test_it_names_what_every_release_has() -> None:
    schema = SCHEMAS.get("movielens")
    assert [f.name for f in schema.categorical] == ["user_id", "movie_id", "year", "genres"]
    assert [f.name for f in schema.bags] == ["genres"]
    assert schema.bags[0].separator == "|"
    assert schema.label is not None
    assert (schema.label.name, schema.label.threshold, schema.user) == ("rating", 4, "user_id")
    assert Schema.from_json(schema.to_json()) == schema
