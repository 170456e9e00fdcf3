"""Write a synthetic click log in Criteo's format, with planted structure and a known best AUC."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pocketrec.cli._options import Json
from pocketrec.cli._output import say, say_json

__all__ = ["command"]


def command(
    out: Annotated[Path, typer.Argument(help="File to write; .gz compresses. With --days a folder.")],
    rows: Annotated[int, typer.Option(help="Rows of the whole log.")] = 200_000,
    cardinalities: Annotated[str, typer.Option(help="A named public set of table sizes.")] = "kaggle",
    scale: Annotated[str, typer.Option(help="Factor on the table sizes.")] = "1/100",
    zipf: Annotated[float, typer.Option(help="Exponent of the frequencies of ids.")] = 1.1,
    clusters: Annotated[int, typer.Option(help="Hidden clusters, across and within fields.")] = 16,
    base_rate: Annotated[float, typer.Option(help="Share of clicks.")] = 0.2568,
    drift: Annotated[float, typer.Option(help="How far the law turns from first to last row, 0 to 1.")] = 0.0,
    days: Annotated[int, typer.Option(help="Above 1: a folder of files day_0, day_1 ...")] = 1,
    seed: Annotated[int, typer.Option(help="Another seed, another law.")] = 0,
    json: Json = False,
) -> None:
    """See the head of this file."""
    from pocketrec.data.synthetic import SyntheticSpec, write_synthetic

    spec = SyntheticSpec(
        rows=rows, cardinalities=cardinalities, scale=scale, zipf=zipf, clusters=clusters, base_rate=base_rate,
        drift=drift, days=days, seed=seed,
    )  # fmt: skip
    report = write_synthetic(out, spec)
    if json:
        say_json({**{k: v for k, v in asdict(report).items() if k != "schema"}, "path": str(out)})
        return
    say(str(report))
