"""Bytes in, model out: choose method, storage and size for each table, and say why.

Statistics of the training rows answer in seconds (--effort 0). With effort, short trainings on validation rows tell
mixtures, methods, storages and settings apart; the folder keeps what was found, so that the same command goes on after
an interrupt. It leaves config.yaml, which `pocketrec train --config` trains, certificate.json with every byte, and
explanation.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketrec.cli import _complete
from pocketrec.cli._options import BadRows, Cache, Json, Quiet, pairs
from pocketrec.cli._output import say, say_json

if TYPE_CHECKING:
    from pocketrec.bench.fitting import Fit
    from pocketrec.pipeline.config import RunConfig

__all__ = ["command"]


def command(
    data: Annotated[list[str] | None, typer.Argument(help="Files or folders, read one after the other.")] = None,
    budget: Annotated[str | None, typer.Option("--budget", "-b", help="Ceiling for the tables: 64MiB, 16x (times "
                                               "smaller than float32 tables) or 5% of them.", show_default="16x",
                                               autocompletion=_complete.budgets)] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the answer, and of what was found on the way.")]
    = Path("fit"),
    effort: Annotated[int, typer.Option(help="About how many whole trainings probing may take; 0: statistics alone.")]
    = 24,
    method: Annotated[list[str] | None, typer.Option("--method", "-m", help="May be chosen; several are allowed.",
                                                     show_default="all that train in one stage",
                                                     autocompletion=_complete.methods)] = None,
    storage: Annotated[list[str] | None, typer.Option("--storage", help="May be chosen; several are allowed.",
                                                      show_default="float32, float16, int8, int4",
                                                      autocompletion=_complete.storages)] = None,
    train_budget: Annotated[str | None, typer.Option("--train-budget", help="Ceiling of tables and optimizer state "
                                                     "while training, such as 2GiB.")] = None,
    latency: Annotated[float | None, typer.Option(help="Nanoseconds that looking up the ids of one row may take.")]
    = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file; options win over it.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting, such as train.batch_size=1024.")] = None,
    schema: Annotated[str | None, typer.Option(help="criteo or another built-in schema, or a schema file.",
                                               show_default="criteo", autocompletion=_complete.schemas)] = None,
    split: Annotated[list[str] | None, typer.Option(help="Shares of rows, such as train=6/7; or by=hash, key=C1; "
                                                    "or by=files.",
                                                    show_default="train=8/10 validation=1/10 test=1/10")] = None,
    model: Annotated[str | None, typer.Option(help="The net on top of the tables; `info` lists them.",
                                              show_default="dlrm", autocompletion=_complete.models)] = None,
    dim: Annotated[int | None, typer.Option(help="Numbers per vector.", show_default="16")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes of whole trainings, at most.", show_default="10")] = None,
    seed: Annotated[int | None, typer.Option(help="The first of the seeds.", show_default="0")] = None,
    refit: Annotated[bool, typer.Option("--refit", help="The answer trains anew on validation rows too.")] = False,
    bad_rows: BadRows = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Trainings at a time.")] = 1,
    memory: Annotated[str | None, typer.Option(help="What all trainings together may need, such as 16GiB.",
                                               show_default="4/5 of what is free")] = None,
    cache: Cache = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:  # fmt: skip
    """See the head of this file."""
    from pocketrec.bench.explain import explanation
    from pocketrec.bench.fitting import FitSettings
    from pocketrec.bench.memory import usable_bytes
    from pocketrec.pipeline.data import default_cache
    from pocketrec.spec.writing import check_folder, writing

    given = {
        "data": data, "schema": schema, "budget": budget, "train_budget": train_budget, "dim": dim, "seed": seed,
        "bad_rows": bad_rows, "model.name": model, "train.epochs": epochs, "refit": refit or None,
    }  # fmt: skip
    overrides = {
        **{key: value for key, value in given.items() if value is not None},
        **{f"split.{key}": value for key, value in pairs(split, "--split").items()},
        **pairs(set_, "--set"),
    }
    asked = _config(config, overrides)
    settings = FitSettings(
        effort=effort, methods=None if method is None else tuple(method), jobs=jobs, ns_per_row=latency,
        storages=None if storage is None else tuple(storage), out=out, cache=cache or default_cache(),
        memory_bytes=usable_bytes(memory),
    )  # fmt: skip
    check_folder(out)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    found = _fit(asked, settings, quiet=quiet)
    text = explanation(found)
    _write(found, text, out)
    if json:
        say_json(found.certificate())
        return
    say(text)
    say(f"certificate: {out / 'certificate.json'}    explanation: {out / 'explanation.md'}")
    say(f"train it: pocketrec train --config {out / 'config.yaml'} --out run")


def _config(path: Path | None, overrides: dict[str, Any]) -> RunConfig:
    from pocketrec.pipeline.config import RunConfig, overridden

    if path is not None:
        return RunConfig.load(path, overrides)
    return RunConfig.from_json(overridden({"data": ()}, overrides), source="the command line")


def _fit(asked: RunConfig, settings: Any, *, quiet: bool) -> Fit:
    from pocketrec.bench.fitting import fit_run
    from pocketrec.cli._probe_bar import ProbeBar
    from pocketrec.cli._reading import ReadingBar

    with ReadingBar(quiet=quiet) as reading, ProbeBar(reading, quiet=quiet) as bar:
        return fit_run(asked, settings, watching=bar, progress=reading)


def _write(found: Fit, text: str, out: Path) -> None:
    """The three files, each whole or not at all."""
    import json

    import yaml

    from pocketrec.data.journal import write_durably

    # JSON knows no tuples, and YAML would write them in a way of its own
    config = yaml.safe_dump(json.loads(json.dumps(found.config.to_json())), sort_keys=False)
    for name, content in (
        ("config.yaml", config), ("certificate.json", json.dumps(found.certificate(), indent=1) + "\n"),
        ("explanation.md", text),
    ):  # fmt: skip
        write_durably(out / name, content.encode())
