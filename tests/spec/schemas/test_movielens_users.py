"""The built-in schema of MovieLens releases that know their users."""

from __future__ import annotations

from pocketrec.spec.schema import Schema
from pocketrec.spec.schemas import SCHEMAS


def test_it_adds_what_is_known_of_users() -> None:
    schema, ratings = SCHEMAS.get("movielens_users"), SCHEMAS.get("movielens")
    assert schema.fields[: len(ratings.fields)] == ratings.fields
    assert [f.name for f in schema.fields[len(ratings.fields) :]] == ["gender", "age", "occupation", "zip"]
    assert Schema.from_json(schema.to_json()) == schema
