"""The command line: one command per file; each parses, calls and prints, nothing else.

Files are imported without torch, so that ``--help`` answers at once; what a command needs it imports when it runs.
"""

from __future__ import annotations

import importlib
import pkgutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from pocketrec.cli._output import complain, say
from pocketrec.spec.errors import PocketrecError

__all__ = ["app", "main"]


class _Commands(typer.core.TyperGroup):
    """The group of all commands; Ctrl-C and SIGTERM end with a sentence and the shell's code for the first, 130."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with _sigterm_as_ctrl_c():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            complain("Interrupted. What was finished is kept: the same command again goes on from there.")
            raise typer.Exit(130) from None


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Whoever ends a command politely (timeout, systemd, a queue) lets it end its processes and clear its files."""
    if threading.current_thread() is not threading.main_thread():  # only there may a handler be set
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


app = typer.Typer(
    cls=_Commands,
    name="pocketrec",
    help="Give it a recommender and a number of bytes; it gives back the best recommender that fits.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        import pocketrec

        say(f"pocketrec {pocketrec.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Give it a recommender and a number of bytes; it gives back the best recommender that fits."""


def _paragraphs(text: str) -> str:
    """Text whose lines are joined within paragraphs, so that they fill any width."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


for _module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
    if not _module.name.startswith("_"):
        _found = importlib.import_module(f"{__name__}.{_module.name}")
        _help = _paragraphs(_found.__doc__ or "")
        if isinstance(_found.command, typer.Typer):  # a word with commands of its own
            app.add_typer(_found.command, name=_module.name, help=_help)
        else:
            app.command(_module.name, help=_help)(_found.command)


def main() -> None:
    """Run the command line. Mistakes of the user end with one sentence and exit code 2, Ctrl-C with 130."""
    try:
        app()
    except PocketrecError as mistake:
        complain(str(mistake))
        sys.exit(2)
    except OSError as trouble:
        complain(f"{trouble.strerror or trouble}{f': {trouble.filename}' if trouble.filename else ''}.")
        sys.exit(2)
