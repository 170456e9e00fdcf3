"""Scores of raw rows: probabilities of a click from a trained artifact."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    artifact: Annotated[Path, typer.Argument(help="Folder of the artifact, or of the run.")],
    data: Annotated[list[Path], typer.Argument(help="Files or folders in the schema's layout; labels are not needed.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="File to write, one score per line in the order of the rows.", show_default="standard output"
        ),
    ] = None,
) -> None:
    """See the head of this file."""
    from pocketrec.pipeline import load
    from pocketrec.pipeline.predict import predict_files, write_scores

    scores = predict_files(load(artifact, verify="lazy"), data)
    if out is None:
        write_scores(scores, sys.stdout)
        return
    part = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with part.open("w", encoding="ascii") as file:
            write_scores(scores, file)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
