"""Train: from files and a number of bytes to a judged, saved recommender and one line of result."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketrec.compress import Bank, freeze
from pocketrec.data.dataset import Dataset
from pocketrec.data.read_pass import Progress, silent
from pocketrec.data.split import Part, Through
from pocketrec.metrics import GroupMetrics, Metrics
from pocketrec.models import MODELS, Model
from pocketrec.pipeline.carry_on import Start, size_onward
from pocketrec.pipeline.config import RunConfig, overridden
from pocketrec.pipeline.data import RunData, default_cache, open_data
from pocketrec.pipeline.judge import judge
from pocketrec.pipeline.recommender import Recommender, save
from pocketrec.pipeline.size import size_run
from pocketrec.spec.result import Result
from pocketrec.spec.sizing import Sizing
from pocketrec.train import Outcome, Trainer
from pocketrec.train.optim import optimizer_tensors
from pocketrec.train.watch import Watcher

__all__ = ["Trained", "make_model", "run", "train"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What a run leaves.

    Attributes:
        recommender: in its serving form, opened from the artifact if one was written.
        result: the run as one line.
    """

    recommender: Recommender
    result: Result


def train(
    data: str | Path | Sequence[str | Path], *, budget: str | int = "16x", method: str = "min_count",
    out: str | Path | None = None, cache: str | Path | None = None, watcher: Watcher | None = None, **settings: Any,
) -> Trained:  # fmt: skip
    """Train a recommender to a byte budget.

    Args:
        data: a file, a folder, or several; Criteo's layout unless ``schema`` names another.
        budget: ceiling for the tables: ``"64MiB"``, ``"16x"``, ``"5%"`` or an int of bytes.
        method: how tables are stored.
        out: folder of the run (artifact, checkpoints); a second call with the same settings goes on where the first
            one stopped. None keeps nothing on disk but the encoded cache.
        cache: folder of encoded data; ``~/.cache/pocketrec`` when not given.
        watcher: told how it goes (a progress bar, TensorBoard).
        settings: everything else of :class:`~pocketrec.pipeline.config.RunConfig`, nested values as mappings, such as
            ``options={"storage": "int8"}`` or ``train={"epochs": 3}``.

    Raises:
        BudgetTooSmall: names the method's floor. BadRow, BadFile: name file, row and column.
    """
    files = [data] if isinstance(data, (str, Path)) else list(data)
    config = RunConfig.from_json(
        {"data": [str(f) for f in files], "budget": budget, "method": method, **overridden({}, settings)}
    )
    return run(
        config, out=None if out is None else Path(out), cache=Path(cache) if cache else default_cache(), watcher=watcher
    )


def run(
    config: RunConfig, *, out: Path | None, cache: Path, watcher: Watcher | None = None,
    progress: Progress = silent, identity: Mapping[str, Any] | None = None, start: Start | None = None,
) -> Trained:  # fmt: skip
    """One run: prepare, size, choose the epoch on validation rows, refit if asked, freeze, judge on test rows, save.

    Args:
        config: what is asked for.
        out: folder of the run, or None.
        cache: folder of encoded data.
        watcher: told how training goes.
        progress: told how far reading is.
        identity: fields of the result that only the caller knows (commit, command, data).
        start: what an earlier run left, to be continued on this run's files.
    """
    began = time.perf_counter()
    dataset = open_data(config, cache, encoder=None if start is None else start.encoder, progress=progress)
    sizing = _size(config, dataset, "train", start)
    checkpoints = None if out is None else out / "checkpoints"
    outcome = _fit(config, sizing, RunData(dataset=dataset), checkpoints, watcher, start, best=not config.refit)
    through: Through = "train"
    if config.refit and dataset.parts["validation"]:
        through = "validation"
        sizing = _size(config, dataset, through, start)
        again = replace(config, train=replace(config.train, epochs=outcome.best_epoch))
        everything = RunData(dataset=dataset, train=("train", "validation"), validation=())
        folder = None if checkpoints is None else checkpoints / "refit"
        refitted = _fit(again, sizing, everything, folder, watcher, start, best=False)
        outcome = replace(outcome, model=refitted.model, optimizer=refitted.optimizer)
    return _finish(config, dataset, sizing, outcome, through, out, began, identity or {})


def make_model(config: RunConfig, dataset: Dataset, bank: Bank) -> Model:
    """The configured model over a bank, nets drawn from the run's seed."""
    return MODELS.get(config.model.name)(
        bank, dense_features=len(dataset.schema.dense_columns), config=config.model, seed=config.seed
    )


def _size(config: RunConfig, dataset: Dataset, through: Through, start: Start | None) -> Sizing:
    return size_run(config, dataset, through) if start is None else size_onward(start, config, dataset, through)


def _fit(
    config: RunConfig, sizing: Sizing, data: RunData, folder: Path | None, watcher: Watcher | None,
    start: Start | None, *, best: bool,
) -> Outcome:  # fmt: skip
    trainer = Trainer(
        sizing, lambda bank: make_model(config, data.dataset, bank), data, config.train, seed=config.seed,
        folder=folder, restore_best=best, watcher=watcher, start=None if start is None else start.warm,
    )  # fmt: skip
    return trainer.run()


def _finish(
    config: RunConfig, dataset: Dataset, sizing: Sizing, outcome: Outcome,
    through: Through, out: Path | None, began: float, identity: Mapping[str, Any],
) -> Trained:  # fmt: skip
    served = outcome.model.with_bank(freeze(outcome.model.bank)).eval()
    part: Part = "test"
    test, groups = judge(
        served, dataset, part, through=through, batch_size=config.train.evaluation_batch_size,
        precision=config.train.precision,
    )  # fmt: skip
    content = {
        "config": config.to_json(), "method": config.method, "budget": str(config.budget),
        "best_epoch": outcome.best_epoch, "test": None if test is None else _plain_metrics(test),
    }  # fmt: skip
    encoder = dataset.encoder(through)
    if out is None:
        recommender, file_bytes = Recommender(model=served, encoder=encoder, content=content), None
    else:
        training: dict[str, Mapping[str, Any]] = {
            "training": outcome.model.bank.tensors(),
            "optimizer": optimizer_tensors(outcome.optimizer),
            "training_vocabulary": encoder.to_arrays(),
        }
        content = {**content, "training_sizing": outcome.model.bank.sizing.to_json()}
        artifact = save(out / "model", served, encoder, content, training=training)
        recommender = Recommender(model=served, encoder=encoder, content=content, artifact=artifact)
        file_bytes = artifact.tensor_bytes("tables")
    result = _result(config, sizing, outcome, served, file_bytes, test, groups, began, identity)
    return Trained(recommender=recommender, result=result)


def _result(
    config: RunConfig, sizing: Sizing, outcome: Outcome, served: Model, file_bytes: int | None,
    test: Metrics | None, groups: Mapping[str, GroupMetrics], began: float,
    identity: Mapping[str, Any],
) -> Result:  # fmt: skip
    history = outcome.history
    curve = tuple(
        {
            "epoch": number, "train_loss": h["train_loss"], "validation_auc": h.get("auc"),
            "validation_logloss": h.get("logloss"),
        }
        for number, h in enumerate(history, start=1)
    )  # fmt: skip
    return Result(
        **{"commit": "unknown", "data": ", ".join(config.data), **identity},
        model=config.model.name, method=sizing.method, budget=str(config.budget), budget_bytes=sizing.budget_bytes,
        seed=config.seed, options={k: v for k, v in config.options.items() if k != "storage"},
        storage=str(config.options.get("storage", "float32")), promised_bytes=sizing.serve_bytes,
        held_bytes=served.bank.held_bytes(), file_bytes=file_bytes, train_bytes=sizing.train_bytes,
        vocabulary_bytes=sizing.vocabulary_bytes, dense_bytes=served.dense_bytes(),
        table_bytes=table_bytes(sizing), epochs=outcome.best_epoch, validation=outcome.validation, test=test,
        by_frequency=dict(groups), curve=curve, rows_per_s=sum(h["rows_per_s"] for h in history) / len(history),
        seconds=time.perf_counter() - began, peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        notes=sizing.notes,
    )  # fmt: skip


def table_bytes(sizing: Sizing) -> dict[str, int]:
    """Promised bytes by table where tables have rows of their own, else by the name of what they share.

    Sums to ``sizing.serve_bytes``.
    """
    found: dict[str, int] = {}
    for group in sizing.groups:
        rows = [int(t.settings.get("rows", 0)) for t in group.tables]
        stacked = next((s for s in group.serve if s.shape[0] == sum(rows) > 0), None)
        rest = group.serve_bytes
        if stacked is not None:
            row_bytes = stacked.nbytes // stacked.shape[0]
            for t, count in zip(group.tables, rows, strict=True):
                found[t.table.name] = count * row_bytes
            rest -= stacked.nbytes
        if rest:
            found[f"{group.method} (shared)"] = found.get(f"{group.method} (shared)", 0) + rest
    return found


def _plain_metrics(metrics: Metrics) -> dict[str, Any]:
    return {
        "rows": metrics.rows, "auc": metrics.auc, "logloss": metrics.logloss,
        "normalised_entropy": metrics.normalised_entropy, "calibration": metrics.calibration,
    }  # fmt: skip
