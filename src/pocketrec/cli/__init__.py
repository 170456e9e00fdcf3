"""The command line: one command per file; each parses, calls and prints, nothing else.

Files are imported without torch, so that ``--help`` answers at once; what a command needs it imports when it runs.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer

from pocketrec.cli._output import complain
from pocketrec.spec.errors import PocketrecError

__all__ = ["app", "main"]

app = typer.Typer(
    name="pocketrec",
    help="Give it a recommender and a number of bytes; it gives back the best recommender that fits.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
    if not _module.name.startswith("_"):
        _found = importlib.import_module(f"{__name__}.{_module.name}")
        app.command(_module.name, help=_found.__doc__)(_found.command)


def main() -> None:
    """Run the command line. Mistakes of the user end with one sentence and exit code 2, Ctrl-C with 130."""
    try:
        app()
    except PocketrecError as mistake:
        complain(str(mistake))
        sys.exit(2)
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as mistake:
        complain(str(mistake))
        sys.exit(2)
    except KeyboardInterrupt:
        complain("Interrupted. Run the same command again to go on from the last checkpoint.")
        sys.exit(130)
