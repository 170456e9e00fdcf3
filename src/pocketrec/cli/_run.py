"""What commands that train share: who watches, what a result says, which source ran."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from pocketrec.metrics import Metrics
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.result import Result
from pocketrec.train.watch import Silent, TensorBoard, Watcher, Watchers

__all__ = ["commit", "describe", "identity", "watcher"]


def watcher(config: RunConfig, *, quiet: bool, tensorboard: Path | None) -> Watcher:
    """A progress bar unless quiet, and TensorBoard if asked for."""
    watchers: list[Watcher] = []
    if not quiet:
        from pocketrec.train.progress import ProgressBar

        watchers.append(ProgressBar(config.method))
    if tensorboard is not None:
        watchers.append(TensorBoard(tensorboard))
    return Watchers(watchers) if watchers else Silent()


def identity(config: RunConfig) -> dict[str, Any]:
    """Fields of a result that only the command line knows."""
    return {"commit": commit(), "command": shlex.join(["pocketrec", *sys.argv[1:]]), "data": _data_name(config)}


def commit() -> str:
    """Commit of the source that runs, with "+" when files had changed; the version for an installed package."""
    import pocketrec

    here = Path(pocketrec.__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return f"version {pocketrec.__version__}"
    return found.stdout.strip()


def describe(result: Result) -> str:
    """A result for people."""
    lines = [
        f"{result.method} ({result.storage}), budget {result.budget} = {_bytes(result.budget_bytes)}, "
        f"seed {result.seed}",
        f"  promised {_bytes(result.promised_bytes)}  held {_bytes(result.held_bytes)}  "
        f"file {_bytes(result.file_bytes)}",
        f"  vocabulary {_bytes(result.vocabulary_bytes)}  dense nets {_bytes(result.dense_bytes)}  "
        f"training {_bytes(result.train_bytes)}",
        f"  chosen epochs {result.epochs}  {result.rows_per_s or 0:,.0f} rows/s  {result.seconds or 0:.1f} s  "
        f"peak memory {_bytes(result.peak_rss_bytes)}",
    ]
    for name, metrics in (("validation", result.validation), ("test", result.test)):
        if metrics is not None:
            lines.append(f"  {name:10} {_metrics(metrics)}")
    for group, seen in result.by_frequency.items():
        auc = "-" if seen.auc is None else f"{seen.auc:.5f}"
        lines.append(f"  test {group:7} AUC {auc}  ({seen.rows:,} rows)")
    return "\n".join([*lines, *(f"  {note}" for note in result.notes)])


def _metrics(m: Metrics) -> str:
    auc = "-" if m.auc is None else f"{m.auc:.5f}"
    entropy = "-" if m.normalised_entropy is None else f"{m.normalised_entropy:.5f}"
    calibration = "-" if m.calibration is None else f"{m.calibration:.4f}"
    return f"AUC {auc}  log-loss {m.logloss:.5f}  normalised entropy {entropy}  calibration {calibration}"


def _bytes(amount: int | None) -> str:
    return "-" if amount is None else f"{amount:,} bytes"


def _data_name(config: RunConfig) -> str:
    names = ", ".join(Path(place).name for place in config.data)
    split = config.split
    parts = split.rows or (split.train, split.validation, split.test)
    return f"{names} ({split.by} {'/'.join(map(str, parts))})"
