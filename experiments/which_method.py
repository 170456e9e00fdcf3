"""Which method when: how far every method of a study stands behind full tables, by budget and data set.

    python experiments/which_method.py experiments/results/real.jsonl

Markdown, a table per data set. A figure is the mean over seeds of the test AUC less that of full tables with the same
seed, in thousandths; behind it, from three seeds on, half of its 95 % interval. ``*``: the cell of its budget that
validation rows choose. A dash: the budget is below what the method needs. Methods stand in the order of the mean of
their ranks over the budgets that they all have; a method that a budget refuses is behind all others there.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from pathlib import Path

from pocketrec.metrics import paired_interval
from pocketrec.spec.result import Result, read_results

Runs = dict[str, dict[str, dict[int, Result]]]  # by name, budget and seed


def main() -> None:
    """Read and print."""
    by_data: dict[str, Runs] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for path in sys.argv[1:]:
        for run in read_results(Path(path)):
            if not run.skipped and not run.failed:
                by_data[run.data][_name(run)][run.budget][run.seed] = run
    sys.stdout.write("\n".join(line for data, runs in by_data.items() for line in _table(data, runs)))


def _name(run: Result) -> str:
    return run.method if run.storage == "float32" else f"{run.method}, {run.storage}"


def _table(data: str, runs: Runs) -> list[str]:
    full = next(iter(runs.pop("full").values()))
    budgets = list(dict.fromkeys(budget for own in runs.values() for budget in own))
    ranks = {budget: _ranks(runs, budget) for budget in budgets}
    chosen = {budget: max(runs, key=lambda name: _validation(runs[name].get(budget, {}))) for budget in budgets}
    said = f"Full tables: test AUC {statistics.fmean(_auc(run) for run in full.values()):.4f}, {len(full)} seeds."
    lines = [
        f"### {data}",
        "",
        said,
        "",
        f"| method | {' | '.join(budgets)} | mean rank |",
        "| --- " * (len(budgets) + 2) + "|",
    ]
    for name in sorted(runs, key=lambda name: sum(ranks[budget][name] for budget in budgets)):
        cells = [_behind(runs[name].get(b, {}), full) + " *" * (chosen[b] == name) for b in budgets]
        mean = statistics.fmean(ranks[budget][name] for budget in budgets)
        lines.append(f"| {name} | {' | '.join(cells)} | {mean:.1f} |")
    return [*lines, "", ""]


def _ranks(runs: Runs, budget: str) -> dict[str, int]:
    means = {name: statistics.fmean(map(_auc, own[budget].values())) for name, own in runs.items() if budget in own}
    order = sorted(means, key=lambda name: -means[name])
    return {name: order.index(name) + 1 if name in means else len(runs) for name in runs}


def _validation(runs: dict[int, Result]) -> float:
    found = [run.validation.auc for run in runs.values() if run.validation is not None and run.validation.auc]
    return statistics.fmean(found) if found else 0.0


def _auc(run: Result) -> float:
    assert run.test is not None
    assert run.test.auc is not None
    return run.test.auc


def _behind(runs: dict[int, Result], full: dict[int, Result]) -> str:
    differences = [1000 * (_auc(runs[seed]) - _auc(full[seed])) for seed in sorted(runs.keys() & full.keys())]
    if not differences:
        return "-"
    interval = paired_interval(differences)
    half = f" ±{interval.half:.1f}" if interval is not None and interval.count > 2 else ""
    return f"{statistics.fmean(differences):+.1f}{half}"


if __name__ == "__main__":
    main()
