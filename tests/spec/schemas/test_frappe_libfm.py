"""The built-in schema of Frappe in libFM's form."""

from __future__ import annotations

from pocketrec.spec.schemas import SCHEMAS


def test_it_is_that_of_the_csv_files_with_another_reader() -> None:
    schema, csv = SCHEMAS.get("frappe_libfm"), SCHEMAS.get("frappe")
    assert schema.format == "libsvm"
    assert schema.fields == csv.fields
