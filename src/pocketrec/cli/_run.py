"""What commands that train share: who watches, what a result says, which source ran."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from pocketrec.cli._output import complain, table
from pocketrec.cli._reading import ReadingBar
from pocketrec.metrics import Metrics
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.metrics import Progressive
from pocketrec.spec.result import Result
from pocketrec.train.watch import TensorBoard, Watcher, Watchers

__all__ = ["commit", "describe", "identity", "warn", "watcher"]


def watcher(config: RunConfig, reading: ReadingBar, *, quiet: bool, tensorboard: Path | None) -> Watcher:
    """A progress bar after that of reading unless quiet, and TensorBoard if asked for."""
    watchers: list[Watcher] = [reading]
    if not quiet:
        from pocketrec.train.progress import ProgressBar

        watchers.append(ProgressBar(config.method))
    if tensorboard is not None:
        watchers.append(TensorBoard(tensorboard))
    return Watchers(watchers)


def identity(config: RunConfig) -> dict[str, Any]:
    """Fields of a result that only the command line knows."""
    return {"commit": commit(), "command": shlex.join(["pocketrec", *sys.argv[1:]]), "data": _data_name(config)}


def commit() -> str:
    """Commit of the source that runs, with "+" when files had changed; the version for an installed package."""
    import pocketrec

    here = Path(pocketrec.__file__).parent
    try:
        # A package within somebody else's repository is not of that repository's commit.
        _git(here, "ls-files", "--error-unmatch", "__init__.py")
        return _git(here, "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return f"version {pocketrec.__version__}"


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def describe(result: Result) -> str:
    """A result for people."""
    lines = [
        f"{result.method} ({result.storage}), budget {result.budget} = {result.budget_bytes:,} bytes, seed "
        f"{result.seed}",
        _indented(table(("", "bytes"), _byte_rows(result))),
    ]
    scores = [(name, m) for name, m in (("validation", result.validation), ("test", result.test)) if m is not None]
    if scores:
        headings = ("", "AUC", "log-loss", "entropy", "calibration", "rows")
        groups = [
            (f"- {name}", _digits(g.auc, 5), "", "", "", f"{g.rows:,}") for name, g in result.by_frequency.items()
        ]
        lines.append(_indented(table(headings, [*(_scores(name, m) for name, m in scores), *groups])))
    lines += [f"  {told}" for name, m in scores if (told := _within_users(name, m))]
    if result.progressive is not None:
        lines.append(f"  {_progressive(result.progressive)}")
    took = "" if result.seconds is None else f", {result.seconds:.1f} s"
    speed = "" if result.rows_per_s is None else f", {result.rows_per_s:,.0f} rows/s"
    peak = "" if result.peak_rss_bytes is None else f", peak memory {result.peak_rss_bytes / 2**20:,.0f} MiB"
    lines.append(f"  {result.epochs} {'epoch' if result.epochs == 1 else 'epochs'} chosen{speed}{took}{peak}")
    return "\n".join([*lines, *(f"  {note}" for note in result.notes)])


def warn(result: Result) -> None:
    """What the numbers of the run warn of, a line each, on standard error."""
    for warning in result.warnings:
        complain(f"warning: {warning}")


def _within_users(name: str, m: Metrics) -> str:
    """A line about AUC within users, or "" where the schema names no user."""
    if m.gauc_users is None or m.gauc_rows_fraction is None:
        return ""
    return (
        f"{name} GAUC {_digits(m.gauc, 5)}, every user counting once {_digits(m.user_auc, 5)} ({m.gauc_users:,} users "
        f"with both classes, {100 * m.gauc_rows_fraction:.1f} % of rows)"
    )


def _progressive(told: Progressive) -> str:
    bfloat16 = ", nets in bfloat16" if told.precision == "bfloat16" else ""
    return (
        f"progressive log-loss {told.logloss:.5f}, entropy {_digits(told.normalised_entropy, 5)}, calibration "
        f"{_digits(told.calibration, 4)} ({told.rows:,} rows of the first epoch, each before it was learned from"
        f"{bfloat16})"
    )


def _byte_rows(result: Result) -> list[tuple[str, str]]:
    """The three figures of the tables, what else serving needs, their sum, and what training took."""
    parts = (result.held_bytes, result.vocabulary_bytes, result.dense_bytes)
    known = [part for part in parts if part is not None]
    rows = [
        ("tables, promised", result.promised_bytes),
        ("tables, held", result.held_bytes),
        ("tables, in the file", result.file_bytes),
        ("vocabulary", result.vocabulary_bytes),
        ("dense nets" + (", bfloat16" if result.serving_precision == "bfloat16" else ""), result.dense_bytes),
        ("all that serves", sum(known) if len(known) == len(parts) else None),
        ("tables while training", result.train_bytes),
    ]
    return [(name, "-" if amount is None else f"{amount:,}") for name, amount in rows]


def _scores(name: str, m: Metrics) -> tuple[str, ...]:
    return (
        name, _digits(m.auc, 5), _digits(m.logloss, 5), _digits(m.normalised_entropy, 5), _digits(m.calibration, 4),
        f"{m.rows:,}",
    )  # fmt: skip


def _digits(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _data_name(config: RunConfig) -> str:
    names = ", ".join(Path(place).name for place in config.data)
    split = config.split
    shares = ("last but two", 1, 1) if split.by == "files" else (split.train, split.validation, split.test)
    parts = split.rows or split.cuts or split.files or shares
    return f"{names} ({split.by} {'/'.join(map(str, parts))})"
