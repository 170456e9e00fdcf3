from __future__ import annotations

import pytest

from pocketrec.data.sparse_lines import parts_per_item, sparse_lines


def test_lines_become_flat_columns() -> None:
    got = sparse_lines(b"1 2:1 3:.5\r\n\n# nothing\n-1\n 4:1e3\n", 2)
    assert got.good.tolist() == [0, 3, 4]
    assert got.wrong == [(1, "an empty line", None), (2, "an empty line", None)]
    assert got.label.to_pylist() == ["1", "-1", None]
    assert got.row.tolist() == [0, 0, 2]
    assert [part.to_pylist() for part in got.parts] == [["2", "3", "4"], ["1", ".5", "1e3"]]


def test_triples_have_three_parts() -> None:
    got = sparse_lines(b"0 1:2:3 4:5:6", 3)
    assert [part.to_pylist() for part in got.parts] == [["1", "4"], ["2", "5"], ["3", "6"]]
    assert sparse_lines(b"0 1:2", 3).wrong == [(0, "not field:index:value of whole numbers and a number", "1:2")]


@pytest.mark.parametrize("text", [b"", b"\n", b"?\n", b"\xff\xfe\n"])
def test_nothing_is_well_formed_here(text: bytes) -> None:
    got = sparse_lines(text, 2)
    assert len(got.good) == len(got.label) == len(got.row) == 0
    assert len(got.wrong) == len(text.splitlines())


@pytest.mark.parametrize(
    ("text", "parts"),
    [(b"1 2:3", 2), (b"1\n0 1:2:3", 3), (b"# 1:2:3\n1 2:3", 2), (b"", 0), (b"1 a:b:c:d 12:15", 2), (b"1:2:3:4 1", 0)],
)
def test_the_first_item_says_how_many_parts_there_are(text: bytes, parts: int) -> None:
    assert parts_per_item(text) == parts


def test_long_lines_cost_no_more_than_their_length() -> None:
    assert sparse_lines(b"1" * 300_000 + b"x\n1 " + b"1:" + b"1" * 300_000 + b"x\n", 2).good.tolist() == []
