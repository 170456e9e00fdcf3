"""What the training rows look like: distinct ids, counts, skew and missing values per table, from one pass."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pocketrec.cli._complete import schemas
from pocketrec.cli._options import BadRows, Cache, Json, Quiet, pairs
from pocketrec.cli._output import complain, say, say_json

__all__ = ["command"]


def command(
    data: Annotated[list[str], typer.Argument(help="Files or folders, read one after the other.")],
    schema: Annotated[str, typer.Option(help="criteo or another built-in schema, or a schema file.",
                                        autocompletion=schemas)] = "criteo",
    split: Annotated[list[str] | None, typer.Option(help="Shares of rows, such as train=6/7; only training rows count.",
                                                    show_default="train=8/10 validation=1/10 test=1/10")] = None,
    bad_rows: BadRows = None,
    cache: Cache = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:  # fmt: skip
    """See the head of this file."""
    from pocketrec.cli._reading import ReadingBar
    from pocketrec.pipeline.config import RunConfig
    from pocketrec.pipeline.data import default_cache, open_data

    asked: dict[str, Any] = {"data": data, "schema": schema, "split": pairs(split, "--split")}
    asked |= {} if bad_rows is None else {"bad_rows": bad_rows}
    with ReadingBar(quiet=quiet) as reading:
        dataset = open_data(
            RunConfig.from_json(asked, source="the command line"), cache or default_cache(), progress=reading
        )
    summary = dataset.statistics("train").summary()
    if json:
        say_json({"parts": dataset.parts, "skipped_rows": dataset.skipped_rows, **summary.to_json()})
        return
    say(str(summary))
    for reason, count in dataset.skipped_rows.items():
        complain(f"skipped {count:,}: {reason}")
