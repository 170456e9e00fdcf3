"""``pocketrec bench``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketrec.spec.result import read_results

Say = Callable[..., Any]
STUDY = """
seeds = [0]
methods = ["min_count", { name = "full", budgets = ["8x"] }]
budgets = ["4x"]
[base]
dim = 4
model = { bottom = [4], top = [4] }
train = { epochs = 1, batch_size = 64, matmul = "torch" }
[[data]]
name = "made"
synthetic = { preset = "criteo", rows = 600, cardinalities = [50, 30, 10] }
"""


@pytest.mark.slow
def test_it_runs_a_study_and_ends_with_the_reports_path(pocketrec: Say, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(STUDY, encoding="utf-8")
    said = pocketrec("bench", "s.toml", "--report", "page.html", "--cache", "cache", "--tensorboard", "board")
    assert said.code == 0, said.err
    assert said.out.splitlines() == ["results/s.jsonl: 2 cells, 1 refused, 0 failed", "report: page.html"]
    assert "<html" in (tmp_path / "page.html").read_text()
    ran, refused = sorted(read_results(tmp_path / "results" / "s.jsonl"), key=lambda r: r.skipped is not None)
    assert ran.command == "pocketrec bench s.toml"
    assert (ran.data, ran.method, ran.promised_bytes) == ("made", "min_count", ran.file_bytes)
    assert refused.skipped is not None
    assert refused.skipped.startswith("full needs at least")
    assert "0 left] made: min_count 4x seed 0: validation AUC" in said.err
    assert list((tmp_path / "board" / "made" / "min_count" / "4x" / "seed 0").iterdir())
    again = pocketrec("bench", "s.toml", "--cache", "cache", "-q", "--out", "results")
    assert (again.out, again.err) == ("results/s.jsonl: 2 cells, 1 refused, 0 failed\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.toml",), "none.toml: there is no such study"),
        (("bad.toml",), "bad.toml: sedes: there is no such key"),
        (("files.toml",), "Give it: --data FOLDER"),
        (("s.toml", "--memory", "half"), "Cannot read the budget 'half'"),
        (("s.toml", "--memory", "2x"), "--memory must be absolute bytes"),
        (("s.toml", "--jobs", "-3"), "--jobs must be 1 or more, got -3"),
        (("s.toml", "--report", "none/page.html"), "none"),
    ],
)
def test_mistakes_end_with_a_sentence_before_anything_runs(
    words: tuple[str, ...], message: str, pocketrec: Say, tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text(STUDY, encoding="utf-8")
    (tmp_path / "bad.toml").write_text("sedes = [0]\n" + STUDY, encoding="utf-8")
    (tmp_path / "files.toml").write_text('seeds = [0]\n[[cells]]\nmethod = "full"\n', encoding="utf-8")
    said = pocketrec("bench", *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert not (tmp_path / "results" / "s.jsonl").exists()


def test_the_command_of_a_line_names_no_place_of_this_machine(tmp_path: Path) -> None:
    from pocketrec.cli.bench import _command

    assert _command(Path("experiments/s.toml"), tmp_path) == "pocketrec bench experiments/s.toml --data ..."
    assert _command(tmp_path / "s.toml", None) == "pocketrec bench s.toml"
