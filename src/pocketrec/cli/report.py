"""One interactive HTML page from JSON lines of results: bytes against AUC, ranks and pairs, where the bytes went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketrec.cli._output import say

__all__ = ["command"]


def command(
    results: Annotated[list[Path], typer.Argument(help="Files of results, one JSON line per run; or folders of runs.")],
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "pocketrec results",
) -> None:
    """See the head of this file."""
    from pocketrec.bench.lines import standing
    from pocketrec.bench.report import write_report
    from pocketrec.spec.result import read_results

    runs = standing(run for path in results for run in read_results(_file(path)))
    write_report(runs, out, title=title)
    say(f"{out}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}")


def _file(path: Path) -> Path:
    """The results of a run's folder; any other path as it is."""
    from pocketrec.spec.errors import OptionError

    if not path.is_dir():
        return path
    found = path / "result.jsonl"
    if not found.exists():
        raise OptionError(f"{path} is a folder without result.jsonl: no run has finished there. Name files of results.")
    return found
