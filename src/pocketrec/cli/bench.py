"""Run a study: every method at every budget on every data set with every seed, a line of result each.

The same command again goes on where it stopped: a cell that has a line is never run again, a kill loses at most those
that ran. Each cell is a process of its own, as many at a time as cores and memory allow. `docs/guides/studies.md` says
what a study may hold; experiments/quick.toml is a small one that needs no files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketrec.cli._options import Cache, Quiet
from pocketrec.cli._output import complain, say

if TYPE_CHECKING:
    from pocketrec.bench.study import Study

__all__ = ["command"]


def command(
    study: Annotated[Path, typer.Argument(help="TOML file of the study.")],
    data: Annotated[Path | None, typer.Option(help="Folder (or file) that the study's paths are below.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the results.",
                                             show_default="results/ beside the study")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Cells at a time.", show_default="cores")] = None,
    memory: Annotated[str | None, typer.Option(help="What all cells together may need, such as 16GiB.",
                                               show_default="4/5 of what is free")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run cells anew that failed.")] = False,
    report: Annotated[Path | None, typer.Option(help="Also write a page of the results (HTML).")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard.")] = None,
    cache: Cache = None,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """See the head of this file."""
    from pocketrec.bench.memory import usable_bytes
    from pocketrec.bench.runner import Runner, Settings
    from pocketrec.bench.study import read_study
    from pocketrec.cli._run import commit
    from pocketrec.cli._study_bar import StudyBar
    from pocketrec.pipeline.data import default_cache
    from pocketrec.spec.writing import check_file

    asked = read_study(study)
    if report is not None:
        check_file(report)  # not after days of running
    settings = Settings(
        data=data, out=out or study.parent / "results", cache=cache or default_cache(), retry=retry,
        jobs=_cores() if jobs is None else jobs, memory_bytes=usable_bytes(memory), tensorboard=tensorboard,
        identity={"commit": commit(), "command": _command(study, data)},
    )  # fmt: skip
    with StudyBar(quiet=quiet) as bar:
        results = Runner(asked, settings, bar).run()
    _tell(asked, results, report)


def _tell(study: Study, results: Path, report: Path | None) -> None:
    """Counts, where the lines are, and the page."""
    from pocketrec.bench.lines import standing
    from pocketrec.bench.report import write_report
    from pocketrec.spec.result import read_results

    lines = standing(read_results(results, growing=True)) if results.exists() else []
    failed = sum(line.failed for line in lines)
    refused = sum(line.skipped is not None for line in lines) - failed
    say(f"{results}: {len(lines)} cells, {refused} refused, {failed} failed")
    if failed:
        complain(f"{failed} cells failed; their lines say why. The same command with --retry runs them anew.")
    if report is not None:
        write_report(lines, report, title=study.title)
        say(f"report: {report}")


def _command(study: Path, data: Path | None) -> str:
    """The command line that runs it again, without the places of this machine."""
    name = study.name if study.is_absolute() else study.as_posix()
    return f"pocketrec bench {name}{'' if data is None else ' --data ...'}"


def _cores() -> int:
    """Those that this process may use."""
    import os

    return len(os.sched_getaffinity(0))
