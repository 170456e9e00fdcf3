"""Rows that begin anew in every epoch, while nets go on (`TrainConfig.relearn`)."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from pocketrec.compress import attach, build
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec
from pocketrec.testing.methods.masked_rows import MaskedRows
from pocketrec.testing.registered import registered
from pocketrec.train import Outcome, WarmStart
from pocketrec.train.optim import optimizer_tensors

RELEARN = {"relearn": True, "epochs": 3, "patience": None, "checkpoint_steps": 2}


def after(outcome: Outcome, bank: Any) -> WarmStart:
    """What an outcome learned, but for its rows, which are those of `bank`."""
    return WarmStart(
        bank=attach(bank.sizing, {name: t.clone() for name, t in bank.tensors().items()}, form="train"),
        nets={name: t.detach().clone() for name, t in outcome.model.nets().items()},
        optimizer={name: t.clone() for name, t in optimizer_tensors(outcome.optimizer).items()},
    )


def differing(planted: ModuleType, first: Outcome, second: Outcome) -> list[str]:
    found, expected = planted.tensors(first), planted.tensors(second)
    assert found.keys() == expected.keys()
    return [name for name, t in found.items() if not torch.equal(t, expected[name])]


@pytest.mark.parametrize("optimizer", ["sgd", "rowwise_adagrad", "adagrad", "adam"])
def test_an_epoch_is_a_run_over_new_rows_with_the_nets_of_the_epoch_before(
    planted: ModuleType, optimizer: OptimizerName
) -> None:
    # in time order both epochs are the same rows, so that the second run can be the second epoch
    sized = planted.sizing("hash_rows", budget=planted.SMALL_BUDGET, optimizer=OptimizerSpec(name=optimizer, lr=0.05))
    whole = planted.trainer(sized, config={**RELEARN, "order": "time", "epochs": 2}, restore_best=False).run()
    first = planted.trainer(sized, config={"order": "time", "epochs": 1}).run()
    new = build(sized, seed=int(np.random.SeedSequence([3, 1]).generate_state(1)[0]))
    second = planted.trainer(sized, config={"order": "time", "epochs": 1}, start=after(first, new)).run()
    assert differing(planted, whole, second) == []
    kept = planted.trainer(sized, config={"order": "time", "epochs": 2}, restore_best=False).run()
    assert differing(planted, whole, kept), "rows that go on learn something else"


def test_rows_of_an_earlier_model_are_where_every_epoch_begins(planted: ModuleType) -> None:
    sized = planted.sizing()
    yesterday = planted.trainer(sized, config={"epochs": 1}).run()
    start, settings = after(yesterday, yesterday.model.bank), {"order": "time", "epochs": 1}
    whole = planted.trainer(
        sized, config={**RELEARN, "order": "time", "epochs": 2}, restore_best=False, start=start
    ).run()
    first = planted.trainer(sized, config=settings, start=start).run()
    second = planted.trainer(sized, config=settings, start=after(first, yesterday.model.bank)).run()
    assert differing(planted, whole, second) == []


def test_rare_labels_are_not_learned_by_heart(planted: ModuleType) -> None:
    """As many rows in the tables as in the log, and large steps: in its second epoch a model has seen all labels."""
    aucs = {}
    for relearn in (False, True):
        sized = planted.sizing(rows=(400, 7, 300), optimizer=OptimizerSpec(lr=0.5))
        config = {**RELEARN, "relearn": relearn, "epochs": 4, "dense_lr": 0.03}
        history = planted.trainer(sized, planted.data(300, 600, rows=(400, 7, 300)), config=config).run().history
        aucs[relearn] = history[-1]["auc"]
        assert relearn == (history[-1]["train_loss"] > 0.3)
    assert aucs[True] > aucs[False] + 0.02


@pytest.mark.parametrize("best", [False, True])
def test_it_resumes_exactly_at_every_step(planted: ModuleType, tmp_path: Path, best: bool) -> None:
    def trainer(folder: Path | None = None, **arguments: Any) -> Any:
        sized = planted.sizing("robe", budget=400)
        given = planted.data(150, 60)  # three steps an epoch
        return planted.trainer(sized, given, folder=folder, config=RELEARN, restore_best=best, **arguments)

    whole = trainer().run()
    for step in range(1, 10):

        def stop(now: int, step: int = step) -> None:
            if now == step:
                os.kill(os.getpid(), signal.SIGINT)

        def die(now: int, step: int = step) -> None:
            if now == step:
                raise RuntimeError

        for way, error in ((stop, KeyboardInterrupt), (die, RuntimeError)):
            folder = tmp_path / f"{step}-{error.__name__}"
            with pytest.raises(error):
                trainer(folder, watcher=planted.Watch(on_step=way)).run()
            assert differing(planted, trainer(folder).run(), whole) == [], (step, error)


def test_methods_of_several_stages_are_refused(planted: ModuleType) -> None:
    with registered(MaskedRows):
        sized = planted.sizing("masked_rows")
        with pytest.raises(OptionError, match="relearn is for methods of one stage; this one has search, retrain"):
            planted.trainer(sized, config=RELEARN).run()
