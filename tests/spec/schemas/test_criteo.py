"""The built-in schema of Criteo logs."""

from __future__ import annotations

from pocketrec.spec.schema import Schema
from pocketrec.spec.schemas import SCHEMAS


def test_it_is_found_by_its_name_and_has_the_columns_of_the_published_files() -> None:
    schema = SCHEMAS.get("criteo")
    assert [len(schema.dense), len(schema.categorical), schema.format] == [13, 26, "criteo"]
    assert Schema.from_json(schema.to_json()) == schema
