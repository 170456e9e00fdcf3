"""Train: from files and a number of bytes to a judged, saved recommender and one line of result."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pocketrec.compress import Bank, freeze, of, stages
from pocketrec.data.dataset import Dataset
from pocketrec.data.read_pass import Progress, silent
from pocketrec.data.split import Part, Through
from pocketrec.data.value_sets import value_sets
from pocketrec.models import MODELS, Model
from pocketrec.pipeline.carry_on import Start, check_onward, onward, size_onward, start_from
from pocketrec.pipeline.config import RunConfig
from pocketrec.pipeline.data import RunData, default_cache, open_data, schema_of
from pocketrec.pipeline.judge import judge
from pocketrec.pipeline.lookup_speed import ns_per_lookup
from pocketrec.pipeline.recommender import TRAINING_SIZING, Recommender, load, opened, save
from pocketrec.pipeline.run_folder import RunFolder
from pocketrec.pipeline.size import check_schema, size_run
from pocketrec.pipeline.summary import result_of
from pocketrec.spec.errors import OptionError
from pocketrec.spec.result import Result
from pocketrec.spec.schema import Schema
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.writing import check_folder
from pocketrec.train import Outcome, Trainer
from pocketrec.train.optim import optimizer_tensors
from pocketrec.train.step_clock import StepClock
from pocketrec.train.watch import Watcher, Watchers

__all__ = ["Trained", "make_model", "run", "train"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What a run leaves.

    Attributes:
        recommender: in its serving form, opened from the artifact if one was written.
        result: the run as one line.
        again: whether the run had finished before, so that nothing was trained now.
    """

    recommender: Recommender
    result: Result
    again: bool = False

    def predict(self, frame: Any) -> NDArray[np.float32]:
        """Probabilities of a click, see :meth:`Recommender.predict`."""
        return self.recommender.predict(frame)

    def save(self, path: str | Path) -> None:
        """Write the recommender for serving only, see :meth:`Recommender.save`; ``load`` opens it."""
        self.recommender.save(path)


def train(
    data: str | Path | Sequence[str | Path], *, budget: str | int | None = None, method: str | None = None,
    out: str | Path | None = None, cache: str | Path | None = None, start: str | Path | None = None,
    watcher: Watcher | None = None, **settings: Any,
) -> Trained:  # fmt: skip
    """Train a recommender to a byte budget.

    Args:
        data: a file, a folder, or several; Criteo's layout unless ``schema`` names another.
        budget: ceiling for the tables: ``"64MiB"``, ``"16x"``, ``"5%"`` or an int of bytes; ``"16x"`` when not given.
        method: how tables are stored; ``min_count`` when not given.
        out: folder of the run (artifact, checkpoints, result). A second call with the same settings goes on where the
            first one stopped, and returns at once when it had finished. None keeps nothing on disk but the encoded
            cache.
        cache: folder of encoded data; ``~/.cache/pocketrec`` when not given.
        start: an artifact (or the run that holds it) to continue on this data, with its settings and for one epoch
            unless told otherwise.
        watcher: told how it goes (a progress bar, TensorBoard).
        settings: everything else of :class:`~pocketrec.pipeline.config.RunConfig`, nested values as mappings, such as
            ``options={"storage": "int8"}`` or ``train={"epochs": 3}``; ``schema`` may be a Schema.

    Raises:
        BudgetTooSmall: names the method's floor. BadRow, BadFile: name file, row and column. OptionError: a setting.
    """
    files = [data] if isinstance(data, (str, Path)) else list(data)
    given = {"data": [str(f) for f in files], "budget": budget, "method": method, **settings}
    given = {key: _plain(value) for key, value in given.items() if value is not None}
    before = None if start is None else start_from(start)
    config = RunConfig.from_json(given) if before is None else onward(before, _dotted(given))
    return run(
        config, out=None if out is None else Path(out), cache=Path(cache) if cache else default_cache(),
        watcher=watcher, start=before,
    )  # fmt: skip


def run(
    config: RunConfig, *, out: Path | None, cache: Path, watcher: Watcher | None = None,
    progress: Progress = silent, identity: Mapping[str, Any] | None = None, start: Start | None = None,
    test: bool = True,
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
        test: whether the test rows are judged; False reads none of them, as settings are chosen.
    """
    began = time.perf_counter()
    if start is not None:
        check_onward(start, config)
    if out is not None:
        check_folder(out)  # reading may take long
    check_schema(config, schema_of(config.schema) if start is None else start.encoder.schema)
    dataset = open_data(config, cache, encoder=None if start is None else start.encoder, progress=progress)
    folder = None if out is None else RunFolder(out, _about(config, dataset, start))
    finished = None if folder is None else folder.result()
    if folder is not None and finished is not None:
        return Trained(recommender=load(folder.model), result=finished, again=True)
    resumed = folder is not None and folder.begun
    job = _Job(config=config, dataset=dataset, folder=folder, watcher=watcher, start=start, test=test)
    sizing = job.size("train")  # before the folder is taken: a budget that is too small leaves nothing behind
    job.check_refit(sizing)
    if folder is not None:
        folder.claim()
    outcome, served, sizing, through = job.fit(sizing)
    # nobody measured how long a run was that was interrupted
    return job.finish(outcome, served, sizing, through, identity or {}, None if resumed else began)


def make_model(config: RunConfig, dataset: Dataset, bank: Bank) -> Model:
    """The configured model over a bank, nets drawn from the run's seed."""
    return MODELS.get(config.model.name)(
        bank, dense_features=len(dataset.schema.dense_columns), config=config.model, seed=config.seed
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Job:
    config: RunConfig
    dataset: Dataset
    folder: RunFolder | None
    watcher: Watcher | None
    start: Start | None
    test: bool = True
    clock: StepClock = field(default_factory=StepClock)

    def check_refit(self, sizing: Sizing) -> None:
        """OptionError if a refit would leave a stage without the rows that it trains on."""
        needy = next((stage for stage, _ in stages(sizing) if "validation" in stage.parts), None)
        if self.config.refit and needy is not None:
            does = "scores candidates" if needy.scores else "trains"
            raise OptionError(
                f"{self.config.method} {does} on validation rows in its stage {needy.name}, and a refit has none left: "
                "they are training rows then. Set refit to false."
            )

    def fit(self, sizing: Sizing) -> tuple[Outcome, Model, Sizing, Through]:
        """What training ended with, what serves of it, the sizing of the rows that it saw in the end, and their part.

        Its figures on validation rows are those of what would serve: a choice by those of the training form would
        not see what rounding or pruning loses.
        """
        checkpoints = None if self.folder is None else self.folder.checkpoints
        data = RunData(dataset=self.dataset)
        refit = self.config.refit and self.dataset.parts["validation"] > 0
        outcome = self._trainer(sizing, data, checkpoints).run()
        served = self._served(outcome)
        outcome = replace(outcome, validation=judge(served, self.dataset, "validation", through="train")[0])
        if not refit:
            return outcome, served, sizing, "train"
        sizing = self.size("validation")
        everything = RunData(dataset=self.dataset, train=("train", "validation"), validation=())
        folder = None if checkpoints is None else checkpoints / "refit"
        again = self._trainer(sizing, everything, folder, last_epochs=outcome.best_epoch).run()
        both = replace(
            outcome, model=again.model, optimizer=again.optimizer, notes=(*outcome.notes, *again.notes)
        )  # fmt: skip
        return both, self._served(both), sizing, "validation"

    def _served(self, outcome: Outcome) -> Model:
        """The model over its frozen bank."""
        frozen = outcome.model.with_bank(freeze(outcome.model.bank))
        return frozen.with_nets_in(getattr(torch, self.config.serving_precision)).eval()

    def size(self, through: Through) -> Sizing:
        """What the tables are when these rows train."""
        if self.start is None:
            return size_run(self.config, self.dataset, through)
        return size_onward(self.start, self.config, self.dataset, through)

    def _trainer(
        self, sizing: Sizing, data: RunData, folder: Path | None, *, last_epochs: int | None = None
    ) -> Trainer:
        return Trainer(
            sizing, lambda bank: make_model(self.config, self.dataset, bank), data, self.config.train,
            seed=self.config.seed, folder=folder, last_epochs=last_epochs, watcher=self._watchers(),
            extra=self._extra(sizing, data), start=None if self.start is None else self.start.warm,
        )  # fmt: skip

    def _watchers(self) -> Watcher:
        return Watchers([self.clock, *([] if self.watcher is None else [self.watcher])])

    def _extra(self, sizing: Sizing, data: RunData) -> dict[str, Any]:
        """What the methods are built from besides the sizing: statistics, tokens, value sets of the rows that train."""
        through: Through = "validation" if "validation" in data.train else "train"
        given = {
            "stats": self.dataset.table_stats(through), "tokens": partial(self.dataset.tokens, through=through)
        }  # fmt: skip
        wanted = [of(g.method, g.options) for g in sizing.groups]
        options = [method.value_sets() for method in wanted if method.traits.needs_value_sets]
        if not options:
            return given
        if any(other != options[0] for other in options):
            raise OptionError(f"Methods of one bank must ask for the same value sets, these ask for {options}.")
        return given | {"value_sets": value_sets(self.dataset, seed=self.config.seed, through=through, **options[0])}

    def finish(
        self, outcome: Outcome, served: Model, sizing: Sizing, through: Through, identity: Mapping[str, Any],
        began: float | None,
    ) -> Trained:  # fmt: skip
        """Judge, save."""
        # test rows are read once, to judge: what a look-up takes other rows tell as well
        looked_up: Part = "validation" if self.dataset.parts["validation"] else "train"
        lookup_ns = ns_per_lookup(served, self.dataset, looked_up)
        test = judge(served, self.dataset, "test", through=through) if self.test else (None, {})
        content = {
            "config": self.config.to_json(), "method": self.config.method, "budget": str(self.config.budget),
            "best_epoch": outcome.best_epoch, "test": None if test[0] is None else asdict(test[0]),
        }  # fmt: skip
        encoder = self.dataset.encoder(through)
        recommender = Recommender(model=served, encoder=encoder, content=content)
        if self.folder is not None:
            recommender = _saved(self.folder.model, recommender, outcome)
        artifact = recommender.artifact
        seconds = {} if began is None else {"seconds": time.perf_counter() - began}
        result = result_of(
            self.config, outcome, sizing, served, test=test,
            file_bytes=None if artifact is None else artifact.tensor_bytes("tables"), identity={**seconds, **identity},
            ms_per_batch=self.clock.median_ms, ns_per_lookup=lookup_ns,
        )  # fmt: skip
        if self.folder is not None:
            self.folder.finish(result)
        return Trained(recommender=recommender, result=result)


def _saved(path: Path, recommender: Recommender, outcome: Outcome) -> Recommender:
    """The recommender written with all that another day needs, and opened from what was written."""
    bank, encoder = outcome.model.bank, recommender.encoder
    training: dict[str, Mapping[str, Any]] = {
        "training": bank.tensors(),
        "optimizer": optimizer_tensors(outcome.optimizer),
        "training_vocabulary": encoder.to_arrays(),
    }
    if recommender.model.dense_bytes() < outcome.model.dense_bytes():  # those that serve were rounded
        training["training_nets"] = {name: t.detach() for name, t in outcome.model.nets().items()}
    content = {**recommender.content, TRAINING_SIZING: bank.sizing.to_json()}
    return opened(save(path, recommender.model, encoder, content, training=training))


def _about(config: RunConfig, dataset: Dataset, start: Start | None) -> dict[str, Any]:
    """What must be equal for two runs to be the same run. The key of the cache stands for files, schema and split."""
    settings = {key: value for key, value in config.to_json().items() if key not in ("data", "schema")}
    return {**settings, "data": dataset.path.name, "start": None if start is None else start.identity}


def _plain(value: Any) -> Any:
    return value.to_json() if isinstance(value, Schema) else value


def _dotted(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted key, so that one of a group leaves the others of its group alone."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, Mapping) and key != "schema":
            found |= {f"{key}.{inner}": v for inner, v in value.items()}
        else:
            found[key] = value
    return found
