from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketrec.data import text_blocks
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.check.check import check
from pocketrec.data.scan import scan
from pocketrec.data.statistics import Statistics
from pocketrec.data.synthetic import SyntheticReport
from pocketrec.spec.errors import BadFile, OptionError, SchemaError
from pocketrec.spec.schema import Field, Schema, criteo


def test_it_counts_what_statistics_count(criteo_log: SyntheticReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 50_000)
    found = check(criteo_log.path, criteo())
    blocks = [Statistics.of(columns, criteo()) for columns in scan(criteo_log.path, criteo(), BadRows("fail"))]
    counted = blocks[0]
    for block in blocks[1:]:
        counted = counted.merge(block)
    summary = counted.summary()
    assert (found.rows, found.bad_rows, found.complete, found.good) == (3000, 0, True, True)
    assert found.positives_fraction == pytest.approx(criteo_log.positives / 3000)
    columns = {c.name: c for c in found.columns}
    for table in summary.tables:
        mine = columns[table.name]
        assert mine.distinct == table.distinct - (table.missing_fraction > 0)
        assert mine.missing_fraction == pytest.approx(table.missing_fraction)
    for dense in summary.dense:
        assert columns[dense.name].missing_fraction == pytest.approx(dense.missing_fraction)
    assert [t.rows for t in found.tables] == [table.distinct + 1 for table in summary.tables]
    assert found.dense_float32_bytes == sum(table.distinct + 1 for table in summary.tables) * 16 * 4
    assert found.files[0].compression == "gzip"
    assert found.files[0].bytes == criteo_log.path.stat().st_size


def test_every_kind_of_column_and_json(all_kinds: Schema, write_log: Callable[..., Path], tmp_path: Path) -> None:
    found = check(write_log(tmp_path / "log.csv", 500), all_kinds, dim=4)
    told = json.loads(json.dumps(found.to_json()))
    assert [c["name"] for c in told["columns"]] == [f.name for f in all_kinds.fields]
    assert told["dense_float32_bytes"] == sum(t["bytes"] for t in told["tables"])
    tables = {t["name"]: t["rows"] for t in told["tables"]}
    assert set(tables) == {"c", "h", "p"}
    assert tables["p"] == 6
    columns = {c.name: c for c in found.columns}
    both = (columns["c"].distinct or 0, columns["c2"].distinct or 0)
    assert max(both) + 2 <= tables["c"] <= sum(both) + 2, "a shared table holds the tokens of both, missing and unknown"
    assert found.clock == "number"


@pytest.mark.parametrize("rows", [1, 17, 499, 500, 501])
def test_so_many_rows_at_most(
    rows: int, all_kinds: Schema, write_log: Callable[..., Path], tmp_path: Path, small_blocks: None
) -> None:
    parts = [write_log(tmp_path / f"{i}.csv", 250, seed=i) for i in range(2)]
    found = check(parts, all_kinds, rows=rows)
    assert found.rows == min(rows, 500)
    assert found.complete == (rows > 500)
    assert sum(f.rows for f in found.files) == found.rows
    assert len(found.files) == (1 if rows <= 250 else 2)


def test_bad_rows_are_told_and_the_others_counted(
    all_kinds: Schema, write_log: Callable[..., Path], tmp_path: Path, small_blocks: None
) -> None:
    lines = write_log(tmp_path / "log.csv", 300).read_text().splitlines()
    lines[5] = "7" + lines[5][1:]
    lines[250] = "x" + lines[250][1:]
    lines[251] = "1,2"
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    found = check(tmp_path / "log.csv", all_kinds)
    assert (found.rows, found.bad_rows, found.good) == (297, 3, False)
    told = {(f.column, f.examples[0].row, f.examples[0].value) for f in found.faults}
    assert told == {("y", 5, "7"), ("y", 250, "x"), (None, 251, None)}
    before = check(tmp_path / "log.csv", all_kinds, rows=100)
    assert (before.rows, before.bad_rows) == (99, 1)


def test_a_damaged_file_is_a_fault(all_kinds: Schema, write_log: Callable[..., Path], tmp_path: Path) -> None:
    text = write_log(tmp_path / "log.csv", 2000).read_bytes()
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(text)[:-2000])
    found = check(tmp_path / "log.csv.gz", all_kinds)
    assert found.rows > 100
    assert found.bad_rows == 0
    assert [f.reason for f in found.faults] == ["truncated gzip"]
    assert not found.good


def test_columns_that_the_schema_does_not_name(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("id,y,c,note\n1,0,a,x\n2,1,b,y\n")
    schema = Schema(fields=(Field(name="y", kind="label"), Field(name="c", kind="categorical")))
    assert check(tmp_path / "log.csv", schema).unnamed == ("id", "note")


def test_time_must_not_fall_even_between_blocks_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 8)
    schema = Schema(fields=(Field(name="t", kind="time"), Field(name="c", kind="categorical")))

    def in_order(*parts: list[int]) -> bool:
        files = []
        for i, times in enumerate(parts):
            files.append(tmp_path / f"{i}.csv")
            files[-1].write_text("t,c\n" + "".join(f"{t},a\n" for t in times))
        return "time_order" not in {f.kind for f in check(files, schema).findings}

    assert in_order([1, 2, 2, 3, 9, 10, 11])
    assert not in_order([1, 2, 2, 3, 9, 10, 4])
    assert not in_order([1, 2, 2, 3], [2, 3])
    assert in_order([1, 2], [2, 3])


def test_many_tokens_are_estimated(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).permutation(3000)
    (tmp_path / "log.csv").write_text("y,c\n" + "".join(f"{i % 2},t{i}\nx,t\n1,t0\n" for i in tokens))
    schema = Schema(fields=(Field(name="y", kind="label"), Field(name="c", kind="categorical")))
    found = check(tmp_path / "log.csv", schema, keep=256).columns[1]
    assert found.distinct_error_fraction == pytest.approx(1 / 16, rel=0.1)
    assert found.distinct == pytest.approx(3000, rel=0.2)
    assert found.top_fraction == pytest.approx(0.5, abs=0.01)


def test_progress_tells_rows(all_kinds: Schema, write_log: Callable[..., Path], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    check(write_log(tmp_path / "log.csv", 50), all_kinds, rows=40, progress=lambda *said: told.append(said))
    assert told == [("read", 40, 40)]


def test_mistakes_are_errors(all_kinds: Schema, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no such file"):
        check(tmp_path / "absent", all_kinds)
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SchemaError, match="'y' is missing"):
        check(tmp_path / "log.csv", all_kinds)
    for wrong in ({"rows": 0}, {"dim": 0}):
        with pytest.raises(OptionError, match="1 or more"):
            check(tmp_path / "log.csv", all_kinds, **wrong)


def test_a_log_without_good_rows(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("y,c\n5,a\n4,b\n")
    schema = Schema(fields=(Field(name="y", kind="label"), Field(name="c", kind="categorical")))
    found = check(tmp_path / "log.csv", schema)
    assert (found.rows, found.bad_rows, found.positives_fraction) == (0, 2, None)
    assert [f.kind for f in found.findings] == ["label_values"]
