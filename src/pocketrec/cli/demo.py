"""The main job, small: a synthetic log, four methods at 16x, promised against held bytes, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketrec.cli._output import complain, say, table

__all__ = ["command"]

_METHODS = (("full", "1x"), ("min_count", "16x"), ("hash_rows", "16x"), ("robe", "16x"))


def command(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything that is written.")] = Path("demo-out"),
    rows: Annotated[int, typer.Option(help="Rows of the log.")] = 200_000,
    seed: Annotated[int, typer.Option(help="Of the log and the runs.")] = 0,
) -> None:
    """See the head of this file."""
    from pocketrec.bench.report import write_report
    from pocketrec.cli._run import describe, identity, watcher
    from pocketrec.data.synthetic import SyntheticSpec, write_synthetic
    from pocketrec.pipeline.config import RunConfig
    from pocketrec.pipeline.train import run
    from pocketrec.spec.result import append_result

    out.mkdir(parents=True, exist_ok=True)
    log, lines = out / "clicks.tsv.gz", out / "results.jsonl"
    complain(f"writing {rows:,} rows to {log} ...")
    synthetic = write_synthetic(log, SyntheticSpec(rows=rows, seed=seed))
    say(str(synthetic))
    lines.unlink(missing_ok=True)
    results = []
    for method, budget in _METHODS:
        config = RunConfig.from_json(
            {"data": [str(log)], "method": method, "budget": budget, "seed": seed, "model": _MODEL, "train": _TRAIN}
        )
        trained = run(
            config, out=out / method, cache=out / "cache", identity=identity(config),
            watcher=watcher(config, quiet=False, tensorboard=None),
        )  # fmt: skip
        append_result(lines, trained.result)
        results.append(trained.result)
        say(describe(trained.result))
    write_report(results, out / "report.html", title="pocketrec demo: four methods on a synthetic log")
    say()
    say(table(_HEADINGS, [_row(r) for r in results]))
    say(f"oracle AUC {synthetic.oracle_auc or 0:.4f}    report: {out / 'report.html'}    lines: {lines}")


_MODEL = {"bottom": [64], "top": [128, 64]}
_TRAIN = {"epochs": 3, "batch_size": 512}
_HEADINGS = ("method", "budget", "promised", "held", "file", "AUC", "log-loss", "rows/s")


def _row(r: object) -> list[str]:
    from pocketrec.spec.result import Result

    assert isinstance(r, Result)
    amounts = [f"{b:,}" if b is not None else "-" for b in (r.promised_bytes, r.held_bytes, r.file_bytes)]
    auc = f"{r.test.auc:.4f}" if r.test and r.test.auc is not None else "-"
    loss = f"{r.test.logloss:.4f}" if r.test else "-"
    return [r.method, r.budget, *amounts, auc, loss, f"{r.rows_per_s or 0:,.0f}"]
