"""Trainer: the one loop. Stages, choice of epoch, checkpoints, exact resume."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from pocketrec.artifact.load import Artifact
from pocketrec.compress import Bank, attach, build, restart, settled, stages
from pocketrec.compress.build import begin_anew
from pocketrec.compress.candidates import best, propose, scored
from pocketrec.metrics import Metrics, auc_standard_error, evaluate
from pocketrec.models import Model
from pocketrec.models.parts.matmul import Matmul, bfloat16_cost, choose_matmul
from pocketrec.native.flushed_denormals import flushed_denormals
from pocketrec.native.huge_pages import copied
from pocketrec.native.keep_freed import keep_freed
from pocketrec.spec.errors import NotFinite, OptionError, TrainingError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.stage import Stage
from pocketrec.train.best import BestEpoch
from pocketrec.train.candidate_auc import candidate_auc
from pocketrec.train.config import TrainConfig
from pocketrec.train.evaluate import scores_of
from pocketrec.train.interrupt import GracefulInterrupt
from pocketrec.train.optim import dense_optimizer, load_optimizer_tensors, optimizer_tensors
from pocketrec.train.outcome import Outcome
from pocketrec.train.progressive import add_batch, progressive_json, progressive_of
from pocketrec.train.source import Batch, BatchSource, Part, TrainingData, endless, share_of
from pocketrec.train.state import TrainState, restore, save
from pocketrec.train.step import train_step
from pocketrec.train.warm_start import WarmStart
from pocketrec.train.watch import Silent, Watcher

__all__ = ["Trainer"]


@final
class Trainer:
    """Trains one model on one machine.

    Memory: one copy of the tables and their optimizer's state; two while a stage takes over the stage before or an
    earlier model is continued; and one more for the best epoch where there is no folder to put it in.

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
        identity: what else must be equal for a checkpoint to be of this run, JSON only: which data, which model.
            Sizing, configuration, seed and numbers of rows always must.
        last_epochs: of the last stage, in the place of the configuration's; 0 or more.
    """

    def __init__(
        self, sizing: Sizing, make_model: Callable[[Bank], Model], data: TrainingData, config: TrainConfig, *,
        seed: int, folder: Path | None = None, restore_best: bool = True, start: WarmStart | None = None,
        extra: Mapping[str, Any] | None = None, watcher: Watcher | None = None,
        identity: Mapping[str, Any] | None = None, last_epochs: int | None = None,
    ) -> None:  # fmt: skip
        self.stages: Sequence[tuple[Stage, Sizing]] = stages(sizing)
        self.make_model, self.data, self.config, self.seed = make_model, data, config, seed
        self.folder, self.restore_best, self.extra = folder, restore_best, extra
        self.start, self.last_epochs = start, last_epochs
        self.watcher: Watcher = watcher or Silent()
        self.state = TrainState()
        self.run_identity: dict[str, Any] = {
            **(identity or {}), "sizing": sizing.to_json(), "config": asdict(config), "seed": seed,
            "start": None if start is None else int(start.bank.steps),
            **({} if last_epochs is None else {"last_epochs": last_epochs}),
        }  # fmt: skip
        self.model: Model
        self.optimizer: torch.optim.Optimizer
        self._matmul = Matmul()
        self._notes: list[str] = []
        self._best = BestEpoch(None if folder is None else folder / "best", self.run_identity)

    def run(self) -> Outcome:
        """Train to the end, or go on from the folder's newest checkpoint.

        Raises:
            NotFinite: see :func:`pocketrec.train.step.train_step`.
            TrainingError: a stage has no rows to train on or to judge by.
            OptionError: ``relearn``, and a method of several stages.
            ArtifactError: the folder holds another run, or a checkpoint could not be written.
            KeyboardInterrupt: after Ctrl-C or SIGTERM, at the end of a step, with a checkpoint written.
        """
        keep_freed()
        with GracefulInterrupt() as interrupt, flushed_denormals():
            try:
                self._begin()
                for number in range(self.state.stage, len(self.stages)):
                    if number > self.state.stage:
                        self._enter()
                    self._stage(interrupt)
            finally:
                self.watcher.end()
        state = self.state
        if self.restore_best and state.chosen != state.epoch:
            self._best.bring_back(state, self.model, self.optimizer)
        return Outcome(
            model=self.model.eval(), history=state.history, best_epoch=state.chosen,
            validation=None if state.best_metrics is None else Metrics(**state.best_metrics),
            optimizer=self.optimizer, notes=tuple(self._notes), progressive=progressive_of(state.history),
        )  # fmt: skip

    # -- stages ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make the first stage, or what the newest checkpoint holds."""
        parts: tuple[Part, ...] = ("train", "validation")
        rows = {part: self._rows(part) for part in parts}
        for stage, _ in self.stages:
            missing = [part for part in stage.parts if not rows[part]]
            if missing:
                does = "scores candidates" if stage.scores else "trains"
                raise TrainingError(
                    f"Stage {stage.name!r} {does} on {missing[0]} rows, and there are none. Change the split."
                )
        if self.config.relearn and len(self.stages) > 1:
            names = ", ".join(stage.name for stage, _ in self.stages)
            raise OptionError(
                f"relearn is for methods of one stage; this one has {names}: rows that begin anew would lose what the "
                "stage before gave them. Set train.relearn to false."
            )
        self.run_identity["rows"] = rows
        found = None if self.folder is None else restore(self.folder, self.run_identity)
        if found is not None:
            self._resume(*found)
        else:
            first = self.stages[0][1]
            previous = None if self.start is None else self.start.bank_for(first)
            self._set(build(first, seed=self.seed, data=self.extra, previous=previous))
            if self.start is not None:
                self.model.copy_nets(self.start.nets)
                load_optimizer_tensors(self.optimizer, self.start.optimizer)
        self._choose_matmul()

    def _choose_matmul(self) -> None:
        """The way of products of matrices: as the run began, so that a resumed one rounds as before."""
        state, config = self.state, self.config
        if state.matmul is None:
            state.matmul = choose_matmul(config.matmul, precision=config.precision).to_json()
        self._matmul = Matmul.from_json(state.matmul)
        if config.precision == "bfloat16" and bfloat16_cost() > 1:
            said = (
                f"Products of bfloat16 take {bfloat16_cost():.1f} times as long as those of float32 on this processor, "
                "which has no instructions for them. Set precision to float32."
            )
            warnings.warn(said, stacklevel=2)
            self._notes.append(said)

    def _rows(self, part: Part) -> int:
        source = self.data.source(part, self.stages[0][1].wanted)
        return 0 if source is None else source.batch_count(1)

    def _resume(self, state: TrainState, artifact: Artifact) -> None:
        self.state = state
        # attached, not copied into a bank that was built anew: the seeds of hashes come with the tensors
        tensors = {name: copied(t) for name, t in artifact.tensors("bank").items()}
        sizing = self.stages[state.stage][1] if state.sizing is None else Sizing.from_json(state.sizing)
        self._set(attach(sizing, tensors, form="train"))
        self.model.copy_nets(artifact.tensors("nets"))
        load_optimizer_tensors(self.optimizer, artifact.tensors("optimizer"))
        self._notes.append(f"Went on at step {state.step} of {artifact.path}.")
        self._notes.extend(f"Passed over: {reason}" for reason in artifact.skipped)

    def _enter(self) -> None:
        """Go on to the next stage: tables warm from the stage before, nets carried over; or both begin anew."""
        before, optimizer = self.model, self.optimizer
        self.state.next_stage()
        planned = self.stages[self.state.stage][1]
        sizing = settled(before.bank, planned)
        self.state.sizing = None if sizing == planned else sizing.to_json()
        self._set(build(sizing, seed=self.seed, data=self.extra, previous=before.bank))
        stage = self.stages[self.state.stage][0]
        if stage.begin == "warm":
            self.model.copy_nets(before.nets())
        else:
            self._begin_anew(stage)
        if stage.optimizer == "keep":
            load_optimizer_tensors(self.optimizer, optimizer_tensors(optimizer))
        else:
            self.model.bank.reset_state()

    def _begin_anew(self, stage: Stage) -> None:
        """Rows with values that a run begins with; nets, just made, with those of this run."""
        seed = self.seed if stage.begin == "initial" else _seed_of(self.seed, self.state.stage)
        before = None if self.start is None else self.start.bank_for(self.stages[self.state.stage][1])
        begin_anew(self.model.bank, seed=seed, data=self.extra, previous=before)
        if self.start is not None:
            self.model.copy_nets(self.start.nets)

    def _set(self, bank: Bank) -> None:
        self.model = self.make_model(bank).train()
        self.optimizer = dense_optimizer(self.model.dense_parameters(), self.config)

    def _stage(self, interrupt: GracefulInterrupt) -> None:
        stage, sizing = self.stages[self.state.stage]
        epochs = 1 if stage.scores else stage.epochs or self.config.epochs
        if self._in_last_stage() and self.last_epochs is not None:
            epochs = self.last_epochs
        if self._finished(epochs):
            return
        if stage.scores:
            self._score(stage, sizing, interrupt)
            return
        whole = self.data.source(stage.split, sizing.wanted)
        assert whole is not None, "rows were counted before the first stage"
        source = share_of(whole, self.config.share)
        validation = self.data.source("validation", sizing.wanted) if self._rows("validation") else None
        self.watcher.begin(
            stage=stage.name, epochs=epochs, batches=source.batch_count(self.config.batch_size),
            batch_size=self.config.batch_size, epoch=self.state.epoch, batch=self.state.batch,
        )  # fmt: skip
        if stage.judged_first and validation is not None and self._in_last_stage() and not self.state.begun:
            self._judge(self._validate(stage, validation)[0])
        while not self._finished(epochs):
            self._epoch(stage, source, interrupt)
            self._finish_epoch(stage, validation)
            if interrupt.asked:
                raise KeyboardInterrupt

    def _score(self, stage: Stage, sizing: Sizing, interrupt: GracefulInterrupt) -> None:
        """Score one candidate after the other, until whoever searches has none left. Nothing trains.

        All of the search is in the bank, so that a checkpoint between any two of them resumes it.
        """
        state, config = self.state, self.config
        validation = self.data.source("validation", sizing.wanted)
        assert validation is not None, "rows were counted before the first stage"
        rows = min(validation.batch_count(1), stage.score_rows or validation.batch_count(1))
        # a candidate takes as many batches as its rows are: that much work is lost by a kill, not that many candidates
        often = max(1, config.checkpoint_steps * config.batch_size // rows)
        self.watcher.begin_scoring(stage=stage.name, candidates=stage.scores, rows=rows, done=state.batch)
        began = time.perf_counter()
        while propose(self.model.bank):
            with self._matmul.at(config.evaluation_batch_size):
                found = candidate_auc(self.model, validation, stage, config)
            scored(self.model.bank, found)
            state.batch, state.step, state.rows = state.batch + 1, state.step + 1, state.rows + rows
            state.seconds += time.perf_counter() - began
            self.watcher.scored(step=state.step, auc=found, best=best(self.model.bank))
            if interrupt.asked:
                self._checkpoint()
                raise KeyboardInterrupt
            if state.batch % often == 0:
                self._checkpoint()
            began = time.perf_counter()
        entry = {
            "stage": stage.name, "epoch": 1, "step": state.step, "candidates": state.batch,
            "auc": best(self.model.bank), "rows_per_s": state.rows / max(state.seconds, 1e-9), "seconds": state.seconds,
        }  # fmt: skip
        state.history.append(entry)
        state.next_epoch()
        self._checkpoint()
        self.watcher.epoch(entry)

    def _in_last_stage(self) -> bool:
        return self.state.stage == len(self.stages) - 1

    def _finished(self, epochs: int) -> bool:
        """Whether the present stage is over: all epochs made, or patience lost (in the last stage only)."""
        epoch, best, patience = self.state.epoch, self.state.best_epoch, self.config.patience
        lost = patience is not None and self.state.best_metrics is not None and epoch - best >= patience
        return epoch >= epochs or (lost and self._in_last_stage())

    # -- epochs ------------------------------------------------------------------------------------------------------

    def _epoch(self, stage: Stage, source: BatchSource, interrupt: GracefulInterrupt) -> None:
        state, config = self.state, self.config
        count, began = source.batch_count(config.batch_size), time.perf_counter()
        if state.batch == count:  # stopped between the last batch and its validation
            return
        if config.relearn and state.epoch and not state.batch:
            self._forget()
        also = self._held_out(stage, state.epoch * count + state.batch)
        for batch in source.batches(
            batch_size=config.batch_size, order=config.order, seed=self.seed, epoch=state.epoch, start=state.batch
        ):
            self._learn(stage, batch, count, also)
            state.seconds += time.perf_counter() - began
            if interrupt.asked:
                self._checkpoint()
                raise KeyboardInterrupt
            if state.step % config.checkpoint_steps == 0 and state.batch < count:
                self._checkpoint()
            began = time.perf_counter()

    def _held_out(self, stage: Stage, start: int) -> Iterator[Batch] | None:
        """Batches for what the stage holds out, from the one on that follows the stage's batch of this number."""
        if not stage.held_out:
            return None
        source = self.data.source("validation", self.model.bank.sizing.wanted)
        assert source is not None, "rows were counted before the first stage"
        config = self.config
        return endless(source, batch_size=config.batch_size, order=config.order, seed=self.seed, start=start)

    def _forget(self) -> None:
        """Rows begin anew, each epoch's from other values; nets and their optimizer go on."""
        seed = _seed_of(self.seed, self.state.epoch)
        before = None if self.start is None else self.start.bank_for(self.stages[0][1])
        restart(self.model.bank, seed=seed, data=self.extra, previous=before)

    def _learn(self, stage: Stage, batch: Batch, count: int, also: Iterator[Batch] | None) -> None:
        """One step, and the one on a batch of `also` that stands behind it."""
        state = self.state
        where = f"Stage {stage.name}, epoch {state.epoch + 1}, batch {state.batch} (from 0)"
        # later epochs, and earlier stages, predict rows that were learned from before or will be again
        fresh = state.epoch == 0 and self._in_last_stage()
        count_in = partial(add_batch, state.progressive, batch, number=state.batch, count=count) if fresh else None
        rows, begin = len(batch.label), partial(self.model.bank.begin_step, step=state.step)
        begin(rows=state.step * self.config.batch_size)
        with self._matmul.at(rows):
            loss = train_step(self.model, self.optimizer, batch, self.config, stage, where=where, predicted=count_in)
        if also is not None:
            other, where = next(also), f"{where}, validation rows behind it"
            begin(rows=state.step * self.config.batch_size, held_out=True)
            with self._matmul.at(len(other.label)):
                train_step(self.model, self.optimizer, other, self.config, stage, where=where, held_out=True)
        state.loss_sum += loss * rows
        state.rows += rows
        state.batch += 1
        state.step += 1
        self.watcher.step(step=state.step, batch=state.batch, loss=loss)

    def _finish_epoch(self, stage: Stage, validation: BatchSource | None) -> None:
        state = self.state
        entry: dict[str, Any] = {
            "stage": stage.name, "epoch": state.epoch + 1, "step": state.step,
            "train_loss": state.loss_sum / state.rows, "rows_per_s": state.rows / max(state.seconds, 1e-9),
            "seconds": state.seconds,
        }  # fmt: skip
        progressive = progressive_json(state.progressive, rows=state.rows, precision=self.config.precision)
        if progressive is not None:
            entry["progressive"] = progressive
        metrics = None
        if validation is not None:
            metrics, error = self._validate(stage, validation)
            entry.update(auc=metrics.auc, auc_standard_error=error, logloss=metrics.logloss)
            if metrics.gauc_users is not None:
                entry["gauc"] = metrics.gauc
        state.history.append(entry)
        state.next_epoch()
        if metrics is not None and self._in_last_stage():
            self._judge(metrics)
        self._checkpoint()
        self.watcher.epoch(entry)

    def _validate(self, stage: Stage, validation: BatchSource) -> tuple[Metrics, float | None]:
        """All metrics, and the standard error of the AUC."""
        config = self.config
        with self._matmul.at(config.evaluation_batch_size):
            found = scores_of(
                self.model, validation, batch_size=config.evaluation_batch_size, precision=config.precision
            )
        try:
            metrics = evaluate(found.labels, found.logits, found.weights, found.users)
        except NotFinite as wrong:
            raise NotFinite(
                f"Stage {stage.name}, epoch {self.state.epoch + 1}, validation: {wrong} "
                "The weights have grown too large: lower the learning rates, or set clip_norm."
            ) from wrong
        if config.choose_by == "gauc" and metrics.gauc_users is None:
            raise TrainingError("choose_by is gauc, and the rows have no users. Name the schema's user field.")
        return metrics, auc_standard_error(found.labels, found.logits, found.weights)

    def _judge(self, metrics: Metrics) -> None:
        # which of them there are is a matter of the rows, so that all epochs are compared by the same one
        wanted = {"gauc": (metrics.gauc, metrics.auc), "auc": (metrics.auc,), "logloss": ()}[self.config.choose_by]
        value = next((area for area in wanted if area is not None), -metrics.logloss)
        if self.state.best_metrics is not None and value <= self.state.best_value:
            return
        self.state.best_epoch, self.state.best_value = self.state.epoch, value
        self.state.best_metrics = asdict(metrics)
        if self.restore_best:
            self._best.keep(self.state, self.model, self.optimizer)

    def _checkpoint(self) -> None:
        if self.folder is not None:
            save(self.folder, self.state, self.model, self.optimizer, run=self.run_identity)


def _seed_of(seed: int, number: int) -> int:
    """A seed of its own for each number behind one seed."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
