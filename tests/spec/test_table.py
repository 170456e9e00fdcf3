from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import Head, IdSpace, TableSpec


@given(st.text(min_size=1), st.integers(1, 2**62), st.integers(1, 4096), st.sampled_from(get_args(IdSpace)))
def test_a_table_survives_json(name: str, rows: int, dim: int, ids: IdSpace) -> None:
    table = TableSpec(name=name, rows=rows, dim=dim, ids=ids)
    assert TableSpec(**json.loads(json.dumps(dataclasses.asdict(table)))) == table
    assert table.closed_rows == rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"rows": 0}, "'item' has 0 rows; at least 1"),
        ({"rows": -7}, "'item' has -7 rows"),
        ({"dim": 0}, "'item' has dim 0; at least 1"),
        ({"rows": None}, "'item' is open .* must be hash63, not plain"),
        ({"rows": None, "ids": "rank"}, "must be hash63, not rank"),
        ({"ids": "hash64"}, "'hash64'.*rank, plain, hash63"),
    ],
)
def test_what_cannot_be_a_table_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        TableSpec(**({"name": "item", "rows": 10, "dim": 4} | changes))  # type: ignore[arg-type]


def test_an_open_table_has_no_number_of_rows() -> None:
    table = TableSpec(name="query", rows=None, dim=4, ids="hash63")
    with pytest.raises(OptionError, match="'query' is open"):
        _ = table.closed_rows


def test_a_table_is_a_value() -> None:
    table = TableSpec(name="item", rows=1, dim=1)
    assert {table: 1}[TableSpec(name="item", rows=1, dim=1, ids="plain")] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.rows = 2  # type: ignore[misc]


def test_a_head_tells_no_negative_number_of_tokens_apart() -> None:
    assert (Head(0).ranks, Head(3)) == (0, Head(ranks=3))
    with pytest.raises(OptionError, match="0 or more tokens apart, not -1"):
        Head(-1)
