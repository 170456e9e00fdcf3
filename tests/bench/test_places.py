"""Where data lies."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pocketrec.bench.places import check_md5, data_files, make_synthetic, synthetic_spec
from pocketrec.bench.study import StudyData
from pocketrec.spec.errors import BadFile, OptionError, PocketrecError


def test_files_lie_below_the_folder_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "set" / name).touch()
    data = StudyData(name="d", path="set", files=("a.csv", "b.csv"))
    below = [str(tmp_path / "set" / name) for name in ("a.csv", "b.csv")]
    assert data_files(data, tmp_path, tmp_path) == below
    assert data_files(data, tmp_path, tmp_path, own=("b.csv",)) == below[1:]
    assert data_files(StudyData(name="d", path=str(tmp_path / "set")), None, tmp_path) == [str(tmp_path / "set")]
    assert data_files(StudyData(name="d"), tmp_path / "set", tmp_path) == [str(tmp_path / "set")]


def test_what_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"d: the study's files lie in a folder .* --data FOLDER"):
        data_files(StudyData(name="d", path="set"), None, tmp_path)
    with pytest.raises(OptionError, match=r"d: there is no .*none\.csv.*--data FOLDER"):
        data_files(StudyData(name="d", path="none.csv"), tmp_path, tmp_path)


def test_a_synthetic_log_is_made_once_and_named_after_all_its_settings(tmp_path: Path) -> None:
    settings = {"preset": "criteo", "rows": 50, "cardinalities": [20, 10]}
    made = make_synthetic(settings, tmp_path)
    assert data_files(StudyData(name="d", synthetic=settings), None, tmp_path) == [str(made)]
    about = made.stat()
    assert make_synthetic(settings, tmp_path).stat().st_mtime_ns == about.st_mtime_ns
    assert make_synthetic({**settings, "seed": 1}, tmp_path) != made
    assert made.read_bytes()[:2] == b"\x1f\x8b", "packed, as its name says"
    assert sorted(p.name for p in made.parent.iterdir()) == sorted(
        [made.name, make_synthetic({**settings, "seed": 1}, tmp_path).name]
    ), "nothing half made is left"
    assert len(synthetic_spec(settings).schema.categorical) == 2


@pytest.mark.parametrize("settings", [{"preset": "critoe"}, {"preset": "criteo", "rosw": 5}, {"rows": 0}])
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(PocketrecError):
        data_files(StudyData(name="d", synthetic=settings), None, tmp_path)


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    file, cache = tmp_path / "train.csv", tmp_path / "cache"
    file.write_bytes(b"published")
    right = hashlib.md5(b"published").hexdigest()
    check_md5([str(file)], {"train.csv": right.upper()}, cache)
    check_md5([str(file)], {}, cache)
    with pytest.raises(BadFile, match=rf"train\.csv: its md5 is {right}, that of the published file is 00"):
        check_md5([str(file)], {"train.csv": "00"}, cache)


def test_a_sum_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    file, cache = tmp_path / "train.csv", tmp_path / "cache"
    file.write_bytes(b"published")
    right = hashlib.md5(b"published").hexdigest()
    check_md5([str(file)], {"train.csv": right}, cache)
    about = file.stat()
    file.write_bytes(b"otherwise")
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    check_md5([str(file)], {"train.csv": right}, cache)  # size and time say that it is the same
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    with pytest.raises(BadFile):
        check_md5([str(file)], {"train.csv": right}, cache)
