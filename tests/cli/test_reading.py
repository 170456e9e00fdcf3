"""The bar while files are read."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pocketrec.cli._reading import ReadingBar
from pocketrec.pipeline import RunConfig
from pocketrec.pipeline.data import open_data


def drawn(terminal: bool) -> tuple[Console, io.StringIO]:
    paper = io.StringIO()
    return Console(file=paper, force_terminal=terminal, width=100, color_system=None), paper


def test_it_says_what_is_done_and_goes_away() -> None:
    console, paper = drawn(terminal=True)
    with ReadingBar(console=console) as reading:
        reading("read", 35_000, 0)
        reading("write", 3, 7)
        assert reading._bar is not None
        reading._bar.refresh()
        task = reading._bar.tasks[0]
        assert (task.description, task.fields["figures"], task.total) == ("writing the cache", "3 of 7", 7)
    assert reading._bar is None
    assert "35,000 rows" in paper.getvalue() or "3 of 7" in paper.getvalue()
    assert paper.getvalue().endswith(("\x1b[2K", "\x1b[?25h")), "the line is cleared and the cursor is back"


def test_it_leaves_when_training_begins() -> None:
    console, _ = drawn(terminal=True)
    reading = ReadingBar(console=console)
    reading("read", 1, 0)
    reading.begin(stage="train", epochs=1, batches=1, batch_size=1, epoch=0, batch=0)
    assert reading._bar is None
    reading.step(step=1, batch=1, loss=0.5)
    reading.epoch({})
    reading.end()


def test_it_leaves_when_reading_fails() -> None:
    console, _ = drawn(terminal=True)
    reading = ReadingBar(console=console)
    reading("read", 1, 0)
    with pytest.raises(RuntimeError, match="torn"), reading:
        raise RuntimeError("torn")
    assert reading._bar is None


@pytest.mark.parametrize(("quiet", "terminal"), [(True, True), (False, False)])
def test_nothing_is_drawn_when_quiet_or_into_a_file(quiet: bool, terminal: bool) -> None:
    console, paper = drawn(terminal=terminal)
    with ReadingBar(quiet=quiet, console=console) as reading:
        reading("read", 1, 0)
    assert paper.getvalue() == ""


def test_reading_a_log_tells_all_stages(log: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    open_data(RunConfig(data=(str(log),)), tmp_path, progress=lambda *what: told.append(what))
    assert ("read", 1500, 0) in told
    assert [stage for stage, *_ in told if stage == "rank"] == ["rank"] * 26
    assert told[-1] == ("write", 1, 1)


def test_a_search_takes_the_place_of_the_bar() -> None:
    console, _ = drawn(terminal=True)
    with ReadingBar(quiet=False, console=console) as reading:
        reading("read", 1, 0)
        reading.begin_scoring(stage="evolve", candidates=2, rows=4, done=0)
        reading.scored(step=2, auc=0.5, best=0.5)
        assert reading._bar is None
