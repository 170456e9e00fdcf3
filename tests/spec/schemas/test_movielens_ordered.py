"""The built-in schema of MovieLens ratings without times."""

from __future__ import annotations

from pocketrec.spec.schema import Schema
from pocketrec.spec.schemas import SCHEMAS


def test_the_order_takes_the_place_of_the_time() -> None:
    schema, timed = SCHEMAS.get("movielens_ordered"), SCHEMAS.get("movielens_users")
    assert schema.time is not None
    assert schema.time.name == "order"
    assert [f for f in schema.fields if f.kind != "time"] == [f for f in timed.fields if f.kind != "time"]
    assert Schema.from_json(schema.to_json()) == schema
