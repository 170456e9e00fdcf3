from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pocketrec.data import text_blocks
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.readers import READERS, Place
from pocketrec.data.scan import scan
from pocketrec.spec.errors import BadFile, BadRow, SchemaError
from pocketrec.spec.schema import Field, Schema
from pocketrec.testing.reader_contract import ReaderContract

READER = READERS.get("csv")
SCHEMA = Schema(
    fields=(Field(name="y", kind="label"), Field(name="x", kind="dense"), Field(name="c", kind="categorical"))
)


class TestCsvContract(ReaderContract):
    reader = READER
    schema = SCHEMA
    name = "log.csv"
    packings = ("", ".gz", ".zst")
    head = "other,x,c,y\n"

    def rows(self, rows: int) -> list[tuple[str, ...]]:
        return [
            (str(n % 2), "" if n % 5 == 0 else f"{n / 4}", f"a,{n}" if n % 7 == 0 else f"token {n}")
            for n in range(rows)
        ]

    def write(self, path: Path, rows: int) -> None:
        path.write_text(self.head + "".join(f'?,{x},"{c}",{y}\n' for y, x, c in self.rows(rows)))

    def spoil(self, path: Path, row: int) -> bool:
        lines = path.read_text().splitlines(keepends=True)
        lines[row - (0 if self.head else 1)] = 'x,"3\n'
        path.write_text("".join(lines))
        return True


class TestCsvWithoutHeaderContract(TestCsvContract):
    schema = Schema(fields=SCHEMA.fields, header=False, delimiter="|")
    name = "log.txt"
    names_columns = False
    head = ""

    def write(self, path: Path, rows: int) -> None:
        path.write_text("".join(f"{y}|{x}|{c}\n" for y, x, c in self.rows(rows)))


def written(folder: Path, text: str, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_columns_are_found_by_name_and_others_are_left_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "id,c,y,x\n7,blue,1,2.5\n8,red,0,\n")
    (block,) = READER.blocks(path, SCHEMA, BadRows("fail"), Place())
    assert block.table.column_names == ["y", "x", "c"]
    assert block.table["c"].to_pylist() == [b"blue", b"red"]
    assert block.rows.tolist() == [1, 2]


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.tsv"])
def test_blocks_go_on_after_the_header_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 30)
    path = written(tmp_path, "y,x,c\n" + "".join(f"{i % 2},{i},t{i}\n" for i in range(50)), name)
    whole = list(READER.blocks(path, SCHEMA, BadRows("fail"), Place()))
    assert sum(len(b.rows) for b in whole) == 50
    again = list(READER.blocks(path, SCHEMA, BadRows("fail"), whole[2].after))
    assert [b.rows.tolist() for b in again] == [b.rows.tolist() for b in whole[3:]]
    assert again[0].table.equals(whole[3].table)


def test_without_a_header_the_schema_names_all_columns(tmp_path: Path) -> None:
    schema = Schema(fields=SCHEMA.fields, header=False, delimiter=";")
    (columns,) = scan(written(tmp_path, "1;2;a\n0;3;b\n"), schema, BadRows("fail"))
    assert columns.dense["x"].tolist() == [2.0, 3.0]


def test_every_part_has_its_own_header(tmp_path: Path) -> None:
    written(tmp_path, "y,x,c\n1,1,a\n", "part1.csv")
    written(tmp_path, "c,x,y\nb,2,0\n", "part2.csv")
    labels = [
        columns.label.tolist() for columns in scan(tmp_path, SCHEMA, BadRows("fail")) if columns.label is not None
    ]
    assert labels == [[1.0], [0.0]]


@pytest.mark.parametrize(("header", "said"), [("y,c", "'x' is missing from"), ("y,x,c,x", "'x' stands twice in")])
def test_a_header_that_does_not_fit_is_an_error_of_the_schema(tmp_path: Path, header: str, said: str) -> None:
    with pytest.raises(SchemaError, match=f"log.csv: the column {said} the header. Columns: y, "):
        list(READER.blocks(written(tmp_path, f"{header}\n1,2,3\n"), SCHEMA, BadRows("skip"), Place()))


def test_rows_are_counted_without_the_header(tmp_path: Path) -> None:
    with pytest.raises(BadRow, match=r"log.csv, row 2, column x: not a number: 'oops'"):
        list(scan(written(tmp_path, "y,x,c\n1,1,a\n1,oops,b\n"), SCHEMA, BadRows("fail")))
    with pytest.raises(BadRow, match=r"log.csv, row 1: 2 columns instead of 3"):
        list(scan(written(tmp_path, "y,x,c\n1,1\n"), SCHEMA, BadRows("fail")))


def test_a_column_that_turns_from_numbers_to_text_is_named_where_it_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 50)
    text = "y,x,c\n" + "1,5,a\n" * 30 + "1,five,a\n" * 2
    bad = BadRows("skip")
    assert sum(columns.n for columns in scan(written(tmp_path, text), SCHEMA, bad)) == 30
    assert bad.counts == {"column x: not a number": 2}
    with pytest.raises(BadRow, match="row 31, column x"):
        list(scan(tmp_path / "log.csv", SCHEMA, BadRows("fail")))


@pytest.mark.parametrize("text", ["", "y,x,c\n", "y,x,c"])
def test_a_file_without_rows_is_bad(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadFile, match="empty file"):
        list(READER.blocks(path, SCHEMA, BadRows("fail"), Place()))
    bad = BadRows("skip")
    assert list(READER.blocks(path, SCHEMA, bad, Place())) == []
    assert bad.counts == {"file: empty file": 1}


def test_gzip_cut_off_in_the_header_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"y,x,c\n1,1,a\n")[:12])
    with pytest.raises(BadFile, match="truncated gzip after row 0"):
        list(READER.blocks(path, SCHEMA, BadRows("fail"), Place()))


def test_the_avazu_sample_is_read(shared_data: Path) -> None:
    columns = ["site_id", "app_id", "device_ip", "C14"]
    schema = Schema(
        fields=(
            Field(name="click", kind="label"),
            Field(name="hour", kind="time"),
            *(Field(name=name, kind="categorical") for name in columns),
        )
    )
    blocks = list(scan(shared_data / "avazu_sample" / "first10k_train.csv.gz", schema, BadRows("fail")))
    assert sum(b.n for b in blocks) == 8087
