from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketrec.data.cache import CacheFiles
from pocketrec.data.journal import Journal
from pocketrec.data.read_pass import silent
from pocketrec.data.split import Split
from pocketrec.data.write_pass import WritePass
from pocketrec.spec.schema import DenseTransform, Field, Schema

SCHEMA = Schema(
    fields=(
        Field(name="d", kind="dense", transform=DenseTransform(standardise=True)),
        Field(name="a", kind="categorical"),
        Field(name="h", kind="categorical", ids="hash63"),
    )
)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Two chunks: numbers 1..6, token numbers 0 0 1 | 2 0 1 of table a, 0 1 0 | 1 1 2 of table h."""
    (tmp_path / "work").mkdir()
    out = Journal(tmp_path / "work")
    for first, a, h, new_a, new_h in (
        (1, [0, 0, 1], [0, 1, 0], [100, 101], [900, 901]),
        (4, [2, 0, 1], [1, 1, 2], [102], [902]),
    ):
        dense = np.arange(first, first + 3, dtype=np.float32)[:, None]
        arrays = {"dense": dense, "absent": np.zeros((1, 3), dtype=np.uint8)}
        ids = {"ids0": np.array(a, dtype=np.int32), "ids1": np.array(h, dtype=np.int32)}
        out.append({**arrays, **ids, "new0": np.array(new_a), "new1": np.array(new_h)}, {"rows": 3})
    return out


def written(folder: Path, journal: Journal, split: Split) -> CacheFiles:
    (folder / "cache").mkdir()
    files = CacheFiles(folder / "cache")
    WritePass(journal, files, SCHEMA, split, None).run({"column d: not a number": 2}, silent)
    return files


def test_rows_go_to_their_places_with_their_ids(tmp_path: Path, journal: Journal) -> None:
    files = written(tmp_path, journal, Split.rows(train=3, validation=2, test=0))
    # In training token 0 occurs twice and 1 once; 2 comes with validation; the last row is left out.
    assert files.map("ranks", (5, 1), np.int32)[:, 0].tolist() == [1, 1, 2, 3, 1]
    assert files.map("ids", (5, 1), np.int64)[:, 0].tolist() == [900, 901, 900, 901, 901]
    assert files.map("tokens-0", (4,), np.int64).tolist() == [0, 100, 101, 102]
    assert files.map("counts-0", (3, 4), np.int64).tolist() == [[0, 2, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    about = files.about()
    assert (about.part_rows, about.left_out) == ((3, 2, 0), 1)
    assert about.table_rows == {"a": (3, 4, 4), "h": (3, 3, 3)}
    assert about.skipped == {"column d: not a number": 2}
    assert about.positives is None


def test_numbers_are_fitted_on_training_rows(tmp_path: Path, journal: Journal) -> None:
    files = written(tmp_path, journal, Split.rows(train=3, validation=2, test=1))
    mean, std = files.about().fitted["d"]
    assert (mean, std) == (2.0, pytest.approx((2 / 3) ** 0.5))
    want = (np.arange(1, 7) - 2) / std
    np.testing.assert_allclose(files.map("dense", (6, 1), np.float32)[:, 0], want, rtol=1e-6)
    assert [part["d"]["count"] for part in files.about().dense] == [3, 2, 1]


def test_rows_may_be_scattered_by_a_split_by_hash(tmp_path: Path, journal: Journal) -> None:
    parts = np.array([2, 0, 1, 0, 3, 0], dtype=np.int8)
    for chunk in range(2):
        arrays = {name: journal.array(chunk, name) for name in ("dense", "absent", "ids0", "ids1", "new0", "new1")}
        journal.chunks = chunk
        journal.append({**arrays, "part": parts[chunk * 3 : chunk * 3 + 3]}, {"rows": 3})
    files = written(tmp_path, journal, Split(by="hash"))
    mean, std = files.about().fitted["d"]
    dense = files.map("dense", (5, 1), np.float32)[:, 0] * std + mean
    np.testing.assert_allclose(dense, [2, 4, 6, 3, 1], rtol=1e-6)
    assert files.about().part_rows == (3, 1, 1)
