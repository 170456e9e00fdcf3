"""Look at the files of a log before anything is trained."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketrec.cli._complete import schemas
from pocketrec.cli._options import Json, Quiet
from pocketrec.cli._output import complain, say, say_json
from pocketrec.spec.errors import OptionError
from pocketrec.spec.writing import check_file, writing

if TYPE_CHECKING:
    from pocketrec.data.check.check import Check
    from pocketrec.data.propose.propose import Proposal
    from pocketrec.spec.schema import Schema

__all__ = ["command"]

_CHECK = """Say what is in a log: columns, bad rows, what looks wrong, bytes of its tables.

Without --schema, say which log it is, or propose a schema. The exit code is 0 where every row can be read, 1 where some
cannot, 2 where nothing can."""

command = typer.Typer(no_args_is_help=True)


@command.callback()
def _group() -> None:
    """See the head of this file. (A callback keeps `check` a word of its own while it is the only one.)"""


@command.command(help=_CHECK)
def check(
    data: Annotated[list[str], typer.Argument(help="Files or folders, read one after the other.")],
    schema: Annotated[str | None, typer.Option(help="A built-in schema, such as criteo, or a schema file.",
                                               show_default="proposed", autocompletion=schemas)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write the proposed schema to (YAML).")] = None,
    rows: Annotated[int | None, typer.Option(help="Read so many rows at most.", show_default="all")] = None,
    dim: Annotated[int, typer.Option(help="Numbers per vector, for the bytes of the tables.")] = 16,
    quiet: Quiet = False,
    json: Json = False,
) -> None:  # fmt: skip
    """See the head of this file."""
    from pocketrec.data.propose.propose import propose
    from pocketrec.pipeline.data import schema_of

    if schema is not None and out is not None:
        raise OptionError("--out takes a proposed schema, so it does not go with --schema. Leave one of them out.")
    if out is not None:
        check_file(out)  # the log may be long
    proposal = propose(data[0]) if schema is None else None
    found = _read(data, schema_of(schema or "") if proposal is None else proposal.schema, rows, dim, quiet=quiet)
    if json:
        say_json(found.to_json() | ({} if proposal is None else {"proposal": proposal.to_json()}))
    else:
        _tell(found, proposal)
    if proposal is not None:
        _keep(proposal, out, data, json=json)
    if not found.good:
        raise typer.Exit(1 if found.rows else 2)


def _keep(proposal: Proposal, out: Path | None, data: list[str], *, json: bool) -> None:
    """Write the proposed schema, or say how to, and the next command."""
    if out is not None:
        with writing(out):
            out.write_text(proposal.yaml(), encoding="utf-8")
        complain(f"Next: {shlex.join(['pocketrec', 'train', *data, '--schema', str(out)])}")
    elif proposal.known is None and not json:
        again = shlex.join(["pocketrec", "data", "check", *data, "--out", "schema.yaml"])
        complain(f"Next: {again} writes this schema to a file, to train with.")


def _read(data: list[str], schema: Schema, rows: int | None, dim: int, *, quiet: bool) -> Check:
    from pocketrec.cli._reading import ReadingBar
    from pocketrec.data.check.check import check as check_log
    from pocketrec.data.sources import source_files

    files: list[Any] = [file for place in data for file in source_files(place, schema)]
    with ReadingBar(quiet=quiet) as reading:
        return check_log(files, schema, rows=rows, dim=dim, progress=reading)


def _tell(found: Check, proposal: Proposal | None) -> None:
    from pocketrec.data.check.text import check_text

    if proposal is not None:
        say(f"{proposal.text()}\n")
    say(check_text(found))
