"""The loop: it learns, chooses an epoch, keeps its promises about memory, order and errors."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketrec.artifact.checkpoint import latest_checkpoint
from pocketrec.metrics import auc_standard_error, evaluate
from pocketrec.native.flushed_denormals import flushes
from pocketrec.spec.errors import ArtifactError, NotFinite, TrainingError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.train import Outcome, scores_of

# Few rows and large steps: validation figures get worse again before the last epoch.
OVERFITTING = {"epochs": 8, "dense_lr": 0.03, "patience": None}


def overfitting(planted: ModuleType, **arguments: Any) -> Any:
    sized = planted.sizing(optimizer=OptimizerSpec(lr=0.5))
    changes = {**OVERFITTING, **arguments.pop("config", {})}
    return planted.trainer(sized, planted.data(150, 200), config=changes, **arguments)


def at_every_epoch(planted: ModuleType, trainer: Any) -> list[dict[str, Tensor]]:
    """All tensors of the trainer at the end of each of its epochs, filled while it runs."""
    kept: list[dict[str, Tensor]] = []

    def note(entry: dict[str, Any]) -> None:
        outcome = Outcome(
            model=trainer.model, history=[], best_epoch=0, validation=None, optimizer=trainer.optimizer
        )  # fmt: skip
        kept.append(planted.tensors(outcome))

    watch = planted.Watch()
    watch.epoch = note
    trainer.watcher = watch
    return kept


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(t, second[name]) for name, t in first.items())


# -- learning ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("dense_optimizer", ["adam", "adagrad", "sgd"])
def test_the_planted_law_is_learned(planted: ModuleType, precision: str, dense_optimizer: str) -> None:
    dense_lr = {"adam": 0.01, "adagrad": 0.05, "sgd": 0.2}[dense_optimizer]
    changes = {"precision": precision, "dense_optimizer": dense_optimizer, "dense_lr": dense_lr, "epochs": 6}
    outcome = planted.trainer(config=changes).run()
    losses = [entry["train_loss"] for entry in outcome.history]
    assert losses[-1] < losses[0] - 0.1
    assert outcome.validation.auc > 0.72
    assert not outcome.model.training


def test_equal_seeds_give_equal_runs(planted: ModuleType) -> None:
    first, second, other = (planted.trainer(seed=seed).run() for seed in (3, 3, 4))
    assert same(planted.tensors(first), planted.tensors(second))
    assert planted.without_times(first.history) == planted.without_times(second.history)
    assert not same(planted.tensors(first), planted.tensors(other))


def test_epochs_of_a_share_take_other_rows_each_time(planted: ModuleType) -> None:
    outcome = planted.trainer(given=planted.data(130, 40), config={"epochs": 3, "share": 0.5, "batch_size": 10}).run()
    assert [entry["step"] for entry in outcome.history] == [7, 14, 21]
    whole = planted.trainer(given=planted.data(130, 40), config={"epochs": 3, "batch_size": 10}).run()
    assert not same(planted.tensors(outcome), planted.tensors(whole))


def test_the_history_is_json_and_counts(planted: ModuleType) -> None:
    outcome = planted.trainer(given=planted.data(130, 40), config={"epochs": 2}).run()
    assert json.loads(json.dumps(outcome.history, allow_nan=False)) == outcome.history
    assert [(e["stage"], e["epoch"], e["step"]) for e in outcome.history] == [("train", 1, 3), ("train", 2, 6)]
    for entry in outcome.history:
        assert entry["rows_per_s"] == pytest.approx(130 / entry["seconds"])


def test_the_training_loss_is_the_mean_over_rows(planted: ModuleType) -> None:
    # a model that cannot move: 120 rows in batches of 50, the last of 20
    trainer = planted.trainer(given=planted.data(120, 0), config={"epochs": 1, "dense_lr": 1e-12}, seed=0)
    trainer.stages = [(replace(stage, tables=False), sizing) for stage, sizing in trainer.stages]
    outcome = trainer.run()
    found = scores_of(outcome.model, trainer.data.train, batch_size=120)
    assert outcome.history[0]["train_loss"] == pytest.approx(evaluate(found.labels, found.logits).logloss, rel=1e-5)


@pytest.mark.parametrize("order", ["time", "shuffle"])
def test_rows_come_in_the_order_asked_for(planted: ModuleType, order: str) -> None:
    given = planted.data()
    planted.trainer(given=given, config={"order": order, "epochs": 2}, seed=11).run()
    asked = [a for a in given.train.asked if a["batch_size"] == 50]
    assert asked == [
        {"order": order, "seed": 11, "epoch": epoch, "start": 0, "batch_size": 50} for epoch in (0, 1)
    ]  # fmt: skip
    assert {a["order"] for a in given.validation.asked} == {"time"}


def test_ids_are_asked_for_in_the_spaces_of_the_tables(planted: ModuleType) -> None:
    given = planted.data()
    planted.trainer(planted.sizing("hash_rows", budget=8 + 20 * 16), given, config={"epochs": 1}).run()
    assert {space for space in given.asked} == {
        (part, ("hash63", "rank", "hash63")) for part in ("train", "validation")
    }


def test_the_watcher_is_told_everything(planted: ModuleType) -> None:
    watch = planted.Watch()
    outcome = planted.trainer(watcher=watch, config={"epochs": 2}).run()
    assert watch.begun == [
        {"stage": "train", "epochs": 2, "batches": 12, "batch_size": 50, "epoch": 0, "batch": 0}
    ]  # fmt: skip
    assert watch.steps == list(range(1, 25))
    assert watch.epochs == outcome.history
    assert watch.ended == 1
    assert np.mean(watch.losses[:12]) == pytest.approx(outcome.history[0]["train_loss"])


# -- choosing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_disk", [True, False])
@pytest.mark.parametrize("choose_by", ["auc", "logloss"])
def test_the_best_epoch_is_given_back_exactly(
    planted: ModuleType, tmp_path: Path, choose_by: str, on_disk: bool
) -> None:
    trainer = overfitting(planted, config={"choose_by": choose_by}, folder=tmp_path / "run" if on_disk else None)
    epochs = at_every_epoch(planted, trainer)
    outcome = trainer.run()
    figures = [e["auc"] if choose_by == "auc" else -e["logloss"] for e in outcome.history]
    best = int(np.argmax(figures)) + 1
    assert 1 < best < len(figures) == 8, "the problem should have its best epoch in between"
    assert outcome.best_epoch == best
    assert same(planted.tensors(outcome), epochs[best - 1])
    assert not same(epochs[best - 1], epochs[-1])
    found = scores_of(outcome.model, trainer.data.validation, batch_size=64)
    again = evaluate(found.labels, found.logits)
    assert outcome.validation is not None
    assert again.logloss == pytest.approx(outcome.validation.logloss, rel=1e-5)
    assert outcome.validation.auc == outcome.history[best - 1]["auc"]


def test_auc_and_logloss_may_choose_differently(planted: ModuleType) -> None:
    chosen = {by: overfitting(planted, config={"choose_by": by}).run().best_epoch for by in ("auc", "logloss")}
    assert chosen["auc"] != chosen["logloss"]


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_patience_ends_training_and_the_best_epoch_stays(planted: ModuleType, patience: int) -> None:
    whole = overfitting(planted, config={"choose_by": "logloss"}).run()
    curve = [e["logloss"] for e in whole.history]
    outcome = overfitting(planted, config={"choose_by": "logloss", "patience": patience}).run()
    expected = next(
        (n for n in range(1, 9) if n - (int(np.argmin(curve[:n])) + 1) >= patience), 8
    )  # fmt: skip
    assert len(outcome.history) == expected < 8
    assert outcome.best_epoch == int(np.argmin(curve[:expected])) + 1


def test_of_equal_epochs_the_first_is_the_best(planted: ModuleType) -> None:
    trainer = planted.trainer(given=planted.data(100, 50), config={"epochs": 4, "patience": 2})
    trainer.stages = [(replace(stage, tables=False, dense=False), sizing) for stage, sizing in trainer.stages]
    outcome = trainer.run()
    assert (outcome.best_epoch, len(outcome.history)) == (1, 3)


@pytest.mark.parametrize("on_disk", [True, False])
def test_the_last_epoch_is_given_when_that_is_wanted(planted: ModuleType, tmp_path: Path, on_disk: bool) -> None:
    folder = tmp_path / "run" if on_disk else None
    trainer = overfitting(planted, restore_best=False, folder=folder)
    epochs = at_every_epoch(planted, trainer)
    outcome = trainer.run()
    assert same(planted.tensors(outcome), epochs[-1])
    assert 0 < outcome.best_epoch < len(epochs)
    assert folder is None or not (folder / "best").exists()


@pytest.mark.parametrize("how", ["no source", "no rows"])
def test_without_validation_rows_all_epochs_train_and_the_last_is_given(planted: ModuleType, how: str) -> None:
    given = planted.data(200, 0)
    if how == "no rows":
        given = planted.Data(train=given.train, validation=planted.Source(rows=planted.clicks(0, seed=1)))
    trainer = planted.trainer(given=given, config={"epochs": 4, "patience": 1})
    epochs = at_every_epoch(planted, trainer)
    outcome = trainer.run()
    assert (outcome.best_epoch, outcome.validation, len(outcome.history)) == (4, None, 4)
    assert not {"auc", "auc_standard_error", "logloss"} & set(outcome.history[0])
    assert same(planted.tensors(outcome), epochs[-1])


def test_validation_of_one_class_has_no_auc_and_is_judged_by_logloss(planted: ModuleType) -> None:
    given = planted.data(200, 60)
    given.validation.rows.label.fill_(1)
    watch = planted.Watch()
    outcome = planted.trainer(given=given, config={"epochs": 5, "patience": None}, watcher=watch).run()
    assert [(e["auc"], e["auc_standard_error"]) for e in outcome.history] == [(None, None)] * 5
    assert outcome.best_epoch == int(np.argmin([e["logloss"] for e in outcome.history])) + 1
    assert outcome.validation is not None
    assert outcome.validation.auc is None
    json.dumps(outcome.history, allow_nan=False)


def test_validation_rows_are_weighted(planted: ModuleType) -> None:
    given = planted.data(200, 80, weights=True)
    outcome = planted.trainer(given=given, config={"epochs": 1}).run()
    found = scores_of(outcome.model, given.validation, batch_size=128)
    weighted, plain = evaluate(found.labels, found.logits, found.weights), evaluate(found.labels, found.logits)
    assert outcome.history[0]["logloss"] == pytest.approx(weighted.logloss, rel=1e-6)
    assert weighted.logloss != pytest.approx(plain.logloss, rel=1e-4)
    error = auc_standard_error(found.labels, found.logits, found.weights)
    assert outcome.history[0]["auc_standard_error"] == pytest.approx(error, rel=1e-6)
    assert error > auc_standard_error(found.labels, found.logits)


def with_users(given: Any) -> Any:
    """Rows of 60 users, each in turn."""
    parts = (given.train, given.validation)
    sources = [replace(s, rows=replace(s.rows, user=torch.arange(len(s.rows.label)) % 60)) for s in parts]
    return replace(given, train=sources[0], validation=sources[1])


def test_gauc_chooses_the_epoch_where_rows_have_users(planted: ModuleType) -> None:
    sized = planted.sizing(optimizer=OptimizerSpec(lr=0.5))
    chosen = {}
    for by in ("auc", "gauc"):
        given = with_users(planted.data(150, 200))
        outcome = planted.trainer(sized, given, config={**OVERFITTING, "choose_by": by}).run()
        assert outcome.best_epoch == int(np.argmax([e[by] for e in outcome.history])) + 1
        chosen[by] = outcome.best_epoch
        assert outcome.validation is not None
        assert outcome.validation.gauc == outcome.history[outcome.best_epoch - 1]["gauc"]
        found = scores_of(outcome.model, given.validation, batch_size=128)
        again = evaluate(found.labels, found.logits, found.weights, found.users)
        assert again.gauc == pytest.approx(outcome.validation.gauc, abs=1e-12)
    assert chosen["auc"] != chosen["gauc"]


def test_without_a_user_of_both_classes_auc_chooses(planted: ModuleType) -> None:
    given = with_users(planted.data(150, 60))
    given.validation.rows.user.copy_(torch.arange(60))
    outcome = planted.trainer(given=given, config={"epochs": 3, "patience": None, "choose_by": "gauc"}).run()
    assert [e["gauc"] for e in outcome.history] == [None] * 3
    assert outcome.best_epoch == int(np.argmax([e["auc"] for e in outcome.history])) + 1


def test_gauc_without_users_is_refused(planted: ModuleType) -> None:
    with pytest.raises(TrainingError, match="choose_by is gauc, and the rows have no users"):
        planted.trainer(config={"choose_by": "gauc"}).run()


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["no source", "no rows"])
def test_without_training_rows_the_error_is_clear(planted: ModuleType, how: str) -> None:
    given = planted.data(0, 50)
    if how == "no rows":
        given = planted.Data(train=planted.Source(rows=planted.clicks(0, seed=1)), validation=given.validation)
    with pytest.raises(TrainingError, match=r"'train' trains on train rows, and there are none. Change the split"):
        planted.trainer(given=given).run()


def test_a_batch_that_is_not_finite_is_named_and_the_last_checkpoint_stays(planted: ModuleType, tmp_path: Path) -> None:
    given, watch = planted.data(300, 50), planted.Watch()
    given.train.rows.dense[170, 1] = math.nan
    settings = {"order": "time", "checkpoint_steps": 2}
    trainer = planted.trainer(given=given, folder=tmp_path, watcher=watch, config=settings)
    with pytest.raises(NotFinite, match=r"Stage train, epoch 1, batch 3 \(from 0\).*Row 20 of the batch"):
        trainer.run()
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.manifest.content["state"]["step"] == 2
    assert (watch.steps, watch.ended) == ([1, 2, 3], 1)
    given.train.rows.dense[170, 1] = 0
    outcome = planted.trainer(given=given, folder=tmp_path, config=settings).run()
    assert len(outcome.history) == 3


def test_scores_that_are_not_finite_name_the_epoch(planted: ModuleType) -> None:
    given = planted.data(100, 50)
    given.validation.rows.dense[7, 0] = math.inf
    with pytest.raises(
        NotFinite, match=r"Stage train, epoch 1, validation: .* of 50 logits .*lower the learning rates"
    ):
        planted.trainer(given=given).run()


def identities(planted: ModuleType) -> dict[str, dict[str, Any]]:
    from pocketrec.train import WarmStart
    from pocketrec.train.optim import optimizer_tensors

    before = planted.trainer(config={"epochs": 1}).run()
    start = WarmStart(
        bank=before.model.bank, nets=before.model.nets(), optimizer=optimizer_tensors(before.optimizer)
    )  # fmt: skip
    return {
        "seed": {"seed": 4},
        "config": {"config": {"epochs": 9}},
        "sizing": {"sized": planted.sizing(optimizer=OptimizerSpec(lr=0.11))},
        "rows": {"given": planted.data(601, 300)},
        "start": {"start": start},
        "data": {"identity": {"data": "tomorrow", "model": "dlrm"}},
        "data, model": {"identity": {}},
    }


def test_a_checkpoint_of_another_run_is_refused_by_name(planted: ModuleType, tmp_path: Path) -> None:
    first = {"identity": {"data": "today", "model": "dlrm"}, "folder": tmp_path}
    planted.trainer(**first).run()
    for named, changed in identities(planted).items():
        with pytest.raises(ArtifactError, match=f"of another run: {named} differ"):
            planted.trainer(**{**first, **changed}).run()
    assert planted.trainer(**first).run().notes


def test_nets_of_another_model_in_the_folder_are_refused(planted: ModuleType, tmp_path: Path) -> None:
    from pocketrec.models import MODELS, ModelConfig

    planted.trainer(folder=tmp_path).run()

    def wider(bank: Any) -> Any:
        return MODELS.get("dlrm")(bank, dense_features=2, config=ModelConfig(bottom=(6,), top=(9,)), seed=0)

    with pytest.raises(ValueError, match=r"nets of another model: 'top.0.bias' is \[8\] in them and \[9\]"):
        planted.trainer(folder=tmp_path, make_model=wider).run()


# -- resume --------------------------------------------------------------------------------------------------------


def test_a_finished_run_returns_at_once_with_the_same_outcome(planted: ModuleType, tmp_path: Path) -> None:
    first = overfitting(planted, folder=tmp_path).run()
    watch, trainer = planted.Watch(), overfitting(planted, folder=tmp_path)
    trainer.watcher = watch
    second = trainer.run()
    assert same(planted.tensors(first), planted.tensors(second))
    assert second.history == first.history
    assert (second.best_epoch, second.validation) == (first.best_epoch, first.validation)
    assert first.best_epoch < len(first.history)
    assert (watch.begun, watch.steps, watch.epochs) == ([], [], [])
    assert trainer.data.train.asked == trainer.data.validation.asked == []
    assert "Went on at step 24" in second.notes[0]


def test_checkpoints_come_as_often_as_asked_and_after_every_epoch(
    planted: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pocketrec.train import trainer as module

    saved, real = [], module.save

    def note(folder: Path, state: Any, *rest: Any, **named: Any) -> None:
        saved.append((state.step, state.epoch, state.batch))
        real(folder, state, *rest, **named)

    monkeypatch.setattr(module, "save", note)
    planted.trainer(folder=tmp_path, config={"epochs": 2, "checkpoint_steps": 5}).run()
    assert saved == [(5, 0, 5), (10, 0, 10), (12, 1, 0), (15, 1, 3), (20, 1, 8), (24, 2, 0)]


SIGNALLED = {"checkpoint_steps": 3}


@pytest.fixture(scope="module")
def uninterrupted(planted: ModuleType) -> Any:
    return planted.trainer(given=planted.data(200, 60), config=SIGNALLED).run()


# 4 steps an epoch: in the middle, at a checkpoint, at the last batch of an epoch, after it, at the very last step
@pytest.mark.parametrize(("number", "step"), [(signal.SIGINT, n) for n in (1, 3, 4, 5, 8, 12)] + [(signal.SIGTERM, 6)])
def test_after_a_signal_the_step_is_finished_and_the_resumed_end_is_the_same(
    planted: ModuleType, tmp_path: Path, uninterrupted: Any, step: int, number: int
) -> None:
    def ask(now: int) -> None:
        if now == step:
            os.kill(os.getpid(), number)

    watch, given = planted.Watch(on_step=ask), planted.data(200, 60)
    stopped = planted.trainer(given=given, folder=tmp_path, watcher=watch, config=SIGNALLED)
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    assert (watch.steps[-1], watch.ended) == (step, 1)
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.manifest.content["state"]["step"] == step
    later = planted.Watch()
    resumed = planted.trainer(given=given, folder=tmp_path, watcher=later, config=SIGNALLED).run()
    assert later.steps == list(range(step + 1, 13))
    assert later.begun[0]["epoch"] * 4 + later.begun[0]["batch"] == step
    assert same(planted.tensors(resumed), planted.tensors(uninterrupted))
    assert planted.without_times(resumed.history) == planted.without_times(uninterrupted.history)
    assert (resumed.best_epoch, resumed.validation) == (uninterrupted.best_epoch, uninterrupted.validation)


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_signal_during_validation_stops_after_it(planted: ModuleType, tmp_path: Path, epoch: int) -> None:
    given, calls = planted.data(), []

    class Interrupting(planted.Source):  # type: ignore[misc, name-defined]
        def batches(self, **settings: Any) -> Any:
            calls.append(settings)
            if len(calls) == epoch:
                os.kill(os.getpid(), signal.SIGINT)
            return super().batches(**settings)

    rows = given.validation.rows
    interrupting = planted.Data(train=given.train, validation=Interrupting(rows=rows))
    with pytest.raises(KeyboardInterrupt):
        planted.trainer(given=interrupting, folder=tmp_path / "run").run()
    found = latest_checkpoint(tmp_path / "run")
    assert found is not None
    assert (found.manifest.content["state"]["epoch"], len(calls)) == (epoch, epoch)
    resumed = planted.trainer(given=given, folder=tmp_path / "run").run()
    assert same(planted.tensors(resumed), planted.tensors(planted.trainer().run()))


def test_seconds_of_an_epoch_are_summed_over_its_processes(planted: ModuleType, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(step: int) -> None:
        if step == 8:
            raise Stop

    watch = planted.Watch(on_step=stop)
    with pytest.raises(Stop):
        planted.trainer(folder=tmp_path, watcher=watch, config={"checkpoint_steps": 6}).run()
    found = latest_checkpoint(tmp_path)
    assert found is not None
    state = found.manifest.content["state"]
    assert (state["batch"], state["rows"]) == (6, 300)
    outcome = planted.trainer(folder=tmp_path, config={"checkpoint_steps": 6}).run()
    assert outcome.history[0]["seconds"] > state["seconds"] > 0
    assert outcome.history[0]["rows_per_s"] == pytest.approx(600 / outcome.history[0]["seconds"])


def test_checkpoints_that_were_passed_over_are_told(planted: ModuleType, tmp_path: Path) -> None:
    planted.trainer(folder=tmp_path).run()
    newest = max(tmp_path.glob("save-*"))
    (newest / "manifest.json").write_text("{}")
    outcome = planted.trainer(folder=tmp_path).run()
    assert "Went on at step 24" in outcome.notes[0]
    assert "Passed over: " in outcome.notes[1]
    assert newest.name in outcome.notes[1]


# -- memory --------------------------------------------------------------------------------------------------------


def memories(least_bytes: int) -> set[int]:
    """Where the memories of at least so many bytes lie that live tensors of this process hold."""
    # sparse and meta tensors, which other tests of the same process may have left, have no memory of this kind
    tensors = [one for one in gc.get_objects() if type(one) in (Tensor, torch.nn.Parameter)]
    plain = [one for one in tensors if one.layout is torch.strided and one.device.type == "cpu"]
    found = [one.untyped_storage() for one in plain]
    return {storage.data_ptr() for storage in found if storage.nbytes() >= least_bytes}


def copies_while_training(planted: ModuleType, folder: Path | None, until: int = 8) -> int:
    """How often the tables lie in memory at most, over the steps and ends of epochs up to a step."""
    rows, before, found = (5000, 7, 12), memories(5000 * 16), []
    trainer = planted.trainer(planted.sizing(rows=rows), planted.data(100, 50, rows=rows), folder=folder)

    def count(step: int) -> None:
        found.append(len(memories(5000 * 16) - before))
        if step == until:
            os.kill(os.getpid(), signal.SIGINT)

    trainer.watcher = watch = planted.Watch(on_step=count)
    watch.epoch = lambda entry: count(0)
    with contextlib.suppress(KeyboardInterrupt):
        trainer.run()
    assert found
    return max(found)


def test_tables_lie_in_memory_once(planted: ModuleType, tmp_path: Path) -> None:
    assert copies_while_training(planted, tmp_path, until=3) == 1
    assert copies_while_training(planted, tmp_path) == 1, "going on from a checkpoint"


def test_without_a_folder_the_best_epoch_is_the_one_other_copy(planted: ModuleType) -> None:
    assert copies_while_training(planted, None) == 2


def test_denormal_numbers_are_zero_while_it_trains(planted: ModuleType) -> None:
    """They cost a hundred times the time of others."""
    seen: list[bool] = []
    watch = planted.Watch()
    watch.step = lambda **_: seen.append(flushes())
    before, trainer = flushes(), planted.trainer(config={"epochs": 1})
    trainer.watcher = watch
    trainer.run()
    assert seen
    assert all(seen)
    assert flushes() == before
