"""Short trainings: each once, in processes, with a line each; the best stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pocketrec.bench.cells import Cell, CellMaker
from pocketrec.bench.jobs import Job, Outcome
from pocketrec.bench.probe import Candidate, Finding, Prober, Rung, mean_figures
from pocketrec.bench.study import read_study
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.errors import BadFile, OptionError
from pocketrec.spec.metrics import Metrics

RUNG = Rung(epochs=1, share=0.5)
HASHED = Candidate(label="hashed", values={"method": "hash_rows"})
FREQUENT = Candidate(label="frequent", values={"method": "min_count", "optimizer.lr": 0.05})


@pytest.fixture
def config(planted: Callable[..., Path], study_cache: Path) -> RunConfig:
    """A run on planted rows that are in the cache."""
    maker = CellMaker(study=read_study(planted()), folder=None, cache=study_cache)
    cell = maker.of_method(maker.study.data[0], maker.study.methods[0], "4x", 0)
    assert Job(cell, study_cache, {"commit": "c"}, prepare=True).wait().failed is None
    return cell.config


class Made:
    """A job that ends at once with a made-up figure."""

    begun: ClassVar[list[Cell]] = []
    figures: ClassVar[dict[str, float | None]] = {}

    def __init__(self, cell: Cell, cache: Path, identity: Any) -> None:
        self.cell, self.polls = cell, 0
        assert cell.trial is not None, "test rows would be read"
        Made.begun.append(cell)

    def outcome(self) -> Outcome | None:
        self.polls += 1
        if self.polls < 3:
            return None
        figure = Made.figures.get(self.cell.data)
        if figure is None:
            return Outcome(failed="it broke")
        found = Metrics(rows=9, positives=3, auc=figure, logloss=0.5, normalised_entropy=None, calibration=None)
        line = replace(
            self.cell.not_run("", {"commit": "c"}), skipped=None, validation=found, epochs=1, cpu_seconds=2.5,
            ns_per_lookup=30.0, held_bytes=400, train_bytes=900,
        )  # fmt: skip
        return Outcome(line=line.to_json_line())

    def kill(self) -> None:
        Made.begun.remove(self.cell)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Made.begun.clear()
    Made.figures.update(hashed=0.7, frequent=0.8)


def prober(config: RunConfig, cache: Path, **changes: Any) -> Prober:
    return Prober(config, "data 1", cache, start=Made, **changes)  # type: ignore[arg-type]


def test_findings_come_in_order_and_no_training_is_made_twice(
    config: RunConfig, study_cache: Path, tmp_path: Path
) -> None:
    lines = tmp_path / "probes.jsonl"
    asked = [(HASHED, RUNG, 0), (FREQUENT, RUNG, 0), (HASHED, RUNG, 1), (HASHED, RUNG, 0)]
    found = prober(config, study_cache, lines=lines, jobs=2).run("first", asked)
    assert [(f.label, f.seed, f.figure) for f in found] == [
        ("hashed", 0, 0.7), ("frequent", 0, 0.8), ("hashed", 1, 0.7), ("hashed", 0, 0.7)
    ]  # fmt: skip
    assert (found[0].cpu_seconds, found[0].held_bytes, found[0].ns_per_lookup) == (2.5, 400, 30.0)
    assert len(Made.begun) == len(lines.read_text().splitlines()) == 3
    made = Made.begun[1].config
    assert (made.method, made.optimizer.lr, made.train.epochs, made.train.share) == ("min_count", 0.05, 1, 0.5)
    again = prober(config, study_cache, lines=lines)
    assert again.run("first", asked) == found
    assert len(Made.begun) == 3
    assert len(again.run("longer", [(HASHED, Rung(epochs=2), 0)])) == 1
    assert len(Made.begun) == 4
    other = Prober(config, "data 2", study_cache, lines=lines, start=Made)  # type: ignore[arg-type]
    other.run("first", asked[:1])
    assert len(Made.begun) == 5, "lines of other data are not of this one"


def test_what_cannot_run_says_why_and_the_others_go_on(config: RunConfig, study_cache: Path) -> None:
    small = Candidate(label="small", values={"method": "full"})
    wrong = Candidate(label="wrong", values={"method": "hash_rows", "options": {"block": 3}})
    broken = Candidate(label="broken", values={"method": "robe"})
    found = prober(config, study_cache).run("all", [(one, RUNG, 0) for one in (small, wrong, broken, HASHED)])
    assert "full needs at least" in (found[0].why or "")
    assert "no option 'block'" in (found[1].why or "")
    assert found[2].why == "it broke"
    assert [f.figure for f in found] == [None, None, None, 0.7]
    tight = prober(config, study_cache, memory_bytes=1000).run("all", [(HASHED, RUNG, 0)])
    assert "1,000 are allowed" in (tight[0].why or "")
    with pytest.raises(OptionError, match="--jobs"):
        prober(config, study_cache, jobs=0)


def test_a_line_that_was_cut_short_is_trained_anew(config: RunConfig, study_cache: Path, tmp_path: Path) -> None:
    lines = tmp_path / "probes.jsonl"
    prober(config, study_cache, lines=lines).run("all", [(HASHED, RUNG, 0), (FREQUENT, RUNG, 0)])
    text = lines.read_text()
    lines.write_text(text[:-20])
    prober(config, study_cache, lines=lines).run("all", [(HASHED, RUNG, 0), (FREQUENT, RUNG, 0)])
    assert len(Made.begun) == 3
    assert lines.read_text() == text
    lines.write_text("{}\n")
    with pytest.raises(BadFile, match="line 1 is no finding"):
        prober(config, study_cache, lines=lines)


def test_an_interrupt_ends_what_runs(config: RunConfig, study_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(job: Made) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(Made, "outcome", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prober(config, study_cache).run("all", [(HASHED, RUNG, 0)])
    assert Made.begun == []


@pytest.mark.slow
def test_a_real_training_leaves_a_figure_and_its_processor_time(config: RunConfig, study_cache: Path) -> None:
    (found,) = Prober(config, "d", study_cache).run("all", [(HASHED, RUNG, 0)])
    assert found.why is None
    assert found.figure is not None
    assert 0 < found.figure < 1
    assert found.cpu_seconds > 0
    assert found.held_bytes is not None
    assert found.held_bytes <= 4 * 93 * 4 // 4 + 100
    assert Finding.from_json_line(found.to_json_line()) == found
    assert json.loads(found.asked)["data"] == "d"


def test_figures_are_means_of_the_longest_trainings() -> None:
    def one(label: str, epochs: int, seed: int, figure: float | None) -> Finding:
        return Finding(label=label, rung=Rung(epochs=epochs), seed=seed, asked=f"{label}{epochs}{seed}", figure=figure)

    found = [
        one("a", 1, 0, 0.9), one("a", 3, 0, 0.5), one("a", 3, 1, 0.7), one("b", 3, 0, 0.65), one("c", 1, 0, 0.8),
        one("d", 3, 0, 0.9), one("d", 3, 1, None),
    ]  # fmt: skip
    assert list(mean_figures(found).items()) == [("c", 0.8), ("b", 0.65), ("a", pytest.approx(0.6))]
