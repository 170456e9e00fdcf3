"""``pocketrec demo``: everything, small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketrec.cli import demo
from pocketrec.pipeline import load
from pocketrec.spec.result import read_results

Say = Callable[..., Any]
METHODS = ("full", "min_count", "hash_rows", "robe")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_TRAIN", {"epochs": 1, "batch_size": 512})
    monkeypatch.setattr(demo, "_MODEL", {"bottom": [4], "top": [4]})


def test_it_writes_everything_and_goes_on(pocketrec: Say, tmp_path: Path) -> None:
    words = ("demo", "--rows", 1000, "--out", "d", "-q")
    first = pocketrec(*words)
    assert first.code == 0
    out = tmp_path / "d"
    results = read_results(out / "results.jsonl")
    assert tuple(r.method for r in results) == METHODS
    assert all(r.promised_bytes == r.held_bytes == r.file_bytes for r in results)
    assert [r.budget for r in results] == ["1x", "16x", "16x", "16x"]
    page = (out / "report.html").read_text()
    assert all(method in page for method in METHODS)
    summary = first.out.splitlines()[-6:]
    assert summary[0].split() == ["method", "budget", "promised", "held", "file", "AUC", "log-loss", "rows/s"]
    assert [line.split()[0] for line in summary[1:5]] == list(METHODS)
    assert f"{results[1].held_bytes:,}" in summary[2]
    assert summary[5].startswith("best possible AUC 0.")
    for method in METHODS:
        assert load(out / method).sizing.serve_bytes > 0
    again = pocketrec(*words)
    assert again.out == first.out, "nothing is trained twice, so even the speeds are those of before"
    assert len(read_results(out / "results.jsonl")) == 4
    changed = pocketrec("demo", "--rows", 900, "--out", "d", "-q")
    assert changed.code == 0
    assert "writing 900 rows" in changed.err
    assert changed.out != first.out


def test_folders_that_are_not_runs_are_left_alone(pocketrec: Say, tmp_path: Path) -> None:
    (tmp_path / "d" / "full").mkdir(parents=True)
    (tmp_path / "d" / "full" / "thesis.txt").write_text("years of work")
    assert pocketrec("demo", "--rows", 600, "--out", "d", "-q").code == 0
    assert (tmp_path / "d" / "full" / "thesis.txt").read_text() == "years of work"
