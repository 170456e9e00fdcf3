"""``pocketrec evaluate``."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketrec.spec.result import read_results

Say = Callable[..., Any]


@pytest.fixture
def test_rows(log: Path, tmp_path: Path) -> Path:
    """The rows that the run was judged on."""
    lines = gzip.decompress(log.read_bytes()).decode().splitlines(keepends=True)
    (tmp_path / "test.tsv").write_text("".join(lines[1350:]))
    return tmp_path / "test.tsv"


def test_metrics_of_the_test_rows_are_those_of_the_run(pocketrec: Say, run_folder: Path, test_rows: Path) -> None:
    found = pocketrec("evaluate", run_folder, test_rows, "--json").json()
    (result,) = read_results(run_folder / "result.jsonl")
    assert result.test is not None
    assert (found["rows"], found["auc"], found["logloss"]) == (150, result.test.auc, result.test.logloss)
    assert found["skipped_rows"] == {}
    said = pocketrec("evaluate", run_folder / "model", test_rows).out
    assert f"auc                       {result.test.auc:.6f}\n" in said
    assert "rows                           150\n" in said


def test_auc_within_users_is_told_where_the_schema_names_one(pocketrec: Say, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_text(
        "user: who\nfields:\n"
        "  - {name: click, kind: label}\n  - {name: who, kind: categorical}\n  - {name: what, kind: categorical}\n"
    )
    rows = [f"{(k * k) % 3 == 0:d},u{k % 7},i{k % 5}" for k in range(300)]
    (tmp_path / "log.csv").write_text("\n".join(["click,who,what", *rows]))
    words = ("--dim", 4, "--epochs", 1, "--set", "model.top=[4]", "-b", "1x", "-m", "full", "--cache", cache, "-q")
    said = pocketrec("train", "log.csv", "--schema", "schema.yaml", "--out", "run", *words)
    assert "test GAUC 0." in said.out
    found = pocketrec("evaluate", "run", "log.csv", "--json").json()
    assert (found["gauc_users"], found["gauc_rows_fraction"]) == (7, 1.0)
    assert 0 < found["gauc"] < 1
    said = pocketrec("evaluate", "run", "log.csv")
    assert f"gauc                      {found['gauc']:.6f}\n" in said.out
    assert "gauc_users                       7\n" in said.out
    assert "gauc_rows_fraction        1.000000\n" in said.out


def test_one_class_has_no_auc(pocketrec: Say, run_folder: Path, test_rows: Path) -> None:
    lines = [line for line in test_rows.read_text().splitlines(keepends=True) if line.startswith("0")]
    test_rows.write_text("".join(lines))
    assert pocketrec("evaluate", run_folder, test_rows, "--json").json()["auc"] is None
    assert "auc                              -\n" in pocketrec("evaluate", run_folder, test_rows).out


def test_bad_rows_fail_or_are_counted(pocketrec: Say, run_folder: Path, test_rows: Path) -> None:
    with test_rows.open("a") as file:
        file.write("1\t2\n")
    said = pocketrec("evaluate", run_folder, test_rows)
    assert (said.code, said.out) == (2, "")
    assert "test.tsv, row 151: 2 columns instead of 40" in said.err
    said = pocketrec("evaluate", run_folder, test_rows, "--bad-rows", "skip")
    assert said.code == 0
    assert "skipped 1: 2 columns instead of 40" in said.err
    assert pocketrec("evaluate", run_folder, test_rows, "--bad-rows", "maybe").code == 2


def test_labels_are_needed(pocketrec: Say, run_folder: Path, test_rows: Path) -> None:
    lines = [line.split("\t", 1)[1] for line in test_rows.read_text().splitlines(keepends=True)]
    test_rows.write_text("".join(lines))
    said = pocketrec("evaluate", run_folder, test_rows)
    assert said.code == 2
    assert "there must be one column 'label'" in said.err
