from __future__ import annotations

from pathlib import Path

import numpy as np

from pocketrec.data.journal import Journal, write_durably


def filled(folder: Path) -> Journal:
    journal = Journal(folder)
    for i in range(3):
        journal.append({"a": np.arange(i + 1), "b": np.zeros((2, 0), dtype=np.int32)}, {"i": i})
    return journal


def test_chunks_come_back_as_they_were(tmp_path: Path) -> None:
    filled(tmp_path)
    again = Journal(tmp_path)
    assert again.chunks == 3
    assert [meta["i"] for meta in again.metas()] == [0, 1, 2]
    assert again.array(2, "a").tolist() == [0, 1, 2]
    assert again.array(1, "b").dtype == np.int32


def test_a_torn_chunk_and_what_follows_it_is_not_there(tmp_path: Path) -> None:
    filled(tmp_path)
    path = tmp_path / "chunk-0000001.npz"
    path.write_bytes(path.read_bytes()[:-30])
    journal = Journal(tmp_path)
    assert journal.chunks == 1
    journal.append({"a": np.array([9])}, {"i": 9})
    assert journal.array(1, "a").tolist() == [9]


def test_an_unfinished_chunk_is_not_there(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "chunk-0000003.tmp").write_bytes(b"PK half of it")
    assert Journal(tmp_path).chunks == 3


def test_pickles_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "chunk-0000000.npz", meta=np.array([{"a": 1}], dtype=object))
    assert Journal(tmp_path).chunks == 0


def test_write_durably_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_durably(tmp_path / "x.json", b"one")
    write_durably(tmp_path / "x.json", b"two")
    assert (tmp_path / "x.json").read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
