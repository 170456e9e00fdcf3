from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data import text_blocks
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.delimited import Form, delimited_blocks
from pocketrec.data.readers import Block, Place
from pocketrec.spec.errors import BadFile, BadRow

FORM = Form(names=("a", "b"), delimiter=",", quotes=True)


def read(
    folder: Path, text: bytes, mode: Any = "skip", form: Form = FORM, start: Place | None = None
) -> tuple[list[Block], BadRows]:
    path = folder / "log.csv"
    path.write_bytes(text)
    bad = BadRows(mode)
    return list(delimited_blocks(path, ["a", "b"], form, bad, start or Place())), bad


def rows(blocks: list[Block]) -> list[tuple[int, bytes, bytes]]:
    return [
        (int(n), a, b)
        for block in blocks
        for n, a, b in zip(block.rows, block.table["a"].to_pylist(), block.table["b"].to_pylist(), strict=True)
    ]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_bad_lines_do_not_move_the_numbers_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", size)
    blocks, bad = read(tmp_path, b"1,2\n3\n4,5,6\n\n7,8\r\n\r\n9,\n")
    assert rows(blocks) == [(1, b"1", b"2"), (5, b"7", b"8"), (7, b"9", b"")]
    assert bad.counts == {"1 columns instead of 2": 3, "3 columns instead of 2": 1}
    assert blocks[-1].after.row == 7


@pytest.mark.parametrize(
    ("text", "row"), [(b"1,2\n3\n", 2), (b"1,2\n3,4,5\n", 2), (b"1,2\n\n3,4\n", 2), (b"\n1,2\n", 1)]
)
def test_the_first_bad_line_is_named(tmp_path: Path, text: bytes, row: int) -> None:
    with pytest.raises(BadRow, match=f"log.csv, row {row}: . columns instead of 2"):
        read(tmp_path, text, "fail")


def test_a_file_of_bad_lines_only_has_no_rows(tmp_path: Path) -> None:
    blocks, bad = read(tmp_path, b"1\n2\n3")
    assert rows(blocks) == []
    assert bad.counts == {"1 columns instead of 2": 3}


def test_an_empty_file_is_bad(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"log.csv: empty file after row 0"):
        read(tmp_path, b"", "fail")
    assert read(tmp_path, b"")[1].counts == {"file: empty file": 1}


def test_quotes_are_taken_off_or_left_on(tmp_path: Path) -> None:
    text = b'"x,y",2\n'
    assert rows(read(tmp_path, text)[0]) == [(1, b"x,y", b"2")]
    plain = Form(names=("a", "b"), delimiter="\t", quotes=False)
    assert rows(read(tmp_path, b'"x\t"\n', form=plain)[0]) == [(1, b'"x', b'"')]


@pytest.mark.parametrize("stray", ['1,"2', '"1,2', '1,"2""', '"', '1,"'])
def test_a_stray_quote_spoils_no_line_but_its_own(tmp_path: Path, stray: str) -> None:
    head, tail = [f"{i},{i}" for i in range(5)], [f'{i},"{i}"' for i in range(6, 50)]
    expected = [(i + 1, b"%d" % i, b"%d" % i) for i in range(50) if i != 5]
    blocks, bad = read(tmp_path, "\n".join([*head, stray, *tail]).encode())
    assert rows(blocks) == expected
    assert list(bad.counts.values()) == [1]
    with pytest.raises(BadRow, match=r"row 6: (a quote that does not end in its line|1 columns instead of 2)"):
        read(tmp_path, "\n".join([*head, stray, *tail]).encode(), "fail")


def test_bytes_that_are_no_text_spoil_no_line_but_their_own(tmp_path: Path) -> None:
    text = b"1,2\n3,\xff\n\xe9\n4,\xc3\xa9\n,\n"
    blocks, bad = read(tmp_path, text)
    assert rows(blocks) == [(1, b"1", b"2"), (2, b"3", b"\xff"), (4, b"4", b"\xc3\xa9"), (5, b"", b"")]
    assert bad.counts == {"1 columns instead of 2": 1}
    with pytest.raises(BadRow, match="row 3: 1 columns instead of 2"):
        read(tmp_path, text, "fail")


def test_quotes_inside_of_values_are_their_own(tmp_path: Path) -> None:
    text = b'7" nail,1\n"a ""b"" c","x"\n12",5"\n'
    assert rows(read(tmp_path, text)[0]) == [(1, b'7" nail', b"1"), (2, b'a "b" c', b"x"), (3, b'12"', b'5"')]


@pytest.mark.parametrize("text", [b"1,2\r3,4\n\n5,6\n", b"1,2\r\n3,4\r\r5,6\r\n", b'1,2\r"3",4\n\n5,6'])
def test_lines_end_as_on_any_machine(tmp_path: Path, text: bytes) -> None:
    blocks, bad = read(tmp_path, text)
    assert rows(blocks) == [(1, b"1", b"2"), (2, b"3", b"4"), (4, b"5", b"6")]
    assert bad.counts == {"1 columns instead of 2": 1}


def test_a_delimiter_may_have_several_characters(tmp_path: Path) -> None:
    form = Form(names=("a", "b"), delimiter="::", quotes=False)
    assert rows(read(tmp_path, b"1::x:y\n2::\n", form=form)[0]) == [(1, b"1", b"x:y"), (2, b"2", b"")]
    blocks, bad = read(tmp_path, b"1::2\n3\n4::5::6\n7::8\n", form=form)
    assert rows(blocks) == [(1, b"1", b"2"), (4, b"7", b"8")]
    assert bad.counts == {"1 columns instead of 2": 1, "3 columns instead of 2": 1}
    with pytest.raises(BadRow, match="row 2: 1 columns"):
        read(tmp_path, b"1::2\n3\n", "fail", form)


@given(text=st.text('12",\n\r\0x', max_size=60))
def test_a_line_is_read_alike_alone_and_among_others(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("csv")
    blocks, bad = read(folder, text.encode())
    alone = []
    for number, line in enumerate(text.encode().splitlines(keepends=True)):
        alone += [(number + 1, a, b) for _, a, b in rows(read(folder, line)[0])]
    assert rows(blocks) == alone
    assert sum(bad.counts.values()) == len(text.encode().splitlines()) - len(alone) + (not text)


def test_a_byte_order_mark_is_no_part_of_the_first_value(tmp_path: Path) -> None:
    assert rows(read(tmp_path, b"\xef\xbb\xbf1,2\n")[0]) == [(1, b"1", b"2")]


def test_reading_goes_on_where_a_block_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 40)
    text = b"".join(b"%d,%d\n" % (i, i * i) for i in range(100))
    blocks, _ = read(tmp_path, text)
    assert len(blocks) > 5
    for i, block in enumerate(blocks):
        assert rows(read(tmp_path, text, start=block.after)[0]) == rows(blocks[i + 1 :])
