"""The built-in schema of Avazu."""

from __future__ import annotations

from pocketrec.spec.schema import Schema
from pocketrec.spec.schemas import SCHEMAS


def test_it_has_the_columns_of_kaggle_but_the_number_of_the_row() -> None:
    schema = SCHEMAS.get("avazu")
    names = [f.name for f in schema.fields]
    assert len(schema.categorical) == 23
    assert schema.dense == ()
    assert "id" not in names
    assert {"hour_of_day", "weekday", "device_ip", "device_id", "C1", "C14", "C21"} <= set(names)
    assert schema.label is not None
    assert schema.time is not None
    assert (schema.label.name, schema.time.name, schema.format) == ("click", "hour", "avazu")
    assert Schema.from_json(schema.to_json()) == schema
