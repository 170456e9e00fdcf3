from __future__ import annotations

import pytest

from pocketrec.data.id_spaces import resolve_spaces
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Field, Schema
from pocketrec.spec.table import Head, WantedIds

SCHEMA = Schema(
    fields=(
        Field(name="a", kind="categorical"),
        Field(name="b", kind="categorical", table="a"),
        Field(name="h", kind="categorical", ids="hash63"),
        Field(name="p", kind="categorical", ids="plain", rows=3),
    )
)


def test_fields_stay_as_the_schema_has_them() -> None:
    assert resolve_spaces(SCHEMA, None) == ("rank", "rank", "hash63", "plain")


def test_ranks_can_be_had_as_hashes_and_as_plain_ids() -> None:
    assert resolve_spaces(SCHEMA, {"a": "hash63", "h": "hash63", "p": "plain"}) == (
        "hash63",
        "hash63",
        "hash63",
        "plain",
    )
    assert resolve_spaces(SCHEMA, {"a": "plain"})[:2] == ("rank", "rank")


def test_of_ranks_the_head_can_be_had_with_hashes_for_the_others() -> None:
    assert resolve_spaces(SCHEMA, {"a": Head(7)}) == (Head(7), Head(7), "hash63", "plain")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"h": "rank"}, "'h' are hash63 in the schema and cannot be given as rank"),
        ({"p": "hash63"}, "'p' are plain"),
        ({"b": "rank"}, "id_spaces names b; tables: a, h, p"),
        ({"a": "md5"}, "No id space called 'md5'"),
        ({"h": Head(3)}, r"'h' are hash63 in the schema and cannot be given as Head\(ranks=3\)"),
        ({"p": Head(3)}, r"'p' are plain in the schema and cannot be given as Head\(ranks=3\)"),
    ],
)
def test_what_cannot_be_had_is_refused(wanted: dict[str, WantedIds], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        resolve_spaces(SCHEMA, wanted)
