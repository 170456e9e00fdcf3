from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pocketrec.data.check.files import column_names, file_facts
from pocketrec.spec.schema import Field, Schema

FIELDS = (Field(name="a", kind="categorical"),)


def test_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,"b,c"\n1,2\n')
    facts = file_facts(tmp_path / "a.csv", rows=1)
    assert (facts.path, facts.bytes, facts.compression, facts.rows) == (str(tmp_path / "a.csv"), 12, "none", 1)
    assert column_names(tmp_path / "a.csv", Schema(fields=FIELDS)) == ("a", "b,c")
    assert column_names(tmp_path / "a.csv", Schema(fields=FIELDS, header=False)) is None
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a;b\n"))
    assert file_facts(tmp_path / "a.csv.gz", rows=0).compression == "gzip"
    assert column_names(tmp_path / "a.csv.gz", Schema(fields=FIELDS, delimiter=";")) == ("a", "b")


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_parquet(tmp_path: Path, codec: str) -> None:
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "a.parquet", compression=codec)
    assert file_facts(tmp_path / "a.parquet", rows=1).compression == codec
    assert column_names(tmp_path / "a.parquet", Schema(fields=FIELDS, format="parquet")) == ("a", "b")


def test_damaged_files_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    assert file_facts(tmp_path / "a.parquet", rows=0).compression == "none"
    assert column_names(tmp_path / "a.parquet", Schema(fields=FIELDS, format="parquet")) is None
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n")[:-9])
    assert column_names(tmp_path / "a.csv.gz", Schema(fields=FIELDS)) in (None, ("a", "b"))
