"""``pocketrec predict``."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.pipeline import load
from pocketrec.pipeline.predict import predict_files

Say = Callable[..., Any]


@pytest.fixture
def expected(run_folder: Path, log: Path) -> list[np.float32]:
    return np.concatenate(list(predict_files(load(run_folder), [log]))).tolist()


def scores(text: str) -> list[float]:
    return np.float32([float(line) for line in text.splitlines()]).tolist()


def test_one_score_per_row_on_standard_output(
    pocketrec: Say, run_folder: Path, log: Path, expected: list[float]
) -> None:
    said = pocketrec("predict", run_folder, log)
    assert (said.code, said.err) == (0, "")
    assert len(expected) == 1500
    assert scores(said.out) == expected
    assert scores(pocketrec("predict", run_folder / "model", log, log).out) == expected * 2


def test_labels_are_not_needed(
    pocketrec: Say, run_folder: Path, log: Path, expected: list[float], tmp_path: Path
) -> None:
    lines = gzip.decompress(log.read_bytes()).decode().splitlines(keepends=True)
    (tmp_path / "bare.tsv").write_text("".join(line.split("\t", 1)[1] for line in lines))
    assert scores(pocketrec("predict", run_folder, "bare.tsv").out) == expected


def test_a_file_is_written_whole_or_not_at_all(
    pocketrec: Say, run_folder: Path, log: Path, expected: list[float], tmp_path: Path
) -> None:
    out = tmp_path / "scores.txt"
    said = pocketrec("predict", run_folder, log, "--out", out)
    assert (said.code, said.out) == (0, "")
    assert scores(out.read_text()) == expected
    (tmp_path / "bad.tsv").write_bytes(gzip.decompress(log.read_bytes()) * 4 + b"1\t2\n")
    said = pocketrec("predict", run_folder, "bad.tsv", "--out", out)
    assert said.code == 2
    assert "bad.tsv, row 6001: 2 columns instead of 40" in said.err
    assert scores(out.read_text()) == expected, "what was there stays"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.tsv", "scores.txt"], "nothing half-written is left"


def test_a_folder_that_is_not_there_is_named(pocketrec: Say, run_folder: Path, log: Path) -> None:
    said = pocketrec("predict", run_folder, log, "--out", "nowhere/scores.txt")
    assert said.code == 2
    assert "nowhere" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("part", ["tables", "nets", "vocabulary", "manifest"])
def test_a_corrupt_artifact_ends_with_code_2(
    part: str, pocketrec: Say, run_folder: Path, log: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(run_folder / "model", tmp_path / "model")
    (file,) = folder.glob(f"{part}*.*")
    whole = file.read_bytes()
    middle = len(whole) - 40
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 2]) + whole[middle + 1 :])
    for command in ("predict", "evaluate"):
        said = pocketrec(command, folder, log)
        assert (said.code, said.out) == (2, "")
        assert file.name in said.err
        assert len(said.err.splitlines()) == 1
    file.write_bytes(whole[:-9])
    assert pocketrec("predict", folder, log).code == 2
