from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.readers import READERS, Block, Place
from pocketrec.data.scan import scan
from pocketrec.spec.errors import BadFile, BadRow
from pocketrec.spec.schema import criteo
from pocketrec.testing.reader_contract import ReaderContract

READER = READERS.get("criteo")
LINE = "\t".join(["1", *(str(i) for i in range(13)), *(f"{i:08x}" for i in range(26))])


class TestCriteoContract(ReaderContract):
    reader = READER
    schema = criteo(dense=2, categorical=3)
    name = "day_0"
    packings = ("", ".gz", ".zst")
    names_columns = False

    def rows(self, rows: int) -> list[tuple[str, ...]]:
        return [
            (str(n % 2), *(str(n * i) if (n + i) % 3 else "" for i in range(2)), *(f"{n * i:08x}" for i in range(3)))
            for n in range(rows)
        ]

    def write(self, path: Path, rows: int) -> None:
        path.write_text("".join("\t".join(row) + "\n" for row in self.rows(rows)))

    def spoil(self, path: Path, row: int) -> bool:
        lines = path.read_text().splitlines(keepends=True)
        lines[row - 1] = lines[row - 1].replace("\t", " ", 1)
        path.write_text("".join(lines))
        return True


def blocks(path: Path, bad: BadRows | None = None) -> list[Block]:
    return list(READER.blocks(path, criteo(), bad or BadRows("fail"), Place()))


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("day_0", True),
        ("day_23.gz", True),
        ("train.txt.gz", True),
        ("part-00000", True),
        ("x.tsv", True),
        ("stats.json", False),
    ],
)
def test_names_of_parts(name: str, taken: bool) -> None:
    assert READER.accepts(name) is taken


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "day_0"])
def test_lines_become_forty_columns(tmp_path: Path, name: str) -> None:
    text = (LINE + "\n0" + "\t" * 39 + "\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (block,) = blocks(tmp_path / name)
    assert block.table.num_rows == 2
    assert block.table.column_names == [f.name for f in criteo().fields]
    assert block.table["C26"].to_pylist() == [b"00000019", b""]
    assert block.rows.tolist() == [1, 2]


def test_truncated_gzip_says_after_which_row_or_keeps_what_there_is(tmp_path: Path) -> None:
    lines = [LINE.replace("00000000", f"{i * 2654435761 % 2**32:08x}") for i in range(2000)]
    packed = gzip.compress(("\n".join(lines) + "\n").encode())
    path = tmp_path / "day_0.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(BadFile, match=r"day_0.gz: truncated gzip after row \d\d\d+ .*--bad-rows skip"):
        blocks(path)
    bad = BadRows("skip")
    kept = sum(block.table.num_rows for block in blocks(path, bad))
    assert 500 < kept < 1500
    assert bad.counts == {"file: truncated gzip": 1}


def test_a_column_too_few_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    path.write_text(f"{LINE}\n{LINE.rpartition(chr(9))[0]}\n")
    with pytest.raises(BadRow, match=r"log.tsv, row 2: 39 columns instead of 40"):
        blocks(path)


def test_a_file_without_labels_is_read_by_the_unlabelled_schema(tmp_path: Path) -> None:
    path = tmp_path / "test.txt"
    path.write_text(LINE.partition("\t")[2] + "\n")
    (columns,) = scan(path, criteo().unlabelled(), BadRows("fail"))
    assert columns.label is None
    assert columns.dense["I13"].tolist() == [12.0]


def test_the_real_sample_is_read_to_its_end(shared_data: Path) -> None:
    folder = shared_data / "criteo_kaggle_137k"
    assert sum(columns.n for columns in scan(folder / "train.txt.gz", criteo(), BadRows("fail"))) == 137_139
    unlabelled = scan(folder / "test_unlabelled.txt.gz", criteo().unlabelled(), BadRows("fail"))
    assert sum(columns.n for columns in unlabelled) == 18_181
