"""`pocketrec fit` against the best of every method and setting of real.toml, as chosen on validation rows.

    python experiments/fit_against_grid.py fit --data ../shared/data [--only Criteo]
    pocketrec bench experiments/fit_against_grid.toml --data ../shared/data
    python experiments/fit_against_grid.py compare --data ../shared/data

The first runs `fit` at every budget of real.toml but 2x (Frappe: at all), keeps its findings in
results/fit_against_grid/, and writes fit_against_grid.toml: per data set and budget what fit chose, and the best cell
of results/real.jsonl by the mean over seeds on validation rows, both with seeds that no choice had seen. The second
trains these and reads the test rows. The third prints differences, and the processor time of fit and of the grid.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketrec.bench.cells import CellMaker, key_of
from pocketrec.bench.explain import explanation
from pocketrec.bench.fitting import Fit, FitSettings, fit_run
from pocketrec.bench.lines import standing
from pocketrec.bench.memory import usable_bytes
from pocketrec.bench.study import StudyData, read_study
from pocketrec.cli._probe_bar import ProbeBar
from pocketrec.cli._reading import ReadingBar
from pocketrec.metrics import paired_interval
from pocketrec.pipeline.data import default_cache
from pocketrec.spec.result import Result, read_results

HERE = Path(__file__).parent
STUDY = HERE / "fit_against_grid.toml"
SEEDS = (100, 101, 102, 103, 104)
# What a cell may say of a run; all else is the study's base.
KEYS = ("method", "options", "optimizer", "train")


def main() -> None:
    """Parse and do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fit", "compare"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", default="", help="data sets whose name has this in it")
    parser.add_argument("--effort", type=int, default=24)
    parser.add_argument("--cache", type=Path, default=default_cache())
    asked = parser.parse_args()
    if asked.what == "compare":
        sys.stdout.write("\n".join(compared(asked)) + "\n")
        return
    fit_all(asked)
    STUDY.write_text(study_text(), encoding="utf-8")


def fit_all(asked: argparse.Namespace) -> None:
    """Fit at every budget, and keep what it found."""
    study = read_study(HERE / "real.toml")
    maker = CellMaker(study=study, folder=asked.data, cache=asked.cache)
    entry = next(m for m in study.methods if m.name == "min_count")
    for data in study.data:
        if asked.only.lower() not in data.name.lower():
            continue
        for budget in fitted_budgets(data, study.budgets):
            folder = folder_of(data.name, str(budget))
            folder.mkdir(parents=True, exist_ok=True)
            config = maker.of_method(data, entry, budget, 0).config
            with ReadingBar() as reading, ProbeBar(reading) as bar:
                settings = FitSettings(
                    effort=asked.effort, out=folder, cache=asked.cache, memory_bytes=usable_bytes()
                )  # fmt: skip
                found = fit_run(config, settings, watching=bar, progress=reading)
            keep(found, data, str(budget), folder)


def fitted_budgets(data: StudyData, budgets: tuple[Any, ...]) -> tuple[Any, ...]:
    """All but the first of four."""
    own = data.budgets or budgets
    return own[1:] if len(own) > 3 else own


def folder_of(data: str, budget: str) -> Path:
    """Of the findings at one budget."""
    return HERE / "results" / "fit_against_grid" / f"{data.split()[0].strip(',')}_{budget}"


def keep(found: Fit, data: StudyData, budget: str, folder: Path) -> None:
    """What the study needs of it, and what people want to read."""
    values = {key: found.config.to_json()[key] for key in KEYS}
    answer = {"data": data.name, "budget": budget, "values": values, "certificate": found.certificate()}
    (folder / "answer.json").write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    (folder / "explanation.md").write_text(explanation(found), encoding="utf-8")


def study_text() -> str:
    """The study of all answers so far, and of the grid's best beside each."""
    real = (HERE / "real.toml").read_text(encoding="utf-8")
    head = real[real.index("[base]") : real.index("[tuning]")]  # base and data, as the grid had them
    lines = ["# Written by fit_against_grid.py; see there.", f"seeds = {list(SEEDS)}", "", head]
    for answer in answers():
        own = {"data": answer["data"], "budget": answer["budget"]}
        fitted = {**own, **flat(answer["values"])}
        best = best_of_grid(answer["data"], answer["budget"])
        for cell in (fitted, *([] if best is None else [{**own, **best}])):
            lines += ["[[cells]]", *(f"{json.dumps(key)} = {toml(value)}" for key, value in cell.items()), ""]
    return "\n".join(lines)


def answers() -> list[dict[str, Any]]:
    """Of all data sets and budgets that were fitted."""
    folder = HERE / "results" / "fit_against_grid"
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*/answer.json"))]


def grid() -> list[Result]:
    """Lines of real.toml."""
    return standing(read_results(HERE / "results" / "real.jsonl", growing=True))


def best_of_grid(data: str, budget: str) -> dict[str, Any] | None:
    """The cell with the best mean figure on validation rows, as a cell; None where none ran yet."""
    figures: dict[str, list[float]] = defaultdict(list)
    cells: dict[str, Result] = {}
    for line in grid():
        if line.data == data and line.budget == budget and line.validation is not None and line.validation.auc:
            options = {k: v for k, v in line.options.items() if k != "cell"}
            key = json.dumps([line.method, line.storage, options, line.tuned], sort_keys=True, default=str)
            figures[key].append(line.validation.auc)
            cells[key] = line
    if not figures:
        return None
    line = cells[max(figures, key=lambda key: statistics.mean(figures[key]))]
    options = {f"options.{k}": v for k, v in line.options.items() if k != "cell"}
    entry = next(one for one in read_study(HERE / "real.toml").methods if one.name == line.method)
    return {"method": line.method, **entry.values, **options, "options.storage": line.storage, **line.tuned}


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted key; options as one value, for those of a mixture are lists."""
    found = {"method": values["method"], "options": values["options"]}
    for key in ("optimizer", "train"):  # all, for the study's base has values of its own
        found |= {f"{key}.{k}": v for k, v in values[key].items() if v is not None}
    return found


def toml(value: Any) -> str:
    """A value in TOML's words."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def compared(asked: argparse.Namespace) -> list[str]:
    """Differences on the test rows, cell by cell, and what they took."""
    study = read_study(STUDY)
    maker = CellMaker(study=study, folder=asked.data, cache=asked.cache)
    lines = {key_of(r, named_data=True): r for r in standing(_lines("fit_against_grid"))}
    aucs: dict[tuple[str, str], list[dict[int, float]]] = defaultdict(list)  # of fit, then of the grid, by seed
    held: dict[tuple[str, str], int] = {}
    for number, cell in enumerate(study.cells):
        data = next(one for one in study.data if one.name == cell["data"])
        runs = [lines.get(maker.written(number, data, seed).key) for seed in SEEDS]
        done = [run for run in runs if run is not None and run.test is not None and run.test.auc is not None]
        place = (cell["data"], str(cell["budget"]))
        aucs[place].append({run.seed: run.test.auc for run in done if run.test and run.test.auc})
        held.setdefault(place, max((run.held_bytes or 0 for run in done), default=0))
    found = ["| data | budget | fit | grid | difference | bytes of fit |", "| --- | --- | --- | --- | --- | --- |"]
    differences = []
    for (name, budget), (fitted, best) in ((k, v) for k, v in aucs.items() if len(v) == 2 and all(v)):
        assert held[name, budget] <= budget_bytes(name, budget), "never above the budget"
        interval = paired_interval([fitted[seed] - best[seed] for seed in sorted(fitted.keys() & best.keys())])
        assert interval is not None, "two seeds or more"
        differences.append(interval.mean)
        found.append(
            f"| {name.split(',')[0]} | {budget} | {statistics.mean(fitted.values()):.5f} "
            f"| {statistics.mean(best.values()):.5f} | {interval.mean:+.5f} ±{interval.half:.5f} "
            f"| {held[name, budget]:,} |"
        )
    spent = sum(answer["certificate"]["cpu_seconds"] for answer in answers())
    whole = sum(r.cpu_seconds or r.seconds or 0.0 for path in ("real", "real_tuning") for r in _lines(path))
    found += [
        "", f"mean {statistics.mean(differences):+.5f}, below -.002: {sum(d < -0.002 for d in differences)} of "
        f"{len(differences)}; fit took {spent:,.0f} s of processor, the grid {whole:,.0f} s: {spent / whole:.1%}",
    ]  # fmt: skip
    return found


def budget_bytes(data: str, budget: str) -> int:
    """That fit was given."""
    return next(
        int(answer["certificate"]["budget_bytes"])
        for answer in answers() if (answer["data"], str(answer["budget"])) == (data, budget)
    )  # fmt: skip


def _lines(name: str) -> tuple[Result, ...]:
    return read_results(HERE / "results" / f"{name}.jsonl", growing=True)


if __name__ == "__main__":
    main()
