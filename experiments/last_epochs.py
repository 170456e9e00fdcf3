"""How storages stand to float32 at the epoch that validation rows chose, and at the last one, by pairs of seeds.

    python experiments/last_epochs.py experiments/results/int4_qat.jsonl

All runs of the lines must have trained the same number of epochs, without an early stop.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from pocketrec.metrics import paired_interval
from pocketrec.spec.result import Result, read_results

FIGURES: dict[str, Callable[[Result], float | None]] = {
    "test AUC, chosen epoch": lambda run: run.test.auc if run.test else None,
    "validation AUC, last epoch": lambda run: run.curve[-1]["validation_auc"],
    "validation log-loss, last epoch": lambda run: run.curve[-1]["validation_logloss"],
    "training log-loss, last epoch": lambda run: run.curve[-1]["train_loss"],
}


Runs = dict[str, dict[int, Result]]  # by storage and seed


def main() -> None:
    """Read, and print a table for each data set."""
    by_data: dict[str, Runs] = defaultdict(lambda: defaultdict(dict))
    for path in sys.argv[1:]:
        for run in read_results(Path(path)):
            by_data[run.data][run.storage][run.seed] = run
    for data, runs in by_data.items():
        sys.stdout.write(f"{data}\n\n")
        _print(runs)
        sys.stdout.write("\n")


def _print(runs: Runs) -> None:
    base = runs.pop("float32")
    sys.stdout.write(f"| storage | {' | '.join(FIGURES)} |\n| {' | '.join(['---'] * (len(FIGURES) + 1))} |\n")
    plain = [f"{_mean([figure(run) for run in base.values()]):.5f}" for figure in FIGURES.values()]
    sys.stdout.write(f"| float32 | {' | '.join(plain)} |\n")
    for storage, own in runs.items():
        found = [_difference(figure, own, base) for figure in FIGURES.values()]
        sys.stdout.write(f"| {storage} | {' | '.join(found)} |\n")


def _mean(numbers: list[float | None]) -> float:
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known)


def _difference(figure: Callable[[Result], float | None], own: dict[int, Result], base: dict[int, Result]) -> str:
    pairs = [(figure(own[seed]), figure(base[seed])) for seed in sorted(own.keys() & base.keys())]
    interval = paired_interval([a - b for a, b in pairs if a is not None and b is not None])
    if interval is None:
        return "-"
    return f"{interval.mean:+.5f} ±{interval.half:.5f}"


if __name__ == "__main__":
    main()
