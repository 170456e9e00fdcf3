from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.readers import READERS, Place
from pocketrec.data.scan import scan
from pocketrec.spec.errors import BadFile, BadRow, SchemaError
from pocketrec.spec.schema import Field, Schema
from pocketrec.spec.schemas import SCHEMAS
from pocketrec.testing.reader_contract import ReaderContract

READER = READERS.get("kuairand")
SCHEMA = Schema(
    format="kuairand",
    fields=(
        Field(name="is_click", kind="label"),
        Field(name="time_ms", kind="time"),
        Field(name="hour", kind="categorical"),
        Field(name="freshness_days", kind="dense"),
        Field(name="fans_user_num_range", kind="categorical"),
        Field(name="onehot_feat4", kind="categorical"),
        Field(name="tag", kind="categorical", many=True, separator=","),
        Field(name="author_id", kind="categorical"),
    ),
)
LOG = ("user_id", "video_id", "date", "hourmin", "time_ms", "is_click", "long_view")


def row_of(n: int) -> dict[str, Any]:
    """A row of the log; user 4 and video 7 are not in the side files."""
    return dict(
        zip(LOG, (n % 5, n % 8, 20220425 + n % 5, 100 * (n % 24), 1_650_812_000_000 + n, n % 2, 1), strict=True)
    )


def sides(folder: Path) -> None:
    users = [f'{u},full_active,"[{u},1k)",{u}.0' if u else '0,new,"0",' for u in range(4)]
    (folder / "user_features_pure.csv").write_text(
        "\n".join(["user_id,user_active_degree,fans_user_num_range,onehot_feat4", *users])
    )
    videos = [f'{v},{900 + v},2022-04-{10 + v},"3{v},4",{v * 1000}.0' for v in range(7)]
    (folder / "video_features_basic_pure.csv").write_text(
        "\n".join(["video_id,author_id,upload_dt,tag,video_duration", *videos])
    )


def expected(n: int) -> tuple[Any, ...]:
    row = row_of(n)
    user, video = row["user_id"], row["video_id"]
    known = (None, None) if user == 4 else ("0", "") if user == 0 else (f"[{user},1k)", str(user))
    fresh = None if video == 7 else str(15 + n % 5 - video)
    shown = (None, None) if video == 7 else (f"3{video},4", str(900 + video))
    return (str(row["is_click"]), str(row["time_ms"]), str(n % 24), fresh, *known, *shown)


class TestKuaiRandCsvContract(ReaderContract):
    reader = READER
    schema = SCHEMA
    name = "log_standard_4_22_to_5_08_pure.csv"
    packings = ("", ".gz", ".zst")

    def rows(self, rows: int) -> list[tuple[Any, ...]]:
        return [expected(n) for n in range(rows)]

    def write(self, path: Path, rows: int) -> None:
        lines = [",".join(map(str, row_of(n).values())) for n in range(rows)]
        path.write_text("\n".join([",".join(LOG), *lines]) + "\n")
        sides(path.parent)

    def spoil(self, path: Path, row: int) -> bool:
        lines = path.read_text().splitlines(keepends=True)
        lines[row] = "1,2\n"
        path.write_text("".join(lines))
        return True


class TestKuaiRandParquetContract(TestKuaiRandCsvContract):
    name = "val.parquet"
    packings = ("",)
    tells_truncation = True

    def write(self, path: Path, rows: int) -> None:
        pq.write_table(pa.Table.from_pylist([row_of(n) for n in range(rows)]), path, row_group_size=50)
        sides(path.parent)

    def spoil(self, path: Path, row: int) -> bool:
        return False


def log(folder: Path, **changed: Any) -> Path:
    """One row of a log, with some values changed or, for None, columns left out."""
    values = {k: v for k, v in {**row_of(3), **changed}.items() if v is not None}
    path = folder / "log_standard_x.csv"
    path.write_text(f"{','.join(values)}\n{','.join(map(str, values.values()))}\n")
    return path


@pytest.mark.parametrize(
    ("name", "taken"),
    [("log_standard_4_08_to_4_21_1k.csv", True), ("log_random_4_22_to_5_08_pure.csv.gz", True), ("val.parquet", True),
     ("test.parquet", True), ("user_sequences.parquet", False), ("user_features_pure.csv", False),
     ("video_features_basic_pure.csv", False), ("video_features_statistic_pure.csv", False)],
)  # fmt: skip
def test_only_logs_are_taken_from_a_folder(name: str, taken: bool) -> None:
    assert READER.accepts(name) is taken


def test_what_the_log_has_itself_is_taken_from_there(tmp_path: Path) -> None:
    sides(tmp_path)
    path = log(tmp_path, hour="7", freshness_days="3", tag="1", author_id="2")
    (block,) = READER.blocks(path, SCHEMA, BadRows("fail"), Place())
    assert [block.table[name].to_pylist() for name in ("hour", "freshness_days", "tag", "author_id")] == [
        [b"7"], [b"3"], [b"1"], [b"2"],
    ]  # fmt: skip
    assert READER.companions(path, SCHEMA) == (tmp_path / "user_features_pure.csv",)
    assert READER.companions(log(tmp_path), SCHEMA) == (
        tmp_path / "user_features_pure.csv",
        tmp_path / "video_features_basic_pure.csv",
    )


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("hourmin", "2400", "not a time of day as HHMM: '2400'"), ("hourmin", "60", "not a time of day as HHMM"),
     ("hourmin", "noon", "not a time of day as HHMM"), ("date", "20221301", "not a day as YYYYMMDD: '20221301'"),
     ("date", "today", "not a day as YYYYMMDD"), ("date", "2022", "not a day as YYYYMMDD")],
)  # fmt: skip
def test_what_cannot_be_derived_is_a_bad_row(tmp_path: Path, column: str, value: str, said: str) -> None:
    sides(tmp_path)
    path = log(tmp_path, **{column: value})
    with pytest.raises(BadRow, match=f"log_standard_x.csv, row 1, column {column}: {said}"):
        list(READER.blocks(path, SCHEMA, BadRows("fail"), Place()))
    bad = BadRows("skip")
    assert sum(columns.n for columns in scan(path, SCHEMA, bad)) == 0
    assert sum(bad.counts.values()) == 1


def test_missing_times_give_missing_hours(tmp_path: Path) -> None:
    sides(tmp_path)
    (block,) = READER.blocks(log(tmp_path, hourmin="", date=""), SCHEMA, BadRows("fail"), Place())
    assert block.table.select(["hour", "freshness_days"]).to_pylist() == [{"hour": None, "freshness_days": None}]


def test_absent_columns_are_named_with_the_files_that_might_have_them(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"'freshness_days'\. .* no user_features\*\.csv and no video_features_basic"):
        list(READER.blocks(log(tmp_path), SCHEMA, BadRows("fail"), Place()))
    sides(tmp_path)
    with pytest.raises(
        SchemaError, match=r"no one column 'hour'\. Columns: .*user_features_pure\.csv: user_id, user_act"
    ):
        list(READER.blocks(log(tmp_path, hourmin=None), SCHEMA, BadRows("fail"), Place()))
    unlabelled = SCHEMA.unlabelled()
    path = log(tmp_path, is_click=None)
    assert READER.fitting(path, SCHEMA, [SCHEMA, unlabelled]) == unlabelled


def test_a_damaged_side_file_is_named(tmp_path: Path) -> None:
    sides(tmp_path)
    users = tmp_path / "user_features_pure.csv"
    (tmp_path / "user_features_pure.csv.gz").write_bytes(gzip.compress(users.read_bytes())[:20])
    users.unlink()
    with pytest.raises(BadFile, match=r"user_features_pure.csv.gz: truncated gzip"):
        list(READER.blocks(log(tmp_path), SCHEMA, BadRows("fail"), Place()))


@pytest.mark.parametrize(("name", "rows"), [("val.parquet", 94_784), ("test.parquet", 133_545)])
def test_the_real_logs_are_read_to_their_end(shared_data: Path, name: str, rows: int) -> None:
    schema = SCHEMAS.get("kuairand")
    read = 0
    for block in READER.blocks(shared_data / "kuairand_pure" / name, schema, BadRows("fail"), Place()):
        read += len(block.rows)
        missing = {c for c in block.table.column_names if block.table[c].null_count}
        assert missing <= {"video_duration"}, "every user and video is in the side files"
    assert read == rows


def test_derived_columns_are_those_of_the_real_parquet(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "kuairand_pure"
    real = pq.read_table(folder / "val.parquet").slice(50_000, 2_000)
    pq.write_table(real.drop_columns(["freshness_days", "author_id", "video_duration"]), tmp_path / "val.parquet")
    for name in ("user_features_pure.csv", "video_features_basic_pure.csv"):
        (tmp_path / name).symlink_to(folder / name)
    (block,) = READER.blocks(tmp_path / "val.parquet", SCHEMAS.get("kuairand"), BadRows("fail"), Place())
    assert block.table["freshness_days"].to_pylist() == real["freshness_days"].to_pylist()
    assert block.table["author_id"].to_pylist() == [str(author) for author in real["author_id"].to_pylist()]
    assert block.table["hour"].to_pylist() == [value // 100 for value in real["hourmin"].to_pylist()]
