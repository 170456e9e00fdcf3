"""Write a synthetic click log in Criteo's format, with planted structure and a known best AUC.

Presets: criteo (the default), alike (tokens of one cluster do nearly the same), independent (no two tokens are alike),
drifting (independent, and popularity moves on). Options that are given win over the preset's.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pocketrec.cli._options import Json
from pocketrec.cli._output import say, say_json
from pocketrec.spec.errors import OptionError
from pocketrec.spec.writing import check_file, writing

__all__ = ["command"]


def command(
    out: Annotated[Path, typer.Argument(help="File to write; .gz compresses. With --days a folder.")],
    preset: Annotated[str, typer.Option(help="criteo, alike, independent or drifting.")] = "criteo",
    rows: Annotated[int | None, typer.Option(help="Rows of the whole log.", show_default="200000")] = None,
    cardinalities: Annotated[str | None, typer.Option(help="A named public set of table sizes, or sizes: 5000,300,20.",
                                                      show_default="kaggle")] = None,
    scale: Annotated[str | None, typer.Option(help="Factor on the table sizes.",
                                              show_default="1/100 of a named set")] = None,
    zipf: Annotated[float | None, typer.Option(help="Exponent of the frequencies of ids.", show_default="1.1")] = None,
    clusters: Annotated[int | None, typer.Option(help="Hidden clusters, across and within fields.",
                                                 show_default="16")] = None,
    own: Annotated[float | None, typer.Option(help="How much ids do besides what their cluster does.",
                                              show_default="1.0")] = None,
    base_rate: Annotated[float | None, typer.Option(help="Share of clicks.", show_default="0.2568")] = None,
    drift: Annotated[float | None, typer.Option(help="How far the law turns from first to last row, 0 to 1.",
                                                show_default="0.0")] = None,
    shift: Annotated[float | None, typer.Option(help="independent, drifting: share of a field by which popularity "
                                                "moves on from each of six parts of the log to the next.",
                                                show_default="0.0")] = None,
    days: Annotated[int | None, typer.Option(help="Above 1: a folder of files day_0, day_1 ...",
                                             show_default="1")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another law.")] = 0,
    schema: Annotated[Path | None, typer.Option(help="Also write the schema that reads the log (YAML).")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """See the head of this file."""
    from pocketrec.data.synthetic import SyntheticSpec, write_synthetic

    given = {
        "rows": rows, "scale": scale, "zipf": zipf, "clusters": clusters, "own": own, "base_rate": base_rate,
        "drift": drift, "shift": shift, "days": days,
        "cardinalities": None if cardinalities is None else _sizes(cardinalities),
    }  # fmt: skip
    spec = SyntheticSpec.preset(preset, seed=seed, **{k: v for k, v in given.items() if v is not None})
    if schema is not None:
        check_file(schema)  # the log may be long
    report = write_synthetic(out, spec)
    if schema is not None:
        with writing(schema):
            schema.write_text(report.schema.to_yaml(), encoding="utf-8")
    if json:
        say_json({**{k: v for k, v in asdict(report).items() if k != "schema"}, "path": str(out)})
        return
    say(str(report))


def _sizes(text: str) -> str | tuple[int, ...]:
    """A name, or sizes with commas between them."""
    if not text[:1].isdigit():
        return text
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise OptionError(f"--cardinalities takes a name or sizes such as 5000,300,20, got {text!r}.") from None
