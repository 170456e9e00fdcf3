"""``pocketrec report``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Say = Callable[..., Any]


def test_a_page_is_written_from_lines(pocketrec: Say, run_folder: Path, tmp_path: Path) -> None:
    lines = run_folder / "result.jsonl"
    said = pocketrec("report", lines, "--out", "page.html", "--title", "Tiny & small")
    assert (said.code, said.out) == (0, "page.html: 1 run\n")
    page = (tmp_path / "page.html").read_text()
    assert "Tiny &amp; small" in page
    assert "min_count" in page
    assert pocketrec("report", lines, lines).out == "report.html: 2 runs\n"


def test_a_folder_stands_for_its_run(pocketrec: Say, run_folder: Path, tmp_path: Path) -> None:
    assert pocketrec("report", run_folder, "--out", "page.html").out == "page.html: 1 run\n"
    (tmp_path / "other").mkdir()
    said = pocketrec("report", run_folder, "other", "--out", "none.html")
    assert said.code == 2
    assert "other is a folder without result.jsonl: no run has finished there" in said.err
    assert not (tmp_path / "none.html").exists()


def test_a_line_that_is_not_a_result_is_named(pocketrec: Say, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    said = pocketrec("report", "bad.jsonl")
    assert said.code == 2
    assert "bad.jsonl: line 1: This is not a result" in said.err
    (tmp_path / "empty.jsonl").touch()
    said = pocketrec("report", "empty.jsonl")
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "There are no results to report" in said.err
