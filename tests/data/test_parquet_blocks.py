from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pocketrec.data import parquet_blocks as module
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.parquet_blocks import parquet_blocks, parquet_columns
from pocketrec.data.readers import Place
from pocketrec.spec.errors import BadFile, SchemaError

TABLE = pa.table({"a": range(100), "b": [[i, i + 1][: i % 3] for i in range(100)]})


def test_blocks_have_the_wanted_columns_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 16)
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path, row_group_size=40)
    blocks = list(parquet_blocks(path, ["b", "a"], BadRows("fail"), Place()))
    assert pa.concat_tables([b.table for b in blocks]).to_pylist() == TABLE.select(["b", "a"]).to_pylist()
    assert [len(b.rows) for b in blocks] == [16, 16, 8, 16, 16, 8, 16, 4]
    rest = list(parquet_blocks(path, ["b", "a"], BadRows("fail"), blocks[3].after))
    assert [b.rows.tolist() for b in rest] == [b.rows.tolist() for b in blocks[4:]]


def test_columns_are_named_or_none_are(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path)
    assert parquet_columns(path) == ["a", "b"]
    path.write_bytes(b"nothing of the kind")
    assert parquet_columns(path) == []
    with pytest.raises(BadFile, match="not a whole Parquet file"):
        list(parquet_blocks(path, ["a"], BadRows("fail"), Place()))


def test_a_column_that_is_not_there_or_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    for wanted, said in (("b", "there is no column 'b'. Columns: a, a"), ("a", "there are 2 columns 'a'")):
        with pytest.raises(SchemaError, match=said):
            list(parquet_blocks(path, [wanted], BadRows("fail"), Place()))
