from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pocketrec.data.propose.sniff import Form, head_lines, sample_rows, sniff
from pocketrec.spec.errors import BadFile


def written(tmp_path: Path, text: str, name: str = "log.csv") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|", " "])
def test_delimiters(tmp_path: Path, delimiter: str) -> None:
    rows = [["y", "item", "note"], ["1", "a", "x"], ["0", "b", ""], ["1", "c", "z"]]
    form = sniff(written(tmp_path, "".join(delimiter.join(row) + "\n" for row in rows)))
    assert form == Form(format="csv", delimiter=delimiter, header=True, names=("y", "item", "note"))


def test_quotes_and_bags_do_not_mislead(tmp_path: Path) -> None:
    text = 'y;title;genres\n1;"a, b, c";x|y\n0;"d, e";x\n1;"f; g";y|z|x\n'
    assert sniff(written(tmp_path, text)).delimiter == ";"
    assert sniff(written(tmp_path, "y,genres\n1,x|y\n0,z|x\n1,x|y\n")).delimiter == ","


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("y,c\n1,a\n0,b\n", True),
        ("1,a\n0,b\n", False),
        ("user,item\nu1,i1\nu2,i2\n", True),
        ("a,b\nb,a\na,b\n", False),  # the words of the first line come again
        ("y,y\n1,2\n", False),
        ("y,\n1,2\n", False),
        ("y,c\n", True),
    ],
)
def test_headers(tmp_path: Path, text: str, header: bool) -> None:
    form = sniff(written(tmp_path, text))
    assert form.header is header
    assert form.names == (tuple(text.splitlines()[0].split(",")) if header else ("c1", "c2"))


def test_one_column(tmp_path: Path) -> None:
    assert sniff(written(tmp_path, "word\nfirst\nsecond\n")).names == ("word",)


def test_packed_text_byte_order_marks_and_windows_lines(tmp_path: Path) -> None:
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfy,c\r\n1,a\r\n0,b\r\n"))
    assert sniff(tmp_path / "log.csv.gz").names == ("y", "c")
    assert head_lines(tmp_path / "log.csv.gz") == ["y,c", "1,a", "0,b"]


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"y": [1, 0], "g": [["a"], []]}), tmp_path / "no_ending")
    form = sniff(tmp_path / "no_ending")
    assert (form.format, form.names) == ("parquet", ("y", "g"))
    assert sample_rows(tmp_path / "no_ending", form, 1).to_pylist() == [{"y": 1, "g": ["a"]}]


def test_sample_rows_are_text_without_columns_of_the_same_name(tmp_path: Path) -> None:
    file = written(tmp_path, "1,2,3\n4,5,6\n7,8,9\n")
    table = sample_rows(file, Form(format="csv", delimiter=",", header=False, names=("a", "b", "c")), 2)
    assert table.num_rows == 2
    assert table.column_names == ["a", "b", "c"]
    file = written(tmp_path, "a,a,c\n4,5,6\n")
    assert sample_rows(file, Form(format="csv", delimiter=",", header=True, names=("a", "a", "c")), 9).column_names == [
        "c"
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "it is empty"),
        ("a.csv", b"\n\n \n", "no text"),
        ("a.csv", b"a\0b,c\n", "zero bytes"),
        ("a.csv", gzip.compress(b"a,b\n", mtime=0), "let its name end in .gz"),
        ("a.csv", b"\x28\xb5\x2f\xfd....", "let its name end in .zst"),
        ("a.csv.gz", b"\x1f\x8bnonsense", "truncated gzip"),
        ("a.parquet", b"PAR1nonsense", "cannot be read as one"),
    ],
)
def test_what_is_no_log_is_said(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadFile, match=said):
        sniff(tmp_path / name)


def test_a_file_without_rows(tmp_path: Path) -> None:
    form = Form(format="csv", delimiter=",", header=True, names=("a", "b"))
    with pytest.raises(BadFile, match="not one row"):
        sample_rows(written(tmp_path, "a,b\n"), form, 5)
    with pytest.raises(BadFile, match="no column has a name of its own"):
        sample_rows(
            written(tmp_path, "a,a\n1,2\n"), Form(format="csv", delimiter=",", header=True, names=("a", "a")), 5
        )
