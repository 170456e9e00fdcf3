from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pocketrec.data import parquet_blocks
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.readers import READERS, Place
from pocketrec.data.scan import scan
from pocketrec.spec.errors import BadFile, BadRow, SchemaError
from pocketrec.spec.schema import Field, Schema
from pocketrec.testing.reader_contract import ReaderContract

READER = READERS.get("parquet")
SCHEMA = Schema(
    format="parquet",
    fields=(Field(name="y", kind="label"), Field(name="x", kind="dense"), Field(name="c", kind="categorical")),
)
N = 1000


class TestParquetContract(ReaderContract):
    reader = READER
    schema = Schema(format="parquet", fields=(*SCHEMA.fields, Field(name="tags", kind="categorical", many=True)))
    name = "log.parquet"
    tells_truncation = True

    def rows(self, rows: int) -> list[tuple[object, ...]]:
        return [
            (str(n % 2), None if n % 5 == 0 else str(n / 4), f"t{n % 9}", [str(n), str(n + 1)][: n % 3])
            for n in range(rows)
        ]

    def write(self, path: Path, rows: int) -> None:
        table = pa.table(
            {
                "tags": [[n, n + 1][: n % 3] for n in range(rows)],
                "y": [n % 2 for n in range(rows)],
                "x": [None if n % 5 == 0 else n / 4 for n in range(rows)],
                "c": pa.array([f"t{n % 9}" for n in range(rows)]).dictionary_encode(),
            }
        )
        pq.write_table(table, path, row_group_size=50)


def whole(n: int = N) -> pa.Table:
    return pa.table(
        {
            "other": pa.nulls(n),
            "c": pa.array([f"t{i % 7}" for i in range(n)]).dictionary_encode(),
            "x": pa.array([None if i % 5 == 0 else i / 2 for i in range(n)], pa.float32()),
            "y": pa.array([i % 3 == 0 for i in range(n)]),
        }
    )


def test_every_place_gives_the_rest_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_blocks, "BLOCK_ROWS", 64)
    path = tmp_path / "a.parquet"
    pq.write_table(whole(), path, row_group_size=150)
    blocks = list(READER.blocks(path, SCHEMA, BadRows("fail"), Place()))
    assert [n for block in blocks for n in block.rows.tolist()] == list(range(1, N + 1))
    assert max(len(block.rows) for block in blocks) <= 64
    for at in (0, 3, len(blocks) - 1):
        rest = list(READER.blocks(path, SCHEMA, BadRows("fail"), blocks[at].after))
        assert [block.rows.tolist() for block in rest] == [block.rows.tolist() for block in blocks[at + 1 :]]
        for block, same in zip(rest, blocks[at + 1 :], strict=True):
            assert block.table.equals(same.table)


def test_a_folder_of_parts_is_one_log(tmp_path: Path) -> None:
    for i in range(3):
        pq.write_table(whole(10), tmp_path / f"part-{i}.parquet")
    assert sum(columns.n for columns in scan(tmp_path, SCHEMA, BadRows("fail"))) == 30


def test_a_missing_column_is_an_error_of_the_schema(tmp_path: Path) -> None:
    pq.write_table(whole(3).drop_columns("x"), tmp_path / "a.parquet")
    with pytest.raises(SchemaError, match=r"a.parquet: there is no column 'x'. Columns: other, c, y"):
        list(READER.blocks(tmp_path / "a.parquet", SCHEMA, BadRows("fail"), Place()))


def test_nan_is_bad_where_null_is_missing(tmp_path: Path) -> None:
    table = whole(4).set_column(2, "x", pa.array([1.0, None, float("nan"), 2.0]))
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadRow, match=r"a.parquet, row 3, column x: not a finite number"):
        list(scan(tmp_path / "a.parquet", SCHEMA, BadRows("fail")))


def test_a_column_that_changes_its_type_between_parts_is_read_or_named(tmp_path: Path) -> None:
    pq.write_table(whole(2), tmp_path / "part-0.parquet")
    pq.write_table(whole(2).set_column(2, "x", pa.array(["1.5", "many"])), tmp_path / "part-1.parquet")
    with pytest.raises(BadRow, match=r"part-1.parquet, row 2, column x: not a number: 'many'"):
        list(scan(tmp_path, SCHEMA, BadRows("fail")))
    bad = BadRows("skip")
    assert sum(columns.n for columns in scan(tmp_path, SCHEMA, bad)) == 3
    assert bad.counts == {"column x: not a number": 1}


def test_nested_columns_are_bad_rows(tmp_path: Path) -> None:
    pq.write_table(whole(2).set_column(1, "c", pa.array([["a"], ["b", "c"]])), tmp_path / "a.parquet")
    with pytest.raises(BadRow, match="row 1, column c: not a token"):
        list(scan(tmp_path / "a.parquet", SCHEMA, BadRows("fail")))


def test_a_damaged_or_empty_file_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(whole(), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadFile, match=r"a.parquet: not a whole Parquet file after row 0"):
        list(READER.blocks(path, SCHEMA, BadRows("fail"), Place()))
    bad = BadRows("skip")
    assert list(READER.blocks(path, SCHEMA, bad, Place())) == []
    assert bad.counts == {"file: not a whole Parquet file": 1}
    pq.write_table(whole(0), path)
    with pytest.raises(BadFile, match="empty file"):
        list(READER.blocks(path, SCHEMA, BadRows("fail"), Place()))


def test_the_kuairand_sample_is_read(shared_data: Path) -> None:
    fields = [
        Field(name="is_click", kind="label"),
        *(Field(name=n, kind="categorical") for n in ("user_id", "video_id")),
    ]
    schema = Schema(fields=tuple(fields), format="parquet")
    assert sum(b.n for b in scan(shared_data / "kuairand_pure" / "val.parquet", schema, BadRows("fail"))) == 94_784
