"""The main job, small: a synthetic log, four methods at 16x, promised against held bytes, a report.

The same command again goes on where it stopped, and only prints when all is there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketrec.cli._options import Quiet
from pocketrec.cli._output import complain, say, table
from pocketrec.spec.writing import writing

if TYPE_CHECKING:
    from pocketrec.spec.result import Result

__all__ = ["command"]

_METHODS = (("full", "1x"), ("min_count", "16x"), ("hash_rows", "16x"), ("robe", "16x"))
_MODEL = {"bottom": [64], "top": [128, 64]}
_TRAIN = {"epochs": 3, "batch_size": 512}
_HEADINGS = ("method", "budget", "promised", "held", "file", "AUC", "log-loss", "rows/s")


def command(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything that is written.")] = Path("demo-out"),
    rows: Annotated[int, typer.Option(help="Rows of the log.")] = 200_000,
    seed: Annotated[int, typer.Option(help="Of the log and the runs.")] = 0,
    quiet: Quiet = False,
) -> None:
    """See the head of this file."""
    from pocketrec.bench.report import write_report
    from pocketrec.cli._run import describe
    from pocketrec.spec.result import append_result

    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    lines, page = out / "results.jsonl", out / "report.html"
    log, oracle_auc = _log(out, rows, seed)
    lines.unlink(missing_ok=True)
    results = []
    for method, budget in _METHODS:
        result = _run(log, out, method, budget, seed, quiet=quiet)
        append_result(lines, result)
        results.append(result)
        say(describe(result))
    write_report(results, page, title="pocketrec demo: four methods on a synthetic log")
    say()
    say(table(_HEADINGS, [_row(r) for r in results]))
    best = "-" if oracle_auc is None else f"{oracle_auc:.4f}"
    say(f"best possible AUC {best}    report: {page}    lines: {lines}")


def _log(out: Path, rows: int, seed: int) -> tuple[Path, float | None]:
    """The log and the oracle's AUC; written unless the same one is there. Runs on another log are removed."""
    from pocketrec.data.synthetic import SyntheticSpec, write_synthetic

    log, about = out / "clicks.tsv.gz", out / "clicks.json"
    wanted: dict[str, Any] = {"rows": rows, "seed": seed}
    if log.exists() and about.exists():
        found = json.loads(about.read_text(encoding="utf-8"))
        if {key: found.get(key) for key in wanted} == wanted:
            return log, found["oracle_auc"]
    for method, _ in _METHODS:
        if (out / method / "run.json").exists():
            shutil.rmtree(out / method)
    about.unlink(missing_ok=True)
    complain(f"writing {rows:,} rows to {log} ...")
    report = write_synthetic(log, SyntheticSpec(rows=rows, seed=seed))
    complain(str(report))
    about.write_text(json.dumps({**wanted, "oracle_auc": report.oracle_auc}) + "\n", encoding="utf-8")
    return log, report.oracle_auc


def _run(log: Path, out: Path, method: str, budget: str, seed: int, *, quiet: bool) -> Result:
    from pocketrec.cli._reading import ReadingBar
    from pocketrec.cli._run import identity, watcher
    from pocketrec.pipeline.config import RunConfig
    from pocketrec.pipeline.train import run

    config = RunConfig.from_json(
        {"data": [str(log)], "method": method, "budget": budget, "seed": seed, "model": _MODEL, "train": _TRAIN}
    )
    with ReadingBar(quiet=quiet) as reading:
        return run(
            config, out=out / method, cache=out / "cache", identity=identity(config), progress=reading,
            watcher=watcher(config, reading, quiet=quiet, tensorboard=None),
        ).result  # fmt: skip


def _row(r: Result) -> list[str]:
    amounts = [f"{b:,}" if b is not None else "-" for b in (r.promised_bytes, r.held_bytes, r.file_bytes)]
    auc = f"{r.test.auc:.4f}" if r.test and r.test.auc is not None else "-"
    loss = f"{r.test.logloss:.4f}" if r.test else "-"
    return [r.method, r.budget, *amounts, auc, loss, f"{r.rows_per_s or 0:,.0f}"]
