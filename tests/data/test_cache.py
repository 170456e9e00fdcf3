from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pocketrec.data.cache import CacheAbout, CacheFiles
from pocketrec.data.split import Split
from pocketrec.spec.errors import BadFile
from pocketrec.spec.schema import criteo

ABOUT = CacheAbout(
    schema=criteo(dense=1, categorical=2),
    split=Split.rows(train=3, validation=1, test=1),
    part_rows=(3, 1, 1),
    left_out=2,
    skipped={"column C1: not a hexadecimal token": 4},
    fitted={"I1": (0.1, 1 / 3)},
    table_rows={"C1": (2, 2, 3), "C2": (1, 1, 1)},
    dense=({"I1": {"missing": 1}},) * 3,
    positives=(1, 0, 1),
)


def test_what_is_said_about_a_cache_survives_json(tmp_path: Path) -> None:
    files = CacheFiles(tmp_path)
    files.finish(ABOUT)
    assert files.about() == ABOUT
    assert CacheAbout.from_json(json.loads(json.dumps(ABOUT.to_json()))) == ABOUT


def test_arrays_are_mapped_and_read_only(tmp_path: Path) -> None:
    files = CacheFiles(tmp_path)
    files.create("ranks", (4, 2), np.int32)[:] = 7
    mapped = files.map("ranks", (4, 2), np.int32)
    assert isinstance(mapped, np.memmap)
    assert mapped.sum() == 56
    with pytest.raises(ValueError, match="read-only"):
        mapped[0, 0] = 1


def test_released_pages_are_not_lost(tmp_path: Path) -> None:
    files = CacheFiles(tmp_path)
    array = files.create("ranks", (5000, 2), np.int32)
    array[:] = 7
    files.release([array, np.zeros(3)])
    array[0] = 8
    assert array.sum() == 7 * 10_000 + 2
    assert files.map("ranks", (5000, 2), np.int32).sum() == 7 * 10_000 + 2


def test_empty_arrays_need_no_map(tmp_path: Path) -> None:
    files = CacheFiles(tmp_path)
    files.create("ids", (4, 0), np.int64)
    assert files.map("ids", (4, 0), np.int64).shape == (4, 0)


def test_a_file_that_is_absent_cut_or_other_is_refused_by_name(tmp_path: Path) -> None:
    files = CacheFiles(tmp_path)
    with pytest.raises(BadFile, match=r"label.npy: cannot be opened"):
        files.map("label", (4,), np.float32)
    files.save("label", np.ones(1000, dtype=np.float32))
    with pytest.raises(BadFile, match=r"holds float32 \(1000,\) in place of float32 \(4,\)"):
        files.map("label", (4,), np.float32)
    with pytest.raises(BadFile, match=r"in place of int32"):
        files.map("label", (1000,), np.int32)
    path = tmp_path / "label.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadFile, match="Remove the cache's folder"):
        files.map("label", (1000,), np.float32)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "schema": 3}', "\x00"])
def test_what_is_no_cache_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "cache.json").write_text(text)
    with pytest.raises(BadFile, match=r"cache.json: this is not a cache"):
        CacheFiles(tmp_path).about()


def test_a_cache_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache.json").write_text('{"version": 99}')
    with pytest.raises(BadFile, match="version 99, this pocketrec reads"):
        CacheFiles(tmp_path).about()


def test_a_folder_that_is_not_there_is_no_cache(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="not a cache"):
        CacheFiles(tmp_path / "absent").about()
