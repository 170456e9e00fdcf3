"""The built-in schema of Frappe's CSV files."""

from __future__ import annotations

from pathlib import Path

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.scan import scan
from pocketrec.spec.schema import Schema
from pocketrec.spec.schemas import SCHEMAS


def test_it_has_a_label_and_ten_fields_and_a_user() -> None:
    schema = SCHEMAS.get("frappe")
    assert [len(schema.categorical), len(schema.dense), schema.user, schema.format] == [10, 0, "user", "csv"]
    assert Schema.from_json(schema.to_json()) == schema


def test_the_real_files_are_read_to_their_end(shared_data: Path) -> None:
    rows, seen = {}, {f.name: set[int]() for f in SCHEMAS.get("frappe").categorical}
    for name in ("train_reconstructed", "valid", "test"):
        blocks = list(scan(shared_data / "frappe_x1" / f"{name}.csv.gz", SCHEMAS.get("frappe"), BadRows("fail")))
        rows[name] = sum(columns.n for columns in blocks)
        for columns in blocks:
            for field, tokens in columns.tokens.items():
                seen[field].update(tokens.hashes.tolist())
    assert rows == {"train_reconstructed": 202_009, "valid": 57_722, "test": 28_860}
    together = set[int]().union(*seen.values())
    assert len(together) == sum(map(len, seen.values())) <= 5_382, "no id stands in two fields"
