"""Train a recommender to a byte budget: files in; a judged, saved artifact and one line of result out.

The folder of the run keeps checkpoints. After a kill or Ctrl-C the same command goes on where it stopped, to the same
end; a run that has finished is not trained again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketrec.cli import _complete
from pocketrec.cli._options import BadRows, Cache, Json, Option, Quiet, Storage, method_options, pairs
from pocketrec.cli._output import complain, say
from pocketrec.spec.writing import check_file

if TYPE_CHECKING:
    from pocketrec.pipeline.carry_on import Start
    from pocketrec.pipeline.config import RunConfig
    from pocketrec.pipeline.train import Trained

__all__ = ["command"]


def command(
    data: Annotated[list[str] | None, typer.Argument(help="Files or folders, read one after the other.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the run: artifact, checkpoints, result.")]
    = Path("run"),
    config: Annotated[Path | None, typer.Option("--config", help="YAML file; options below win over it.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting, such as train.batch_size=1024.")] = None,
    schema: Annotated[str | None, typer.Option(help="criteo or another built-in schema, or a schema file.",
                                               show_default="criteo", autocompletion=_complete.schemas)] = None,
    split: Annotated[list[str] | None, typer.Option(help="Shares of rows, such as train=6/7; or by=hash, key=C1; "
                                                    "or by=files.",
                                                    show_default="train=8/10 validation=1/10 test=1/10")] = None,
    budget: Annotated[str | None, typer.Option("--budget", "-b", help="Ceiling for the tables: 64MiB, 16x (times "
                                               "smaller than float32 tables) or 5% of them.", show_default="16x",
                                               autocompletion=_complete.budgets)] = None,
    method: Annotated[str | None, typer.Option("--method", "-m", help="How tables are stored; `info` lists them.",
                                               show_default="min_count", autocompletion=_complete.methods)] = None,
    storage: Storage = None,
    option: Option = None,
    model: Annotated[str | None, typer.Option(help="The net on top of the tables; `info` lists them.",
                                              show_default="dlrm", autocompletion=_complete.models)] = None,
    dim: Annotated[int | None, typer.Option(help="Numbers per vector.", show_default="16")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes at most; the best is chosen on validation rows.",
                                               show_default="10")] = None,
    seed: Annotated[int | None, typer.Option(help="Of starting values, hashes and the order of rows.",
                                             show_default="0")] = None,
    refit: Annotated[bool, typer.Option("--refit", help="Train anew on validation rows too, for the chosen epochs.")]
    = False,
    bad_rows: BadRows = None,
    from_: Annotated[Path | None, typer.Option("--from", help="Continue this artifact (or run) on the next day's data, "
                                               "with its settings, for one epoch unless told otherwise.")] = None,
    results: Annotated[Path | None, typer.Option(help="Also append the line of result to this file.")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard.")] = None,
    cache: Cache = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:  # fmt: skip
    """See the head of this file."""
    from pocketrec.cli._run import warn
    from pocketrec.pipeline.carry_on import start_from

    given = {
        "data": data, "schema": schema, "budget": budget, "method": method, "dim": dim, "seed": seed,
        "bad_rows": bad_rows, "model.name": model, "train.epochs": epochs, "refit": refit or None,
    }  # fmt: skip
    overrides = {
        **{key: value for key, value in given.items() if value is not None},
        **{f"split.{key}": value for key, value in pairs(split, "--split").items()},
        **{f"options.{key}": value for key, value in method_options(option, storage).items()},
        **pairs(set_, "--set"),
    }
    if results is not None:
        check_file(results)  # not after the training
    start = None if from_ is None else start_from(from_)
    trained = _train(_config(config, overrides, start), start, out, cache, tensorboard, quiet=quiet)
    _tell(trained, out, results, json=json)
    warn(trained.result)


def _config(path: Path | None, overrides: dict[str, Any], start: Start | None) -> RunConfig:
    """The file's settings if there is one, else yesterday's if there is a start; then the overrides."""
    from pocketrec.pipeline.carry_on import onward
    from pocketrec.pipeline.config import RunConfig, overridden

    if path is not None:
        return RunConfig.load(path, overrides)
    if start is not None:
        return onward(start, overrides, source="the command line")
    return RunConfig.from_json(overridden({"data": ()}, overrides), source="the command line")


def _train(
    config: RunConfig, start: Start | None, out: Path, cache: Path | None, tensorboard: Path | None, *, quiet: bool
) -> Trained:
    from pocketrec.cli._reading import ReadingBar
    from pocketrec.cli._run import identity, watcher
    from pocketrec.pipeline.data import default_cache
    from pocketrec.pipeline.train import run

    with ReadingBar(quiet=quiet) as reading:
        return run(
            config, out=out, cache=cache or default_cache(), start=start, identity=identity(config), progress=reading,
            watcher=watcher(config, reading, quiet=quiet, tensorboard=tensorboard),
        )  # fmt: skip


def _tell(trained: Trained, out: Path, results: Path | None, *, json: bool) -> None:
    from pocketrec.cli._run import describe
    from pocketrec.spec.result import append_result, read_results

    if trained.again:
        complain(f"The run in {out} had finished before; nothing was trained. Delete the folder to train anew.")
    # the same command again must not count one run twice
    if results is not None and not (results.exists() and trained.result in read_results(results)):
        append_result(results, trained.result)
    if json:
        say(trained.result.to_json_line())
        return
    say(describe(trained.result))
    say(f"  artifact: {out / 'model'}    result: {out / 'result.jsonl'}")
