"""What the process of a cell does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pocketrec.bench import cell_process, jobs
from pocketrec.bench.cells import Cell, CellMaker
from pocketrec.bench.study import read_study
from pocketrec.data.dataset import Dataset
from pocketrec.spec.metrics import Progressive
from pocketrec.spec.result import Result


def job_of(cell: Cell, cache: Path, **changes: Any) -> dict[str, Any]:
    """As the process reads it."""
    said: dict[str, Any] = json.loads(json.dumps(jobs.job_of(cell, cache, {"commit": "3f1c"})))
    return said | changes


def outcome_of(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    cell_process.main(folder)
    found = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


@pytest.fixture
def maker(planted: Callable[..., Path], study_cache: Path) -> CellMaker:
    return CellMaker(study=read_study(planted()), folder=None, cache=study_cache)


def cell(maker: CellMaker, budget: str = "4x", trial: int | None = None) -> Cell:
    return maker.of_method(maker.study.data[0], maker.study.methods[0], budget, 0, trial=trial)


def prepared(maker: CellMaker) -> CellMaker:
    assert cell_process.do(job_of(cell(maker), maker.cache, prepare=True)) == {}
    return maker


def test_a_cell_leaves_a_line_with_all_its_figures(maker: CellMaker, tmp_path: Path) -> None:
    found = outcome_of(job_of(cell(prepared(maker)), maker.cache, tensorboard=str(tmp_path / "board")), tmp_path)
    line = Result.from_json_line(found["line"])
    assert line.promised_bytes == line.held_bytes == line.file_bytes
    empty = [name for name in ("train_bytes", "vocabulary_bytes", "dense_bytes", "epochs", "seconds", "rows_per_s",
                               "ms_per_batch", "ns_per_lookup", "peak_rss_bytes", "validation", "test", "progressive")
             if getattr(line, name) is None]  # fmt: skip
    assert empty == []
    assert line.test is not None
    assert None not in (line.test.auc, line.test.logloss, line.test.normalised_entropy, line.test.calibration)
    assert (line.commit, line.data) == ("3f1c", "made")
    assert any((tmp_path / "board").iterdir())
    assert line.progressive is not None
    assert all(len(f"{loss:g}") <= 7 for _, loss in line.progressive.curve)


def test_a_trial_reads_no_test_row(maker: CellMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[str] = set()
    original = Dataset.batches

    def told(self: Dataset, parts: Any, **how: Any) -> Any:
        read.update(parts)
        return original(self, parts, **how)

    prepared(maker)
    monkeypatch.setattr(Dataset, "batches", told)
    line = Result.from_json_line(outcome_of(job_of(cell(maker, trial=3), maker.cache), tmp_path)["line"])
    assert read == {"train", "validation"}
    assert line.test is None
    assert line.validation is not None
    outcome_of(job_of(cell(maker), maker.cache), tmp_path)
    assert "test" in read


def test_a_refusal_and_a_failure_are_outcomes(
    maker: CellMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = outcome_of(job_of(cell(prepared(maker), budget="100000x"), maker.cache), tmp_path)
    assert refused["refused"].startswith("min_count needs at least")
    assert refused["budget_bytes"] >= 0
    broken = job_of(cell(maker), maker.cache)
    broken["config"]["optimizer"]["lr"] = 1e38
    assert "ower the learning rates" in outcome_of(broken, tmp_path)["failed"]

    def full(*_: Any, **__: Any) -> None:
        raise MemoryError("of 9 bytes")

    monkeypatch.setattr(cell_process, "run", full)
    assert outcome_of(job_of(cell(maker), maker.cache), tmp_path) == {"failed": "out of memory: of 9 bytes"}


def test_files_that_are_not_the_published_ones_are_refused_when_prepared(maker: CellMaker, tmp_path: Path) -> None:
    name = Path(cell(prepared(maker)).config.data[0]).name
    found = outcome_of(job_of(cell(maker), maker.cache, prepare=True, md5={name: "00"}), tmp_path)
    assert "that of the published file is 00" in found["failed"]


def test_a_long_curve_is_drawn_with_twenty_points_of_the_same_mean() -> None:
    rows = (*tuple(range(100, 20100, 100))[:-1], 20050)
    curve = tuple((n, 0.7 - n / 1e5) for n in rows)
    told = Progressive(
        rows=20_050, logloss=0.6, normalised_entropy=0.9, calibration=1.0, curve=curve,
        rates=tuple(0.2 + n / 1e6 for n in rows),
    )  # fmt: skip
    short = cell_process._short(told)
    assert short is not None
    assert len(short.curve) == len(short.rates) == 20
    assert short.curve[-1][0] == 20_050

    def mean(points: tuple[tuple[int, float], ...]) -> float:
        return sum((n - m) * loss for (m, _), (n, loss) in pairwise([(0, 0.0), *points])) / points[-1][0]

    assert mean(short.curve) == pytest.approx(mean(curve), rel=1e-4)
    assert cell_process._short(replace(told, curve=curve[:3], rates=told.rates[:3])) == replace(
        told, curve=tuple((n, float(f"{loss:.5g}")) for n, loss in curve[:3]),
        rates=tuple(float(f"{rate:.5g}") for rate in told.rates[:3]),
    )  # fmt: skip
    assert cell_process._short(None) is None
