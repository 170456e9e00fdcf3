"""Metrics of an artifact on labelled files: AUC, log-loss, normalised entropy, calibration; GAUC with a user."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pocketrec.cli._options import BadRows, Json
from pocketrec.cli._output import complain, say, say_json

__all__ = ["command"]


def command(
    artifact: Annotated[Path, typer.Argument(help="Folder of the artifact, or of the run.")],
    data: Annotated[list[Path], typer.Argument(help="Labelled files or folders in the schema's layout.")],
    bad_rows: BadRows = None,
    json: Json = False,
) -> None:
    """See the head of this file."""
    from pocketrec.pipeline import load
    from pocketrec.pipeline.predict import evaluate_files

    metrics, skipped = evaluate_files(load(artifact, verify="lazy"), data, bad_rows=bad_rows or "fail")  # type: ignore[arg-type]  # BadRows refuses other words
    if json:
        say_json({**asdict(metrics), "skipped_rows": skipped})
        return
    names = ["rows", "positives", "auc", "logloss", "normalised_entropy", "calibration"]
    if metrics.gauc_users is not None:
        names += ["gauc", "user_auc", "gauc_users", "gauc_rows_fraction"]
    for name in names:
        value = getattr(metrics, name)
        text = "-" if value is None else f"{value:.6f}" if isinstance(value, float) else f"{value:,}"
        say(f"{name:20}{text:>14}")
    for reason, count in skipped.items():
        complain(f"skipped {count:,}: {reason}")
