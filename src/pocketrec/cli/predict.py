"""Scores of raw rows: probabilities of a click from a trained artifact."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pocketrec.spec.writing import check_file, writing, written_whole

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

    if out is not None:
        check_file(out)
    scores = predict_files(load(artifact, verify="lazy"), data)
    if out is None:
        write_scores(scores, sys.stdout)
        return
    with written_whole(out) as part, part.open("w", encoding="ascii") as file:
        for portion in scores:  # what cannot be read is not what cannot be written
            with writing(out):
                write_scores([portion], file)
