"""Tables for docs/results.md from result lines.

    python experiments/table.py experiments/results/criteo_sample.jsonl
    python experiments/table.py LINES --pairs storage=float16 storage=float32

The first form prints mean test AUC, its spread over seeds, log-loss, epochs and bytes per method, storage and budget.
The second prints, for every method that ran in both storages, the paired difference over seeds with its 95 % interval.
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

Key = tuple[str, str, str]


def main() -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", type=Path)
    parser.add_argument("--pairs", nargs=2, metavar="storage=NAME")
    parser.add_argument("--on", choices=("test", "validation"), default="test")
    asked = parser.parse_args()
    runs = read_results(asked.lines)
    if asked.pairs:
        first, second = (text.partition("=")[2] for text in asked.pairs)
        lines = _pairs(runs, first, second)
    else:
        lines = _table(runs, asked.on)
    sys.stdout.write("\n".join(lines) + "\n")


def _auc(run: Result, on: str = "test") -> float:
    found = run.test if on == "test" else run.validation
    assert found is not None
    assert found.auc is not None
    return found.auc


def _table(runs: Sequence[Result], on: str) -> list[str]:
    groups: dict[tuple[str, str, str, str], list[Result]] = defaultdict(list)
    for run in runs:
        groups[run.method, run.storage, run.budget, str(run.options.get("cell", ""))].append(run)
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


def _pairs(runs: Sequence[Result], first: str, second: str) -> list[str]:
    by: dict[Key, dict[int, Result]] = defaultdict(dict)
    for run in runs:
        if not run.skipped:
            by[run.method, run.budget, run.storage][run.seed] = run
    lines = [
        f"| method | budget | seeds | {first} - {second}, mean AUC | 95 % interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (method, budget, storage), mine in by.items():
        theirs = by.get((method, budget, second), {}) if storage == first else {}
        shared = sorted(set(mine) & set(theirs))
        gap = paired_interval([_auc(mine[s]) - _auc(theirs[s]) for s in shared])
        if gap is not None:
            lines.append(f"| {method} | {budget} | {gap.count} | {gap.mean:+.6f} | {gap.low:+.6f} .. {gap.high:+.6f} |")
    return lines


if __name__ == "__main__":
    main()
