"""Write the model of an artifact as one program that torch alone can run, without pocketrec.

The program takes encoded rows (dense numbers and ids) and returns log-odds. What pocketrec.json inside it says of its
inputs is printed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pocketrec.cli._options import Json
from pocketrec.cli._output import say, say_json

__all__ = ["command"]


def command(
    artifact: Annotated[Path, typer.Argument(help="Folder of the artifact, or of the run.")],
    out: Annotated[Path, typer.Argument(help="File to write, ending in .pt2.")],
    json: Json = False,
) -> None:
    """See the head of this file."""
    from pocketrec.pipeline import load

    about = load(artifact, verify="lazy").export(out)
    if json:
        say_json(about)
        return
    columns = ", ".join(f"{column['field']} ({_ids(column)})" for column in about["ids"])
    say(f"{out}: {about['model']}, {about['file_bytes']:,} bytes")
    say(f"  inputs: {', '.join(about['inputs'])}; output: {about['outputs']}")
    say(f"  dense: {', '.join(about['dense']) or 'none'}")
    say(f"  ids: {columns}")
    say(f"In Python: torch.export.load({str(out)!r}).module()({', '.join(about['inputs'])})")


def _ids(column: dict[str, Any]) -> str:
    """The id space of a column in words."""
    ranks = f" of {column['ranks']:,} ranks" if "ranks" in column else ""
    return f"{column['id_space']}{ranks}"
