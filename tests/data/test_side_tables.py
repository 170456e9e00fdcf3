from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.readers import Block, Place
from pocketrec.data.side_tables import SideTable, joined, read_side_table, side_header, the_side_file
from pocketrec.spec.errors import BadFile


def blocks(*tables: dict[str, list[Any]]) -> Iterator[Block]:
    row = 1
    for columns in tables:
        table = pa.table(columns)
        yield Block(table=table, rows=np.arange(row, row + len(table)), after=Place())
        row += len(table)


def side(*tables: dict[str, list[Any]], bad: BadRows | None = None) -> SideTable:
    return read_side_table(
        blocks(*tables),
        key="user",
        name="id",
        columns=["age", "city"],
        file=Path("users.dat"),
        bad=bad or BadRows("fail"),
    )


USERS = (
    {"id": [b"7", b"3"], "age": [b"70", b"30"], "city": [b"Bonn", b"M\xfcnchen"]},
    {"id": [b"5"], "age": [b""], "city": [b"\xc3\xa9"]},
)


def test_rows_get_the_columns_of_their_key_and_missing_values_without_one() -> None:
    log = pa.table({"x": [0, 1, 2, 3, 4], "user": [b"5", b"3", b"", b"9", b"3"]})
    got = joined(log, [side(*USERS)])
    assert got.column_names == ["x", "user", "age", "city"]
    assert got["age"].to_pylist() == ["", "30", None, None, "30"]
    assert got["x"].to_pylist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "keys",
    [
        pa.array([3, None, 8, 7]),
        pa.array([3.0, None, 8.0, 7.0]),
        pa.array(["3", None, "8", "7"]),
        pa.array(["3", "", "8", "7"]).dictionary_encode(),
    ],
)
def test_a_key_is_a_key_in_whatever_type(keys: pa.Array) -> None:
    assert side(*USERS).find(keys)["age"].to_pylist() == ["30", None, None, "70"]


def test_a_column_that_is_not_utf8_is_latin1_as_a_whole() -> None:
    assert side(*USERS).find(pa.array([3, 5]))["city"].to_pylist() == ["München", "\u00c3\u00a9"]
    assert side(USERS[1]).find(pa.array([5]))["city"].to_pylist() == ["é"]


def test_of_a_key_that_stands_twice_the_first_row_counts_and_it_is_told() -> None:
    again = {"id": [b"3", b"4", b"3"], "age": [b"31", b"40", b"32"], "city": [b"", b"", b""]}
    with pytest.raises(BadFile, match=r"users.dat: a key that stands twice .*2 rows repeat a id, first row 4"):
        side(*USERS, again)
    bad = BadRows("skip")
    assert side(*USERS, again, bad=bad).find(pa.array([3, 4]))["age"].to_pylist() == ["30", "40"]
    assert bad.counts == {"file: a key that stands twice": 1}


def test_an_empty_table_or_log_gives_missing_values_or_no_rows() -> None:
    assert side().find(pa.array([1, 2]))["age"].to_pylist() == [None, None]
    empty = pa.table({"user": pa.chunked_array([], pa.binary())})
    assert joined(empty, [side(*USERS)]).column_names == ["user", "age", "city"]


def test_rows_without_a_key_are_no_users() -> None:
    table = side({"id": [b"", None, b"1"], "age": [b"9", b"9", b"1"], "city": [b"", b"", b""]})
    assert table.find(pa.array(["", None, "1"]))["age"].to_pylist() == [None, None, "1"]


def test_one_side_file_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "users.dat").touch()
    (tmp_path / "other_users.dat").touch()
    assert the_side_file(tmp_path, r"users\.dat(\.gz)?") == tmp_path / "users.dat"
    assert the_side_file(tmp_path, r"movies\.dat") is None
    (tmp_path / "users.dat.gz").touch()
    with pytest.raises(BadFile, match=r"holds users.dat, users.dat.gz, of which one is needed"):
        the_side_file(tmp_path, r"users\.dat(\.gz)?")


def test_a_damaged_side_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "users.csv.gz"
    path.write_bytes(gzip.compress(b"id,age\n"))
    assert side_header(path, ",") == (("id", "age"), 7)
    path.write_bytes(path.read_bytes()[:9])
    with pytest.raises(BadFile, match=r"users.csv.gz: truncated gzip .*Get the file again"):
        side_header(path, ",")
