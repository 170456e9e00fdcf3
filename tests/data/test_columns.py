from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.columns import Columns, read_columns
from pocketrec.native.hash63 import hash_tokens
from pocketrec.spec.errors import BadRow, SchemaError
from pocketrec.spec.schema import Field, Schema
from pocketrec.spec.schemas import SCHEMAS

SCHEMA = Schema(
    fields=(
        Field(name="y", kind="label"),
        Field(name="w", kind="weight"),
        Field(name="t", kind="time"),
        Field(name="d", kind="dense"),
        Field(name="c", kind="categorical", tokens="hex"),
        Field(name="h", kind="categorical", ids="hash63"),
        Field(name="p", kind="categorical", ids="plain", rows=10),
    )
)
GOOD = {"y": "1", "w": "0.5", "t": "7", "d": "2.5", "c": "0aF", "h": "any text", "p": "9"}


def table(*rows: dict[str, str]) -> pa.Table:
    return pa.table({name: [row.get(name, GOOD[name]) for row in rows] for name in GOOD})


def read(raw: pa.Table, mode: Any = "fail", schema: Schema = SCHEMA) -> tuple[Columns, BadRows]:
    bad = BadRows(mode)
    rows = np.arange(101, 101 + len(raw), dtype=np.int64)
    return read_columns(raw, schema, file="log", rows=rows, bad=bad), bad


def test_every_kind_of_column_takes_its_form() -> None:
    got, _ = read(table({}, {"d": "", "c": "", "y": "0"}))
    assert got.n == 2
    assert got.dense["d"].tolist()[0] == 2.5
    assert np.isnan(got.dense["d"][1])
    assert got.label is not None
    assert got.weight is not None
    assert got.time is not None
    assert (got.label.tolist(), got.weight.tolist(), got.time.tolist()) == ([1.0, 0.0], [0.5, 0.5], [7.0, 7.0])
    assert got.plain["p"].tolist() == [9, 9]
    assert got.tokens["c"].row_hashes.tolist() == hash_tokens(pa.array(["0aF", ""])).tolist()
    assert got.tokens["c"].missing == 1
    assert got.tokens["h"].missing == -1
    assert got.label.dtype == got.weight.dtype == np.float32


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("y", "2", "label not 0 or 1: '2'"),
        ("y", "", "label missing"),
        ("y", "yes", "not a number: 'yes'"),
        ("y", "nan", "label not 0 or 1"),
        ("w", "-1", "weight not a finite number of 0 or more"),
        ("w", "inf", "weight not a finite"),
        ("w", "", "weight missing"),
        ("t", "", "time missing"),
        ("t", "noon", "not a number"),
        ("t", "inf", "not a finite number"),
        ("d", "x", "not a number: 'x'"),
        ("d", "nan", "not a finite number: 'nan'"),
        ("d", "-inf", "not a finite number"),
        ("d", "1e39", "beyond the range of float32"),
        ("c", "xyz", "not a hexadecimal token: 'xyz'"),
        ("c", "0" * 17, "not a hexadecimal token"),
        ("p", "10", "not an id from 0 to 9: '10'"),
        ("p", "-1", "not an id from 0 to 9"),
        ("p", "1.5", "not a whole number"),
        ("p", "", "plain ids cannot be"),
    ],
)
def test_a_bad_value_names_file_row_and_column_or_is_counted(column: str, text: str, said: str) -> None:
    raw = table({}, {}, {column: text}, {})
    with pytest.raises(BadRow, match=f"^log, row 103, column {column}: .*{said}") as caught:
        read(raw)
    assert (caught.value.row, caught.value.column) == (103, column)
    got, bad = read(raw, "skip")
    assert got.n == 3
    assert sum(bad.counts.values()) == 1
    assert next(iter(bad.counts)).startswith(f"column {column}: ")
    alone, _ = read(table({}, {}, {}))
    assert got.tokens["c"].row_hashes.tolist() == alone.tokens["c"].row_hashes.tolist()


def test_a_row_with_two_faults_counts_once_and_the_first_bad_row_is_named() -> None:
    raw = table({}, {"p": "x"}, {"y": "5", "d": "x", "c": "zz"})
    with pytest.raises(BadRow, match="row 102, column p"):
        read(raw)
    got, bad = read(raw, "skip")
    assert got.n == 1
    assert sum(bad.counts.values()) == 2


def test_tokens_of_skipped_rows_are_forgotten() -> None:
    got, _ = read(table({"h": "only here", "y": "9"}, {"h": "b"}, {"h": "a"}), "skip")
    assert got.tokens["h"].hashes.tolist() == hash_tokens(pa.array(["b", "a"])).tolist()


def test_broken_utf8_is_a_bad_row() -> None:
    raw = table({}, {}).set_column(5, "h", pa.array([b"\xff\xfe", b"ok"], pa.binary()))
    with pytest.raises(BadRow, match="row 101, column h: not a token"):
        read(raw)
    assert read(raw, "skip")[0].n == 1


def test_a_column_that_is_absent_or_double_is_an_error_of_the_schema() -> None:
    with pytest.raises(SchemaError, match=r"log: there must be one column 'd', there are 0\. Columns: y, w.*Add it"):
        read(table({}).drop_columns("d"))
    with pytest.raises(SchemaError, match="there are 2"):
        read(table({}).append_column("d", pa.array(["1"])))


def test_no_rows_are_fine() -> None:
    got, _ = read(table({}).slice(1))
    assert got.n == len(got.dense["d"]) == len(got.tokens["c"].codes) == 0
    chunkless = pa.table({name: pa.chunked_array([], pa.string()) for name in GOOD})
    assert read(chunkless)[0].n == 0


def test_times_may_be_written_as_in_a_calendar() -> None:
    schema = Schema(fields=(Field(name="t", kind="time", clock="iso8601"), Field(name="d", kind="dense")))
    raw = pa.table({"t": ["2014-10-21T00:00:00", "2014-10-20T23:59:59.5"], "d": ["1", "2"]})
    time = read(raw, schema=schema)[0].time
    assert time is not None
    assert time[0] - time[1] == 500_000
    with pytest.raises(BadRow, match="column t: not a time"):
        read(raw.set_column(0, "t", pa.array(["2014-10-21", "soon"])), schema=schema)


BAGS = Schema(
    fields=(
        Field(name="x", kind="categorical", tokens="hex", many=True),
        Field(name="t", kind="categorical", many=True, separator=";", max_values=2),
        Field(name="p", kind="categorical", ids="plain", rows=10, many=True),
        Field(name="h", kind="categorical", ids="hash63"),
    )
)


def test_bags_have_tokens_or_ids_and_lengths() -> None:
    raw = pa.table({"x": ["a|b0", "", "a"], "t": [None, "u;v;w", "u"], "p": ["3|9", "0", ""], "h": ["1", "", "2"]})
    got, _ = read(raw, schema=BAGS)
    assert {name: lengths.tolist() for name, lengths in got.lengths.items()} == {
        "x": [2, 0, 1], "t": [0, 2, 1], "p": [2, 1, 0],
    }  # fmt: skip
    assert got.tokens["x"].row_hashes.tolist() == hash_tokens(pa.array(["a", "b0", "a"])).tolist()
    assert got.tokens["t"].row_hashes.tolist() == hash_tokens(pa.array(["u", "v", "u"])).tolist()
    assert got.plain["p"].tolist() == [3, 9, 0]
    assert got.tokens["t"].missing == -1
    assert len(got.tokens["h"].codes) == 3
    as_lists = pa.table({"x": [["a", "b0"], None, ["a"]], "t": [[], ["u", "v", "w"], ["u"]], "p": [[3, 9], [0], []]})
    again, _ = read(as_lists.append_column("h", raw["h"]), schema=BAGS)
    for name in ("x", "t"):
        assert again.tokens[name].row_hashes.tolist() == got.tokens[name].row_hashes.tolist()
    assert again.plain["p"].tolist() == got.plain["p"].tolist()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("x", "a|xyz|zz", "not a hexadecimal token: 'xyz'"),
        ("x", ["a", "0" * 17], "not a hexadecimal token"),
        ("p", "1|10", "not an id from 0 to 9: '10'"),
        ("p", "1|-2", "not an id from 0 to 9: '-2'"),
        ("p", "1|two", "not a whole number: 'two'"),
        ("t", b"\xff", "not tokens"),
        ("t", [["a"]], "not a token"),
        ("t", [1.5], "not a token"),
    ],
)
def test_a_wrong_token_of_a_bag_is_a_fault_of_its_row(column: str, value: Any, said: str) -> None:
    good: dict[str, list[Any]] = {"x": ["a"] * 4, "t": ["u"] * 4, "p": ["1"] * 4, "h": ["1"] * 4}
    plain = [value, None, value] if isinstance(value, (list, bytes)) else ["", value, value]
    raw = pa.table({**good, column: [None, *plain]})
    first = 102 if isinstance(value, (list, bytes)) else 103
    with pytest.raises(BadRow, match=f"^log, row {first}, column {column}: {said}"):
        read(raw, schema=BAGS)
    got, bad = read(raw, "skip", schema=BAGS)
    assert (got.n, sum(bad.counts.values())) == (2, 2)
    assert {name: len(lengths) for name, lengths in got.lengths.items()} == {"x": 2, "t": 2, "p": 2}


def test_what_max_values_drops_is_not_looked_at() -> None:
    schema = Schema(fields=(Field(name="x", kind="categorical", tokens="hex", many=True, max_values=1),))
    assert read(pa.table({"x": ["a|xyz"]}), schema=schema)[0].lengths["x"].tolist() == [1]


@pytest.mark.parametrize("kind", [pa.string(), pa.float64(), pa.int8()])
def test_a_label_with_a_threshold_is_one_from_there_on(kind: pa.DataType) -> None:
    schema = Schema(fields=(Field(name="y", kind="label", threshold=4), Field(name="d", kind="dense")))
    raw = pa.table({"y": pa.array(["1", "4", "5", "-3"]).cast(kind), "d": ["1"] * 4})
    label = read(raw, schema=schema)[0].label
    assert label is not None
    assert (label.tolist(), label.dtype) == ([0.0, 1.0, 1.0, 0.0], np.float32)


@pytest.mark.parametrize(
    ("text", "said"), [("", "label missing"), ("nan", "label not a finite number"), ("x", "not a")]
)
def test_a_threshold_needs_numbers(text: str, said: str) -> None:
    schema = Schema(fields=(Field(name="y", kind="label", threshold=3.5), Field(name="d", kind="dense")))
    with pytest.raises(BadRow, match=f"row 102, column y: {said}"):
        read(pa.table({"y": ["4", text], "d": ["1", "1"]}), schema=schema)


@pytest.mark.parametrize(
    ("known", "name", "said"),
    [
        ("avazu", "hour_of_day", r"In files the reader 'avazu' makes it: the last two digits of hour \(YYMMDDHH\)"),
        ("avazu", "weekday", "the date in hour"),
        ("avazu", "site_id", "Add it, with nulls"),
        ("kuairand", "hour", r"In files the reader 'kuairand' makes it: hourmin \(HHMM\), 0 to 23"),
        ("kuairand", "freshness_days", "the days from upload_dt to date"),
        (
            "kuairand",
            "user_active_degree",
            "the column of user_features.*csv or video_features_basic.*csv beside the log",
        ),
        ("kuairand", "tab", r"Columns: none\. Add it, with nulls"),
        ("movielens_users", "gender", "the column of users.dat or u.user, by user_id"),
    ],
)
def test_a_column_that_a_reader_makes_is_told_with_its_origin(known: str, name: str, said: str) -> None:
    schema = Schema(
        format=SCHEMAS.get(known).format, fields=tuple(f for f in SCHEMAS.get(known).fields if f.name == name)
    )
    with pytest.raises(SchemaError, match=said) as told:
        read_columns(pa.table({"none": [1]}), schema, file="the frame", rows=np.ones(1, np.int64), bad=BadRows("fail"))
    assert ("pocketrec predict RUN FILE" in str(told.value)) == ("makes it" in str(told.value))


def test_a_format_whose_reader_is_not_installed_is_no_other_error() -> None:
    schema = Schema(format="elsewhere", fields=(Field(name="d", kind="dense"),))
    with pytest.raises(SchemaError, match="there must be one column 'd'"):
        read_columns(pa.table({"e": [1]}), schema, file="the frame", rows=np.ones(1, np.int64), bad=BadRows("fail"))
