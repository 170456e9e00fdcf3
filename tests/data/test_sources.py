from __future__ import annotations

from pathlib import Path

import pytest

from pocketrec.data.sources import source_files
from pocketrec.spec.errors import BadFile, UnknownName
from pocketrec.spec.schema import Field, Schema, criteo

CSV = Schema(fields=(Field(name="a", kind="dense"),))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("x")


def test_a_file_and_a_list_are_taken_as_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "b", "a")
    assert source_files(tmp_path / "b", criteo()) == (tmp_path / "b",)
    assert source_files([tmp_path / "b", str(tmp_path / "a")], criteo()) == (tmp_path / "b", tmp_path / "a")


def test_terabyte_days_come_in_the_order_of_their_numbers_and_alone(tmp_path: Path) -> None:
    touch(tmp_path, "README.txt", ".hidden.tsv", *(f"day_{i}.gz" for i in range(24)))
    assert [f.name for f in source_files(tmp_path, criteo())] == [f"day_{i}.gz" for i in range(24)]


def test_parts_come_in_natural_order_and_other_files_stay_out(tmp_path: Path) -> None:
    touch(tmp_path, "part-10.csv", "part-9.csv", "notes.md", "_SUCCESS", "log.csv.gz")
    (tmp_path / "deeper.csv").mkdir()
    assert [f.name for f in source_files(tmp_path, CSV)] == ["log.csv.gz", "part-9.csv", "part-10.csv"]


def test_the_same_part_packed_and_unpacked_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "day_1", "day_1.gz")
    with pytest.raises(BadFile, match=r"day_1 and day_1.gz, the same part twice"):
        source_files(tmp_path, criteo())
    (tmp_path / "day_1").unlink()
    touch(tmp_path, "day_1.zst")
    with pytest.raises(BadFile, match=r"day_1.gz and day_1.zst, the same part twice"):
        source_files(tmp_path, criteo())


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no such file"):
        source_files(tmp_path / "absent.tsv", criteo())
    with pytest.raises(BadFile, match="no files that the reader 'csv' accepts"):
        source_files(tmp_path, CSV)
    with pytest.raises(BadFile, match="no files"):
        source_files([], CSV)


def test_an_unknown_format_offers_the_readers(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"No reader called 'cvs'. Did you mean 'csv'"):
        source_files(tmp_path, Schema(fields=CSV.fields, format="cvs"))
