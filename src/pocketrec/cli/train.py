"""Train a recommender to a byte budget: files in; a judged, saved artifact and one line of result out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketrec.cli._options import Cache, Json, Option, Storage, pairs
from pocketrec.cli._output import say

if TYPE_CHECKING:
    from pocketrec.pipeline.carry_on import Start
    from pocketrec.pipeline.config import RunConfig

__all__ = ["command"]


def command(
    data: Annotated[list[str] | None, typer.Argument(help="Files or folders, read one after the other.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the run; the same command goes on where it stopped.")]
    = Path("run"),
    config: Annotated[Path | None, typer.Option("--config", help="YAML file; options below win over it.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting, such as train.epochs=3.")] = None,
    schema: Annotated[str | None, typer.Option(help="criteo, or a schema file.", show_default="criteo")] = None,
    budget: Annotated[str | None, typer.Option("--budget", "-b", help="64MiB, 16x, 5% ...", show_default="16x")] = None,
    method: Annotated[str | None, typer.Option("--method", "-m", show_default="min_count")] = None,
    storage: Storage = None,
    option: Option = None,
    dim: Annotated[int | None, typer.Option(help="Numbers per vector.", show_default="16")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes at most.", show_default="10")] = None,
    seed: Annotated[int | None, typer.Option(show_default="0")] = None,
    refit: Annotated[bool, typer.Option("--refit", help="Train anew on validation rows too, for the chosen epochs.")]
    = False,
    bad_rows: Annotated[str | None, typer.Option(help="fail or skip.", show_default="fail")] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="Continue this artifact on the next day's data.")] = None,
    results: Annotated[Path | None, typer.Option(help="Also append the result line here.")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard.")] = None,
    cache: Cache = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    json: Json = False,
) -> None:  # fmt: skip
    """See the head of this file."""
    from pocketrec.pipeline.carry_on import start_from

    given = _given(
        {"data": data, "schema": schema, "budget": budget, "method": method, "dim": dim, "seed": seed,
         "bad_rows": bad_rows, "train.epochs": epochs, "refit": refit or None}
    )  # fmt: skip
    options = pairs(option, "--option") | ({} if storage is None else {"storage": storage})
    overrides = {**given, **{f"options.{k}": v for k, v in options.items()}, **pairs(set_, "--set")}
    start = None if from_ is None else start_from(from_)
    _train(_config(config, overrides, start), start, out, cache, tensorboard, results, quiet=quiet, json=json)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _config(path: Path | None, overrides: dict[str, Any], start: Start | None) -> RunConfig:
    """Yesterday's settings if there is a start (one epoch if nobody says how many), else the file's; then overrides."""
    from pocketrec.pipeline.config import RunConfig, overridden

    if path is not None:
        return RunConfig.load(path, overrides)
    before: dict[str, Any] = {}
    if start is not None:
        before = overridden(start.config.to_json(), {"train.epochs": 1, "split.rows": None})
    return RunConfig.from_json(overridden({"data": (), **before}, overrides), source="the command line")


def _train(
    config: RunConfig, start: Start | None, out: Path, cache: Path | None, tensorboard: Path | None,
    results: Path | None, *, quiet: bool, json: bool,
) -> None:  # fmt: skip
    from pocketrec.cli._run import describe, identity, watcher
    from pocketrec.pipeline.data import default_cache
    from pocketrec.pipeline.train import run
    from pocketrec.spec.result import append_result

    trained = run(
        config, out=out, cache=cache or default_cache(), start=start, identity=identity(config),
        watcher=watcher(config, quiet=quiet, tensorboard=tensorboard),
    )  # fmt: skip
    append_result(out / "results.jsonl", trained.result)
    if results is not None:
        append_result(results, trained.result)
    if json:
        say(trained.result.to_json_line())
        return
    say(describe(trained.result))
    say(f"artifact: {out / 'model'}    result: {out / 'results.jsonl'}")
    """See the head of this file."""
