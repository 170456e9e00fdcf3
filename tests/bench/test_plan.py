"""What is to run next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pocketrec.bench.cells import Cell, CellMaker, Key
from pocketrec.bench.plan import Plan
from pocketrec.bench.study import read_study
from pocketrec.spec.errors import OptionError
from pocketrec.spec.metrics import Metrics
from pocketrec.spec.result import Result

STUDY = """
seeds = [0, 1]
budgets = ["2x", "10x"]
methods = ["min_count", "hash_rows", "robe", { name = "full", budgets = ["1x"] }]
final = { best = 1, seeds = [0, 1, 2] }
[base]
dim = 4
[[data]]
name = "made"
synthetic = { preset = "criteo", rows = 100 }
"""
TUNED = (
    STUDY
    + """
[tuning]
at = "100x"
trials = 2
[tuning.space]
"optimizer.lr" = { low = 0.01, high = 0.1, log = true }
"""
)
Score = Callable[[Cell], float | None]


class Study:
    """A plan and the lines that it has; every cell ends at once with a made-up figure."""

    def __init__(self, text: str, folder: Path, refused: Callable[[Cell], bool] = lambda cell: False) -> None:
        (folder / "s.toml").write_text(text, encoding="utf-8")
        self.maker = CellMaker(study=read_study(folder / "s.toml"), folder=folder, cache=folder)
        self.plan = Plan(self.maker, lambda cell: "too small" if refused(cell) else None)
        self.lines: dict[Key, Result] = {}
        self.trials: dict[Key, Result] = {}
        self.order: list[Cell] = []

    def ready(self) -> list[Cell]:
        return self.plan.ready(self.lines, self.trials)

    def end(self, cell: Cell, score: float | None) -> None:
        self.order.append(cell)
        line = cell.not_run("too small", {"commit": "c"})
        if score is not None:
            line = scored(line, score)
        (self.lines if cell.trial is None else self.trials)[cell.key] = line

    def run(self, score: Score) -> list[Cell]:
        """To the end, one cell after the other."""
        while waiting := self.ready():
            self.end(waiting[0], score(waiting[0]))
        return self.order


def scored(line: Result, score: float) -> Result:
    found = Metrics(rows=10, positives=5, auc=score, logloss=0.5, normalised_entropy=None, calibration=None)
    worse = Metrics(rows=10, positives=5, auc=1 - score, logloss=0.5, normalised_entropy=None, calibration=None)
    return replace(replace(line, skipped=None), validation=found, test=worse)


def told(cells: list[Cell]) -> list[tuple[str, str, int]]:
    return [(cell.config.method, str(cell.config.budget), cell.config.seed) for cell in cells]


def test_products_come_seed_by_seed_and_the_best_get_more(tmp_path: Path) -> None:
    figures = {"min_count": 0.7, "hash_rows": 0.8, "robe": 0.6, "full": 0.9}
    study = Study(STUDY, tmp_path)
    assert study.plan.count() == 2 * 7 + 2 + 1
    order = told(study.run(lambda cell: figures[cell.config.method]))
    ranked = [(m, b) for m in ("min_count", "hash_rows", "robe") for b in ("2x", "10x")]
    first = [(*which, seed) for seed in (0, 1) for which in [*ranked, ("full", "1x")]]
    assert order[:14] == first
    assert order[14:] == [("hash_rows", "2x", 2), ("hash_rows", "10x", 2), ("full", "1x", 2)]


def test_one_data_set_is_whole_before_the_next_begins(tmp_path: Path) -> None:
    text = TUNED.replace(
        "[tuning]\n", '[[data]]\nname = "more"\nsynthetic = { preset = "criteo", rows = 90 }\n[tuning]\n'
    )
    order = Study(text, tmp_path).run(lambda cell: 0.5)
    assert [cell.data for cell in order] == ["made"] * (len(order) // 2) + ["more"] * (len(order) // 2)


def test_the_choice_of_the_best_uses_no_test_figure(tmp_path: Path) -> None:
    # those on the test rows are the other way round, see scored()
    figures = {"min_count": 0.9, "hash_rows": 0.1, "robe": 0.5, "full": 0.9}
    order = told(Study(STUDY, tmp_path).run(lambda cell: figures[cell.config.method]))
    assert {method for method, _, seed in order if seed == 2} == {"min_count", "full"}


def test_further_seeds_wait_for_all_and_do_not_change_the_choice(tmp_path: Path) -> None:
    study = Study(STUDY, tmp_path)
    figures = {"min_count": 0.9, "hash_rows": 0.1, "robe": 0.5, "full": 0.9}
    for cell in study.ready()[:-1]:
        study.end(cell, figures[cell.config.method])
    assert len(study.ready()) == 1
    assert all(cell.config.seed < 2 for cell in study.ready())
    study.end(study.ready()[0], 0.9)
    further = study.ready()
    assert {cell.config.seed for cell in further} == {2}
    study.end(further[0], 0.0)  # a bad third seed of the best changes nothing
    assert told(study.ready()) == told(further[1:])


def test_a_method_that_is_refused_everywhere_gets_no_more_seeds(tmp_path: Path) -> None:
    text = STUDY.replace("best = 1", "best = 3")
    order = told(Study(text, tmp_path).run(lambda cell: None if cell.config.method == "robe" else 0.5))
    assert {method for method, _, seed in order if seed == 2} == {"min_count", "hash_rows", "full"}


def test_trials_come_first_and_their_best_stands_in_the_cells(tmp_path: Path) -> None:
    def score(cell: Cell) -> float:
        return cell.config.optimizer.lr if cell.trial is not None else 0.5

    study = Study(TUNED, tmp_path)
    assert study.plan.count() == 2 * 7 + 2 + 1 + 4 * 2
    order = study.run(score)
    assert [cell.trial for cell in order[:4]] == [0, 1, 0, 1]
    trials = [cell for cell in order if cell.trial is not None]
    assert len(trials) == 8
    assert {str(c.config.budget) for c in trials} == {"100x", "1x"}, "full has a budget of its own"
    assert all(c.config.seed == 0 for c in trials)
    for method in ("min_count", "hash_rows", "robe", "full"):
        best = max(c.config.optimizer.lr for c in trials if c.config.method == method)
        own = [c for c in order if c.trial is None and c.config.method == method]
        assert {c.config.optimizer.lr for c in own} == {best}
        assert {c.tuned["optimizer.lr"] for c in own} == {best}


def test_a_killed_study_goes_on_with_the_same_trials(tmp_path: Path) -> None:
    def score(cell: Cell) -> float:
        return cell.config.optimizer.lr

    whole = Study(TUNED, tmp_path)
    whole.run(score)
    resumed = Study(TUNED, tmp_path)
    for cell in whole.order[:3]:
        resumed.end(cell, score(cell))
    resumed.run(score)
    assert [c.key for c in resumed.order] == [c.key for c in whole.order]


def test_trials_of_another_space_do_not_count(tmp_path: Path) -> None:
    before = Study(TUNED, tmp_path)
    before.run(lambda cell: 0.5)
    changed = Study(TUNED.replace("low = 0.01, high = 0.1", "low = 0.2, high = 0.9"), tmp_path)
    changed.trials, changed.lines = dict(before.trials), dict(before.lines)
    order = changed.run(lambda cell: 0.5)
    assert len([cell for cell in order if cell.trial is not None]) == 8
    assert all(0.2 <= cell.tuned["optimizer.lr"] <= 0.9 for cell in order)
    assert len(changed.lines) == 2 * len(before.lines), "cells with other settings are other cells"


def test_a_failed_trial_counts_and_is_not_chosen(tmp_path: Path) -> None:
    order = Study(TUNED, tmp_path).run(lambda cell: None if cell.trial == 0 else 0.5)
    lr = next(c.tuned for c in order if c.trial == 1 and c.config.method == "robe")
    assert {tuple(c.tuned.items()) for c in order if c.trial is None and c.config.method == "robe"} == {
        tuple(lr.items())
    }


def test_tuning_goes_to_the_next_larger_budget_that_the_method_takes(tmp_path: Path) -> None:
    def refused(cell: Cell) -> bool:
        return cell.config.method == "robe" and cell.config.budget in ("100x", "10x")

    order = Study(TUNED, tmp_path, refused).run(lambda cell: 0.5)
    assert {str(c.config.budget) for c in order if c.trial is not None and c.config.method == "robe"} == {"2x"}
    nowhere = Study(TUNED, tmp_path, lambda cell: cell.config.method == "robe").run(lambda cell: 0.5)
    assert [c.trial for c in nowhere if c.config.method == "robe"] == [None] * len(
        [c for c in nowhere if c.config.method == "robe"]
    )


def test_written_cells_are_of_their_data(tmp_path: Path) -> None:
    text = (
        'seeds = [0]\n[[cells]]\nmethod = "full"\nbudget = "1x"\n[[cells]]\nmethod = "robe"\ndata = "b"\n'
        '[[data]]\nname = "a"\nsynthetic = { rows = 9 }\n[[data]]\nname = "b"\nsynthetic = { rows = 10 }\n'
    )
    order = Study(text, tmp_path).run(lambda cell: 0.5)
    assert [(c.data, c.config.method) for c in order] == [("a", "full"), ("b", "full"), ("b", "robe")]


def test_what_cannot_run_is_refused_before_anything_runs(tmp_path: Path) -> None:
    for old, new in (('"robe"', '"rbe"'), ("low = 0.01", "low = -0.5"), ('"10x"', '"10z"')):
        text = TUNED.replace(old, new).replace("log = true", "log = false")
        with pytest.raises(OptionError, match=r"s\.toml"):
            Study(text, tmp_path).plan.check()
    assert len(Study(TUNED, tmp_path).plan.check()) == 7
