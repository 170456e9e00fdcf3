from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.fitting import INPUTS, only
from pocketrec.data.readers import READERS, Place
from pocketrec.data.scan import scan
from pocketrec.spec.errors import BadFile, BadRow, SchemaError
from pocketrec.spec.schema import Field, Schema
from pocketrec.spec.schemas import SCHEMAS
from pocketrec.testing.reader_contract import ReaderContract

READER = READERS.get("libsvm")
LABEL = Field(name="y", kind="label")


def schema(*fields: Field) -> Schema:
    return Schema(format="libsvm", fields=(LABEL, *fields))


POSITIONS = schema(Field(name="user", kind="categorical"), Field(name="9", kind="dense"),
                   Field(name="item", kind="categorical"))  # fmt: skip
BAG = schema(Field(name="words", kind="categorical", many=True), Field(name="9", kind="dense"))
TRIPLES = schema(Field(name="1", kind="categorical"), Field(name="2", kind="categorical", many=True),
                 Field(name="3", kind="dense"))  # fmt: skip


class _Contract(ReaderContract):
    reader = READER
    name = "log.libsvm"
    packings = ("", ".gz", ".zst")
    names_columns = False

    def line(self, n: int) -> str:
        raise NotImplementedError

    def write(self, path: Path, rows: int) -> None:
        path.write_text("".join(self.line(n) + "\n" for n in range(rows)))

    def spoil(self, path: Path, row: int) -> bool:
        lines = path.read_text().splitlines(keepends=True)
        lines[row - 1] = "1 x:1\n"
        path.write_text("".join(lines))
        return True


class TestPositions(_Contract):
    schema = POSITIONS

    def line(self, n: int) -> str:
        return f"{'-1' if n % 2 else '+1'} {100 + n}:1 9:{n}.5 {500 + n % 7}:1.0"

    def rows(self, rows: int) -> list[tuple[Any, ...]]:
        return [("0" if n % 2 else "+1", str(100 + n), f"{n}.5", str(500 + n % 7)) for n in range(rows)]


class TestBag(_Contract):
    schema = BAG

    def line(self, n: int) -> str:
        return f"{n % 2}  " + "".join(f"{20 + k}:1\t" for k in range(n % 4)) + ("9:-2e-1 # why" if n % 3 else "")

    def rows(self, rows: int) -> list[tuple[Any, ...]]:
        return [(str(n % 2), [str(20 + k) for k in range(n % 4)], "-2e-1" if n % 3 else None) for n in range(rows)]


class TestTriples(_Contract):
    schema = TRIPLES
    name = "log.ffm"

    def line(self, n: int) -> str:
        return f"{n % 2} 1:{n}:1 2:7:1 7:1:1 3:0:{n / 4}" + (" 2:8:1" if n % 3 else "")

    def rows(self, rows: int) -> list[tuple[Any, ...]]:
        return [(str(n % 2), str(n), ["7", "8"] if n % 3 else ["7"], str(n / 4)) for n in range(rows)]


def read(folder: Path, text: str, wanted: Schema, mode: Any = "fail") -> tuple[list[dict[str, Any]], BadRows]:
    path = folder / "log.libsvm"
    path.write_bytes(text.encode("latin-1"))
    bad = BadRows(mode)
    return [row for b in READER.blocks(path, wanted, bad, Place()) for row in b.table.to_pylist()], bad


@pytest.mark.parametrize(
    ("line", "wanted", "said"),
    [
        ("1 5:1", POSITIONS, "1 tokens instead of 2, one per categorical field"),
        ("1 5:1 6:1 7:1", POSITIONS, "3 tokens instead of 2"),
        ("1 5:1 6:0.5", POSITIONS, "a token must have the value 1, a number is for dense fields: '6:0.5'"),
        ("1 5:1 6:1 9:1 9:2", POSITIONS, "stands twice in the row: '9:2'"),
        ("5:1 6:1", POSITIONS, "no label before the first item"),
        ("click 5:1 6:1", POSITIONS, "the label is not a number: 'click'"),
        ("1 5:1 six:1", POSITIONS, "not index:value of whole numbers and a number: 'six:1'"),
        ("1 5:1 6:nan", POSITIONS, "not index:value .*: '6:nan'"),
        ("1 5:1 6:", POSITIONS, "not index:value .*: '6:'"),
        ("1 5:1 -6:1", POSITIONS, "not index:value .*: '-6:1'"),
        ("1 1:5:1 6:1", POSITIONS, "not index:value .*: '1:5:1'"),
        ("1 qid:4 6:1", BAG, "not index:value .*: 'qid:4'"),
        ("1 5:1 \xe9:1", BAG, r"not index:value .*: '\?:1'"),
        ("", BAG, "an empty line"),
        ("# a comment and nothing else", BAG, "an empty line"),
        ("1 1:4:1 1:5:1", TRIPLES, "stands twice in the row: '1:5:1'"),
        ("1 1:4:2", TRIPLES, "a token must have the value 1.*: '1:4:2'"),
        ("1 4:1", TRIPLES, "not field:index:value .*: '4:1'"),
    ],
)
def test_what_is_wrong_is_said_with_its_text(tmp_path: Path, line: str, wanted: Schema, said: str) -> None:
    first = {POSITIONS: "1 5:1 6:1", BAG: "0 5:1", TRIPLES: "0 1:5:1"}[wanted]
    with pytest.raises(BadRow, match=f"log.libsvm, row 2: {said}"):
        read(tmp_path, f"{first}\n{line}\n{first}\n", wanted)
    rows, bad = read(tmp_path, f"{first}\n{line}\n{first}\n", wanted, "skip")
    assert len(rows) == 2
    assert sum(bad.counts.values()) == 1


@pytest.mark.parametrize(
    ("text", "wanted", "said"),
    [
        ("1 1:1\n", schema(Field(name="price", kind="dense")), "the dense field 'price' must be called like its index"),
        ("1 1:1:1\n", schema(Field(name="user", kind="categorical")), "'user' must be called like its field number"),
        (
            "1 1:1\n",
            schema(Field(name="a", kind="categorical", many=True), Field(name="b", kind="categorical")),
            "the schema has 1 bags among 2 categorical fields",
        ),
    ],
)
def test_a_schema_that_the_form_cannot_serve_is_refused(tmp_path: Path, text: str, wanted: Schema, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        read(tmp_path, text, wanted)


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("1 5:1\r\n6:1\n1 5:1 6:1\n1 5:1 6:1\n", 1, "a line break CR LF, where most are LF, may stand inside the row"),
        ("1 5:1 6:1\n1 5:1\r6:1\n1 5:1 6:1\n", 2, "a line break CR, where most are LF"),
        ("1 5:1 6:1\r\n1 5:1\n6:1\r\n1 5:1 6:1\r\n", 2, "a line break LF, where most are CR LF"),
        ("1 5:1 6:1\r\n1 5:1 6:1\r\n6:1\r\n", 3, "one per categorical field[.]"),  # all alike: of no interest
        ("1 5:1 6:1\r\n1 5:1 6:1\r\n6:1", 3, "one per categorical field[.]"),
    ],
)
def test_a_line_break_inside_a_row_is_named(tmp_path: Path, text: str, row: int, said: str) -> None:
    with pytest.raises(BadRow, match=f"row {row}: .*{said}"):
        read(tmp_path, text, POSITIONS)


def test_minus_one_is_no_click_unless_labels_have_a_threshold(tmp_path: Path) -> None:
    text = "-1 5:1\n+1 5:1\n0 5:1\n-1.0 5:1\n3 5:1\n"
    assert [row["y"] for row in read(tmp_path, text, BAG)[0]] == ["0", "+1", "0", "0", "3"]
    raw = Schema(format="libsvm", fields=(Field(name="y", kind="label", threshold=-0.5), *BAG.fields[1:]))
    assert [row["y"] for row in read(tmp_path, text, raw)[0]] == ["-1", "+1", "0", "-1.0", "3"]


def test_rows_without_a_label_are_read_to_be_predicted(tmp_path: Path) -> None:
    unlabelled = only(BAG, INPUTS)
    rows, _ = read(tmp_path, "5:1 6:1\n7:1 9:2\n", unlabelled)
    assert [row["words"] for row in rows] == [["5", "6"], ["7"]]
    assert READER.fitting(tmp_path / "log.libsvm", BAG, [BAG, unlabelled]) == unlabelled
    assert read(tmp_path, "1 5:1 6:1\n0 7:1 9:2\n", unlabelled)[0] == rows
    assert READER.fitting(tmp_path / "log.libsvm", BAG, [BAG, unlabelled]) == BAG


def test_a_head_that_cannot_be_unpacked_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.libsvm.gz"
    path.write_bytes(gzip.compress(b"1 5:1\n")[:9])
    with pytest.raises(BadFile, match="truncated gzip"):
        list(READER.blocks(path, BAG, BadRows("fail"), Place()))
    assert READER.fitting(path, BAG, [BAG]) == BAG


def test_frappe_in_its_first_form_is_read_as_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "frappe.libfm"
    path.write_text("".join(f"{(-1) ** n} {' '.join(f'{1000 * k + n}:1' for k in range(10))}\n" for n in range(6)))
    (columns,) = scan(path, SCHEMAS.get("frappe_libfm"), BadRows("fail"))
    assert columns.label is not None
    assert columns.label.tolist() == [1, 0] * 3
    assert list(columns.tokens)[:2] == ["user", "item"]
