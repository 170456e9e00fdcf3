from __future__ import annotations

import pytest

from pocketrec.data.fitting import INPUTS, fitting_by_name, fitting_by_number, only
from pocketrec.spec.schema import Field, Schema

SCHEMA = Schema(
    fields=(
        Field(name="y", kind="label"),
        Field(name="w", kind="weight"),
        Field(name="t", kind="time"),
        Field(name="d", kind="dense"),
        Field(name="c", kind="categorical"),
    )
)
FORMS = [only(SCHEMA, INPUTS | {"label", "weight"}), only(SCHEMA, INPUTS | {"label"})]


def names(schema: Schema) -> str:
    return "".join(f.name for f in schema.fields)


def test_only_some_kinds_stay() -> None:
    assert names(only(SCHEMA, INPUTS)) == "dc"
    assert only(SCHEMA, {"dense"}).format == SCHEMA.format


@pytest.mark.parametrize(
    ("columns", "form"), [("cdtwy", "ywdc"), ("ywdc", "ywdc"), ("dcyx", "ydc"), ("dc", "ydc"), ("", "ydc")]
)
def test_the_first_form_whose_columns_are_there(columns: str, form: str) -> None:
    assert names(fitting_by_name(set(columns), FORMS)) == form


@pytest.mark.parametrize(("columns", "whole"), [(5, "ywtdc"), (3, "tdc"), (2, "dc"), (4, "ywtdc"), (9, "ywtdc")])
def test_the_number_of_columns_says_which_are_absent(columns: int, whole: str) -> None:
    assert names(fitting_by_number(columns, SCHEMA)) == whole
