"""Which method when: how far every method of a study stands behind full tables, by budget and data set.

    python experiments/which_method.py experiments/results/real.jsonl [--page docs/which_method.md]

Markdown, to the standard output or to the page, in the place of what stands between its two marks: two tables per data
set. In the first a figure is the mean over seeds of the test AUC less that of full tables with the same
seed, in thousandths; behind it, from three seeds on, half of its 95 % interval. ``*``: the cell of its budget that
validation rows choose. A dash: the budget is below what the method needs. Methods stand in the order of the mean of
their ranks over the budgets; a method that a budget refuses is behind all others there. The second says what methods
cost at the second budget: medians over seeds, of times that were taken while another cell ran on the machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pocketrec.metrics import paired_interval
from pocketrec.spec.result import Result, read_results

BEGIN, END = "<!-- made by experiments/which_method.py -->", "<!-- to here -->"
Runs = dict[str, dict[str, dict[int, Result]]]  # by name, budget and seed


def main() -> None:
    """Read, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    found = tables(given.files)
    if given.page is None:
        sys.stdout.write(found)
        return
    before, _, rest = given.page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, behind = rest.partition(END)
    given.page.write_text(f"{before}{BEGIN}\n\n{found}\n{END}{behind}", encoding="utf-8")


def tables(files: Sequence[Path]) -> str:
    """The tables of the runs in some files of results."""
    by_data: dict[str, Runs] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for path in files:
        for run in read_results(path):
            if not run.skipped and not run.failed:
                by_data[run.data][_name(run)][run.budget][run.seed] = run
    known = {data: runs for data, runs in by_data.items() if "full" in runs and len(runs) > 1}
    return "\n".join(line for data, runs in known.items() for line in (*_table(data, runs), *_costs(runs)))


def _name(run: Result) -> str:
    return run.method if run.storage == "float32" else f"{run.method}, {run.storage}"


def _table(data: str, runs: Runs) -> list[str]:
    full = next(iter(runs.pop("full").values()))
    budgets = _budgets(runs)
    ranks = {budget: _ranks(runs, budget) for budget in budgets}
    chosen = {budget: max(runs, key=lambda name: _validation(runs[name].get(budget, {}))) for budget in budgets}
    said = f"Full tables: test AUC {statistics.fmean(_auc(run) for run in full.values()):.4f}, {len(full)} seeds."
    lines = [
        f"### {data}",
        "",
        said,
        "",
        f"| method | {' | '.join(map(_said, budgets))} | mean rank |",
        "| --- " * (len(budgets) + 2) + "|",
    ]
    for name in sorted(runs, key=lambda name: sum(ranks[budget][name] for budget in budgets)):
        cells = [_behind(runs[name].get(b, {}), full) + " *" * (chosen[b] == name) for b in budgets]
        mean = statistics.fmean(ranks[budget][name] for budget in budgets)
        lines.append(f"| {name} | {' | '.join(cells)} | {mean:.1f} |")
    return [*lines, ""]


def _costs(runs: Runs) -> list[str]:
    at = _budgets(runs)[:2][-1]
    lines = [
        f"What they cost at {_said(at)}, bytes of tables without nets:",
        "",
        "| method | serving | training | vocabulary | ms per batch of training | ns per looked-up id |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in sorted(runs):
        some = list(runs[name].get(at, {}).values())
        if some:
            known = f"{some[0].held_bytes:,} | {some[0].train_bytes:,} | {some[0].vocabulary_bytes:,}"
            ms, ns = (
                statistics.median(getattr(run, what) for run in some) for what in ("ms_per_batch", "ns_per_lookup")
            )
            lines.append(f"| {name} | {known} | {ms:.1f} | {ns:.0f} |")
    return [*lines, ""]


def _said(budget: str) -> str:
    return f"{int(budget):,} bytes" if budget.isdigit() else budget


def _budgets(runs: Runs) -> list[str]:
    """The greatest first."""
    most = {
        budget: run.budget_bytes or 0 for own in runs.values() for budget, some in own.items() for run in some.values()
    }
    return sorted(most, key=lambda budget: -most[budget])


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
