"""Metrics of an artifact on labelled files: AUC, log-loss, normalised entropy, calibration."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pocketrec.cli._options import Json
from pocketrec.cli._output import say, say_json

__all__ = ["command"]


def command(
    artifact: Annotated[Path, typer.Argument(help="Folder of the artifact, or of the run.")],
    data: Annotated[list[Path], typer.Argument(help="Labelled files in the schema's layout.")],
    json: Json = False,
) -> None:
    """See the head of this file."""
    from pocketrec.pipeline import load
    from pocketrec.pipeline.predict import evaluate_files

    metrics = evaluate_files(load(artifact), data)
    if json:
        say_json(asdict(metrics))
        return
    for name in ("rows", "positives", "auc", "logloss", "normalised_entropy", "calibration"):
        value = getattr(metrics, name)
        say(f"{name:20} {value if not isinstance(value, float) else f'{value:.6f}'}")
