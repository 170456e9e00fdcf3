"""Trainer: the one loop. Stages, choice of epoch, checkpoints, exact resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from pocketrec.compress import Bank, build, stages
from pocketrec.metrics import Metrics, evaluate
from pocketrec.models import Model
from pocketrec.spec.errors import TrainingError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.stage import Stage
from pocketrec.train.config import TrainConfig
from pocketrec.train.evaluate import logits_of
from pocketrec.train.interrupt import GracefulInterrupt
from pocketrec.train.optim import dense_optimizer, load_optimizer_tensors
from pocketrec.train.source import BatchSource, TrainingData
from pocketrec.train.state import TrainState, load_into, restore, save
from pocketrec.train.step import train_step
from pocketrec.train.warm_start import WarmStart
from pocketrec.train.watch import Silent, Watcher

__all__ = ["Outcome", "Trainer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What training ended with.

    Attributes:
        model: the trained model over its training bank, at the best epoch if one was chosen, else at the last.
        history: one entry per epoch: stage, epoch, train_loss, rows_per_s, seconds, and on validation auc, logloss ...
        best_epoch: the chosen epoch of the last stage, from 1; the last one without validation rows.
        validation: metrics of that epoch on the validation rows, or None.
        optimizer: of the dense nets, in its last state.
    """

    model: Model
    history: list[dict[str, Any]]
    best_epoch: int
    validation: Metrics | None
    optimizer: torch.optim.Optimizer


@final
class Trainer:
    """Trains one model on one machine.

    Args:
        sizing: what the tables are.
        make_model: builds the model over a bank; called once per stage, the nets' values are carried over.
        data: training and validation rows.
        config: settings.
        seed: of starting values, hashes and the order of rows.
        folder: where checkpoints go; a run in the same folder goes on where it stopped. None keeps nothing.
        restore_best: whether the outcome is the best epoch's model (else the last epoch's).
        start: yesterday's model, whose rows, nets and optimizer state are taken over.
        extra: what methods may need to build (counts, value sets).
        watcher: told how it goes.
    """

    def __init__(
        self, sizing: Sizing, make_model: Callable[[Bank], Model], data: TrainingData, config: TrainConfig, *,
        seed: int, folder: Path | None = None, restore_best: bool = True, start: WarmStart | None = None,
        extra: Mapping[str, Any] | None = None, watcher: Watcher | None = None,
    ) -> None:  # fmt: skip
        self.stages: Sequence[tuple[Stage, Sizing]] = stages(sizing)
        self.make_model, self.data, self.config, self.seed = make_model, data, config, seed
        self.folder, self.restore_best, self.extra = folder, restore_best, extra
        self.start = start
        self.watcher: Watcher = watcher or Silent()
        self.state = TrainState()
        # what must be equal for a checkpoint to be of this run
        self.run_identity: dict[str, Any] = {"sizing": sizing.to_json(), "config": asdict(config), "seed": seed}
        self.model: Model
        self.optimizer: torch.optim.Optimizer
        self._best: dict[str, Tensor] | None = None

    def run(self) -> Outcome:
        """Train to the end, or go on from the folder's newest checkpoint.

        Raises:
            NotFinite: see :func:`pocketrec.train.step.train_step`.
            KeyboardInterrupt: after Ctrl-C, at the end of a step, with a checkpoint written.
        """
        with GracefulInterrupt() as interrupt:
            try:
                self._begin()
                for number in range(self.state.stage, len(self.stages)):
                    if number > self.state.stage:
                        self._enter(number)
                    self._stage(interrupt)
            finally:
                self.watcher.end()
        self._take_best()
        return Outcome(
            model=self.model.eval(), history=self.state.history,
            best_epoch=self.state.best_epoch or self.state.epoch,
            validation=None if self.state.best_metrics is None else Metrics(**self.state.best_metrics),
            optimizer=self.optimizer,
        )  # fmt: skip

    # -- stages ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        found = restore(self.folder, self.run_identity) if self.folder is not None else None
        if found is None:
            self._make(0, None if self.start is None else self.start.bank)
            if self.start is not None:
                _copy_nets(self.model, self.start.nets)
                load_optimizer_tensors(self.optimizer, self.start.optimizer)
            return
        self.state, artifact = found
        self._make(self.state.stage, None)
        load_into(artifact, self.model, self.optimizer)

    def _enter(self, number: int) -> None:
        """Go on to the next stage: tables warm from the stage before, nets carried over."""
        before, optimizer = self.model, self.optimizer
        self.state.stage, self.state.epoch, self.state.batch = number, 0, 0
        self.state.best_epoch, self.state.best_metrics, self._best = 0, None, None
        self._make(number, before.bank)
        _copy_nets(self.model, before.nets())
        if self.stages[number][0].optimizer == "keep":
            self.optimizer.load_state_dict(optimizer.state_dict())

    def _make(self, number: int, previous: Bank | None) -> None:
        bank = build(self.stages[number][1], seed=self.seed, data=self.extra, previous=previous)
        self.model = self.make_model(bank).train()
        self.optimizer = dense_optimizer(self.model.dense_parameters(), self.config)

    def _stage(self, interrupt: GracefulInterrupt) -> None:
        stage = self.stages[self.state.stage][0]
        spaces = self.model.bank.id_spaces()
        source = self.data.source(stage.split, spaces)
        if source is None:
            raise TrainingError(f"Stage {stage.name!r} trains on {stage.split} rows, and there are none.")
        validation = self.data.source("validation", spaces)
        epochs = stage.epochs or self.config.epochs
        self.watcher.begin(
            stage=stage.name, epochs=epochs, batches=source.batch_count(self.config.batch_size),
            batch_size=self.config.batch_size, epoch=self.state.epoch, batch=self.state.batch,
        )  # fmt: skip
        while self.state.epoch < epochs and not self._out_of_patience():
            self._epoch(stage, source, validation, interrupt)

    def _out_of_patience(self) -> bool:
        patience, last = self.config.patience, self.state.stage == len(self.stages) - 1
        return bool(
            last and patience and self.state.best_epoch and self.state.epoch - self.state.best_epoch >= patience
        )

    # -- epochs ------------------------------------------------------------------------------------------------------

    def _epoch(
        self, stage: Stage, source: BatchSource, validation: BatchSource | None, interrupt: GracefulInterrupt
    ) -> None:
        state, config = self.state, self.config
        count, first, began = source.batch_count(config.batch_size), state.batch, time.perf_counter()
        for batch in source.batches(
            batch_size=config.batch_size, order=config.order, seed=self.seed, epoch=state.epoch, start=first
        ):
            where = f"Stage {stage.name}, epoch {state.epoch + 1}, batch {state.batch}"
            loss = train_step(self.model, self.optimizer, batch, config, stage, where=where)
            state.loss_sum += loss
            state.batch += 1
            state.step += 1
            self.watcher.step(step=state.step, batch=state.batch, loss=loss)
            if interrupt.asked:
                self._checkpoint()
                raise KeyboardInterrupt
            if state.step % config.checkpoint_steps == 0 and state.batch < count:
                self._checkpoint()
        seconds = time.perf_counter() - began
        rows = (state.batch - first) * config.batch_size
        self._finish_epoch(stage, validation, seconds, rows / max(seconds, 1e-9))

    def _finish_epoch(self, stage: Stage, validation: BatchSource | None, seconds: float, rows_per_s: float) -> None:
        state = self.state
        entry: dict[str, Any] = {
            "stage": stage.name, "epoch": state.epoch + 1, "train_loss": state.loss_sum / max(1, state.batch),
            "rows_per_s": rows_per_s, "seconds": seconds,
        }  # fmt: skip
        if validation is not None:
            labels, logits = logits_of(
                self.model, validation, batch_size=self.config.evaluation_batch_size, precision=self.config.precision
            )
            metrics = evaluate(labels, logits)
            entry.update(auc=metrics.auc, logloss=metrics.logloss)
        state.history.append(entry)
        state.epoch, state.batch, state.loss_sum = state.epoch + 1, 0, 0.0
        if validation is not None:
            self._judge(metrics)
        self._checkpoint()
        self.watcher.epoch(entry)

    def _judge(self, metrics: Metrics) -> None:
        # with one class only there is no AUC; log-loss can always be compared
        by_auc = self.config.choose_by == "auc" and metrics.auc is not None
        value = float(metrics.auc or 0.0) if by_auc else -metrics.logloss
        if self.state.best_epoch and value <= self.state.best_value:
            return
        self.state.best_epoch, self.state.best_value = self.state.epoch, value
        self.state.best_metrics = asdict(metrics)
        if not self.restore_best:
            return
        if self.folder is None:
            self._best = {name: t.clone() for name, t in self._tensors().items()}
        else:
            save(self.folder / "best", self.state, self.model, self.optimizer, run=self.run_identity, keep=1)

    def _tensors(self) -> dict[str, Tensor]:
        nets = {f"nets.{name}": t.detach() for name, t in self.model.nets().items()}
        return {**nets, **{f"bank.{name}": t for name, t in self.model.bank.tensors().items()}}

    def _checkpoint(self) -> None:
        if self.folder is not None:
            save(self.folder, self.state, self.model, self.optimizer, run=self.run_identity)

    def _take_best(self) -> None:
        if not self.restore_best or self.state.best_epoch in (0, self.state.epoch):
            return
        if self._best is not None:
            for name, tensor in self._tensors().items():
                tensor.copy_(self._best[name])
        elif self.folder is not None:
            found = restore(self.folder / "best", self.run_identity)
            assert found is not None, "the best epoch was saved before the checkpoint that names it"
            load_into(found[1], self.model)


def _copy_nets(model: Model, nets: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, target in model.nets().items():
            target.copy_(nets[name])
