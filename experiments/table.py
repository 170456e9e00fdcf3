"""Tables for docs/results.md from result lines.

    python experiments/table.py experiments/results/criteo_sample.jsonl
    python experiments/table.py LINES --pairs storage=float16 storage=float32
    python experiments/table.py LINES --pairs options.weight_hashes=1 options.weight_hashes=0
    python experiments/table.py LINES --against coded
    python experiments/table.py LINES --against coded --across train.relearn

The first form prints mean test AUC, its spread over seeds, log-loss, epochs and bytes per method, storage and budget
(and model, where there are several). The second prints, for every method that ran in both storages, the paired
difference over seeds with its 95 % interval. So does the third for cells of the study that differ in that value alone.
The fourth prints, for every budget, the paired differences of one method from all other cells (its own with other
options too, if it ran without any), by setting (such as a split of rows) and, in the last line of each, over all
settings: their mean, its standard error, and in how many of the pairs it was ahead. A cell of LMA stands against those
of its budget, and against those whose budget is what its signatures leave for the array. With ``--across`` a word of
cells tells methods apart, not settings, so that cells with different values of it are compared.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from pocketrec.metrics import paired_interval
from pocketrec.spec.result import Result, read_results

Key = tuple[str, ...]


def main() -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", type=Path, nargs="+")
    parser.add_argument("--pairs", nargs=2, metavar="NAME=VALUE")
    parser.add_argument("--against", metavar="METHOD")
    parser.add_argument("--across", metavar="NAME")
    parser.add_argument("--on", choices=("test", "validation"), default="test")
    asked = parser.parse_args()
    runs = [run for path in asked.lines for run in read_results(path)]
    if asked.against:
        lines = _against(runs, asked.against, asked.across)
    else:
        lines = _pairs(runs, *asked.pairs) if asked.pairs else _table(runs, asked.on)
    sys.stdout.write("\n".join(lines) + "\n")


def _auc(run: Result, on: str = "test") -> float:
    found = run.test if on == "test" else run.validation
    assert found is not None
    assert found.auc is not None
    return found.auc


def _table(runs: Sequence[Result], on: str) -> list[str]:
    groups: dict[tuple[str, str, str, str], list[Result]] = defaultdict(list)
    several, settings = len({run.model for run in runs}) > 1, len({_setting(run) for run in runs}) > 1
    for run in runs:
        method = f"{run.method} in {run.model}" if several else run.method
        method += f" ({_own(run)})" * bool(_own(run)) + f": {_setting(run)}" * settings
        groups[method, run.storage, run.budget, _cell(run) + run.data].append(run)
    lines = [
        f"| method | storage | budget | promised = held bytes | vocabulary | {on} AUC | sd | log-loss | epochs | seeds "
        "| commit |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (method, storage, budget, _), found in groups.items():
        ran = [r for r in found if not r.skipped]
        if not ran:
            lines.append(f"| {method} | {storage} | {budget} | refused: {found[0].skipped} ||||||||")
            continue
        aucs = [_auc(r, on) for r in ran]
        losses = [m.logloss for r in ran for m in [r.test if on == "test" else r.validation] if m]
        spread = f"{statistics.stdev(aucs):.5f}" if len(aucs) > 1 else "-"
        epochs = "/".join(str(r.epochs) for r in ran)
        commits = ", ".join(sorted({r.commit[:12] for r in ran}))
        assert all(r.promised_bytes == r.held_bytes for r in ran)
        lines.append(
            f"| {method} | {storage} | {budget} | {ran[0].promised_bytes:,} | {ran[0].vocabulary_bytes:,} "
            f"| {statistics.mean(aucs):.5f} | {spread} | {statistics.mean(losses):.5f} | {epochs} | {len(ran)} "
            f"| {commits} |"
        )
    return lines


def _cell(run: Result) -> str:
    return str(run.options.get("cell", ""))


def _words(run: Result) -> list[str]:
    """What the cell says, "key=value" each; lists hold blanks."""
    return re.split(r" (?=[\w.]+=)", _cell(run)) if _cell(run) else []


def _setting(run: Result, across: str | None = None) -> str:
    """The data, and what the cell says but of the method."""
    return " ".join([run.data, *(word for word in _words(run) if not _of_method(word, across))])


def _own(run: Result, across: str | None = None) -> str:
    """What the cell says of the method but for its storage, which has a column."""
    words = [word.removeprefix("options.") for word in _words(run) if _of_method(word, across)]
    return " ".join(word for word in words if not word.startswith("storage="))


def _of_method(word: str, across: str | None) -> bool:
    return word.startswith("options.") or word.split("=")[0] == across


def _against(runs: Sequence[Result], method: str, across: str | None) -> list[str]:
    """Paired differences of one method (of each of its cells) from every other cell."""
    aucs: dict[tuple[str, str, str, str], dict[tuple[str, int], float]] = defaultdict(dict)
    budgets = {run.budget for run in runs}
    for run in runs:
        if not run.skipped:
            aucs[run.budget, run.method, _own(run, across), run.storage][_setting(run, across), run.seed] = _auc(run)
    lines = [
        "| budget | of | less | setting | pairs | mean difference | standard error | ahead |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (budget, mine, own, storage), ours in aucs.items():
        array = _array(mine, budget, own, budgets)
        for (other_budget, other, *how), theirs in aucs.items():
            same = other == method and (own or not how[0])
            if mine != method or same or (other_budget not in (budget, array) and other != "full"):
                continue
            shared = sorted(set(ours) & set(theirs))
            said = f"{budget}, array {array}" if other_budget == array != budget else budget
            names = f"{said} | {_named(mine, own, storage)} | {_named(other, *how)}"
            settings = list(dict.fromkeys(setting for setting, _ in shared))
            gaps = {s: [ours[k] - theirs[k] for k in shared if k[0] == s] for s in settings}
            rows = list(gaps.items())
            if len(gaps) > 1:
                rows.append(("all", [gap for found in gaps.values() for gap in found]))
            for setting, found in rows:
                error = f"{statistics.stdev(found) / len(found) ** 0.5:.5f}" if len(found) > 1 else "-"
                ahead = sum(gap > 0 for gap in found)
                lines.append(
                    f"| {names} | {setting} | {len(found)} | {statistics.mean(found):+.5f} | {error} "
                    f"| {ahead} of {len(found)} |"
                )
    return lines


def _array(method: str, budget: str, own: str, budgets: Collection[str]) -> str:
    """The budget; of LMA that of another cell which is what its signatures leave, within a thousandth, if one is."""
    share = dict(word.split("=", 1) for word in own.split() if "=" in word).get("share")
    if method != "lma" or share is None:
        return budget
    left = float(budget) * (1 - float(share))
    near = [other for other in budgets if other.isdigit() and abs(int(other) - left) < left / 1000]
    return near[0] if near else budget


def _named(method: str, own: str, storage: str) -> str:
    return f"{method}{f' ({own})' if own else ''} {storage}"


def _key(run: Result, choice: str) -> Key:
    """What two runs that are compared have in common, but for the seed."""
    if choice.startswith("storage="):
        return run.method, run.budget
    cell = " ".join(word for word in _cell(run).split(" ") if word != choice)
    return run.method, run.storage, run.budget, cell


def _chosen(run: Result, choice: str) -> bool:
    return f"storage={run.storage}" == choice or choice in _cell(run).split(" ")


def _pairs(runs: Sequence[Result], first: str, second: str) -> list[str]:
    by: dict[str, dict[Key, dict[int, Result]]] = {choice: defaultdict(dict) for choice in (first, second)}
    for choice, found in by.items():
        for run in runs:
            if not run.skipped and _chosen(run, choice):
                found[_key(run, choice)][run.seed] = run
    names = [choice.removeprefix("storage=") for choice in (first, second)]
    lines = [
        f"| method | budget | seeds | {names[0]} - {names[1]}, mean AUC | 95 % interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    for key, mine in by[first].items():
        theirs = by[second].get(key, {})
        shared = sorted(set(mine) & set(theirs))
        gap = paired_interval([_auc(mine[s]) - _auc(theirs[s]) for s in shared])
        if gap is not None:
            said = next(iter(mine.values()))
            method = said.method + f" ({key[3]})" * (len(key) > 3 and bool(key[3]))
            lines.append(
                f"| {method} | {said.budget} | {gap.count} | {gap.mean:+.6f} | {gap.low:+.6f} .. {gap.high:+.6f} |"
            )
    return lines


if __name__ == "__main__":
    main()
