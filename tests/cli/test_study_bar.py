"""How far a study is."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pocketrec.bench.cells import Cell
from pocketrec.bench.memory import Need
from pocketrec.bench.runner import Tally
from pocketrec.cli._study_bar import StudyBar
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.metrics import Metrics
from pocketrec.spec.result import Result

CELL = Cell(key=("", "robe", "10x", 0, "", "", -1), data="made", config=RunConfig(data=("x",), method="robe"))
METRICS = Metrics(rows=9, positives=4, auc=0.7512345, logloss=0.5, normalised_entropy=None, calibration=None)
LINE = Result(
    commit="c", data="made", model="dlrm", method="robe", budget="16x", budget_bytes=9, seed=0, validation=METRICS,
    epochs=1, held_bytes=20_236, seconds=3.14, tuned={"optimizer.lr": 0.1},
)  # fmt: skip


def said(line: Result, *, quiet: bool = False) -> str:
    out = io.StringIO()
    with StudyBar(quiet=quiet, console=Console(file=out, width=60)) as bar:
        bar.preparing("made")
        bar.started(CELL, Need(bytes=1, budget_bytes=1), Tally(done=0, running=1, total=3))
        bar.ended(CELL, line, Tally(done=1, running=0, total=3))
    return out.getvalue()


def test_a_line_per_cell_says_how_it_ended_and_how_many_are_left() -> None:
    assert said(LINE).splitlines() == [
        "data: made",
        "[1 done, 0 running, 2 left] made: robe 16x seed 0: validation AUC 0.75123, 1 epoch, 20,236 bytes, 3.1 s, "
        "optimizer.lr=0.1",
    ]


@pytest.mark.parametrize(("failed", "word"), [(True, "failed"), (False, "skipped")])
def test_a_cell_that_did_not_run_says_why(failed: bool, word: str) -> None:
    line = CELL.not_run("needs 9 [bytes]", {"commit": "c"}, failed=failed)
    assert said(line).endswith(f"seed 0: {word}: needs 9 [bytes]\n")


def test_quiet_is_quiet() -> None:
    assert said(LINE, quiet=True) == ""


def test_on_a_terminal_there_is_a_bar(tmp_path: Path) -> None:
    out = io.StringIO()
    with StudyBar(console=Console(file=out, width=80, force_terminal=True, force_interactive=True)) as bar:
        bar.ended(CELL, LINE, Tally(done=1, running=1, total=3))
    assert "1/3" in out.getvalue()
