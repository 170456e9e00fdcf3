"""An earlier model goes on: rows, nets and the state of both optimizers, in tables that may have grown."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from pocketrec.compress import attach, freeze
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec
from pocketrec.train import Outcome, WarmStart
from pocketrec.train.optim import optimizer_tensors

GROWN = (55, 7, 20)


def start(outcome: Outcome) -> WarmStart:
    """Yesterday, as the pipeline hands it over: read-only, attached to its own tensors."""
    bank = outcome.model.bank
    return WarmStart(
        bank=attach(bank.sizing, {name: t.clone() for name, t in bank.tensors().items()}, form="train"),
        nets={name: t.detach().clone() for name, t in outcome.model.nets().items()},
        optimizer={name: t.clone() for name, t in optimizer_tensors(outcome.optimizer).items()},
    )


def halted(planted: ModuleType, sized: Any, **arguments: Any) -> Any:
    """A trainer stopped before its first step."""

    class Stop(Exception):
        pass

    class Stopping(planted.Watch):  # type: ignore[misc, name-defined]
        def begin(self, **stage: Any) -> None:
            raise Stop

    trainer = planted.trainer(sized, watcher=Stopping(), **arguments)
    with pytest.raises(Stop):
        trainer.run()
    return trainer


@pytest.mark.parametrize("optimizer", ["sgd", "rowwise_adagrad", "adagrad", "adam"])
@pytest.mark.parametrize("dense_optimizer", ["adam", "adagrad", "sgd"])
def test_two_runs_of_one_epoch_are_one_run_of_two(
    planted: ModuleType, optimizer: OptimizerName, dense_optimizer: str
) -> None:
    # in time order both epochs are the same rows, so that the second run can be the second epoch
    sized = planted.sizing(optimizer=OptimizerSpec(name=optimizer, lr=0.05))
    settings = {"order": "time", "dense_optimizer": dense_optimizer}
    whole = planted.trainer(sized, config={**settings, "epochs": 2}).run()
    first = planted.trainer(sized, config={**settings, "epochs": 1}).run()
    second = planted.trainer(sized, config={**settings, "epochs": 1}, start=start(first), seed=77).run()
    expected, found = planted.tensors(whole), planted.tensors(second)
    assert found.keys() == expected.keys()
    assert [name for name, t in found.items() if not torch.equal(t, expected[name])] == []
    assert int(second.model.bank.steps) == 24


def test_full_grows_rows_and_keeps_those_that_were(planted: ModuleType) -> None:
    optimizer = OptimizerSpec(name="adagrad", lr=0.1)
    before = planted.trainer(planted.sizing(optimizer=optimizer), config={"epochs": 2}).run()
    grown = planted.sizing(rows=GROWN, optimizer=optimizer)
    trainer = halted(planted, grown, start=start(before), given=planted.data(rows=GROWN))
    fresh = halted(planted, grown, given=planted.data(rows=GROWN))
    old, new, blank = (t.model.bank.tensors() for t in (before, trainer, fresh))
    assert {name for name in new if name.startswith("0.")} == {"0.rows", "0.rows.sum"}
    for name in ("0.rows", "0.rows.sum"):
        parts = [torch.split(t[name], sizes) for t, sizes in ((old, planted.ROWS), (new, GROWN), (blank, GROWN))]
        for was, now, untouched in zip(*parts, strict=True):
            assert torch.equal(now[: len(was)], was)
            assert torch.equal(now[len(was) :], untouched[len(was) :]), "new rows start as in a new table"
    assert int(new["steps"]) == int(old["steps"]) == 24
    then, now = optimizer_tensors(before.optimizer), optimizer_tensors(trainer.optimizer)
    assert all(torch.equal(t, now[name]) for name, t in then.items())
    assert all(torch.equal(t, trainer.model.nets()[name]) for name, t in before.model.nets().items())
    outcome = planted.trainer(grown, planted.data(rows=GROWN), start=start(before)).run()
    assert (
        outcome.history[0]["train_loss"]
        < planted.trainer(grown, planted.data(rows=GROWN)).run().history[0]["train_loss"]
    )


def test_yesterday_is_left_as_it_was(planted: ModuleType) -> None:
    before = planted.trainer(config={"epochs": 1}).run()
    warm = start(before)
    kept = planted.tensors(before)
    planted.trainer(start=warm).run()
    for name, tensor in warm.bank.tensors().items():
        assert torch.equal(tensor, kept[f"bank.{name}"])
    assert all(torch.equal(t, kept[f"nets.{name}"]) for name, t in warm.nets.items())
    assert all(torch.equal(t, kept[f"optimizer.{name}"]) for name, t in warm.optimizer.items())


@pytest.mark.parametrize("method", ["full", "hash_rows", "quotient_remainder", "robe", "min_count", "narrow"])
def test_scores_before_the_first_step_are_yesterdays_whatever_the_seed(
    planted: ModuleType, tmp_path: Path, method: str
) -> None:
    sized = planted.sizing(method, budget=planted.SMALL_BUDGET)
    before = planted.trainer(sized, config={"epochs": 1}).run()
    trainer = halted(planted, sized, start=start(before), seed=99)
    rows = planted.clicks(50, seed=3)
    with torch.no_grad():
        expected = before.model.eval()(rows.dense, rows.ids)
        model = trainer.model.eval()
        served = model.with_bank(freeze(model.bank)).eval()
        assert torch.equal(model(rows.dense, rows.ids), expected)
        assert torch.equal(served(rows.dense, rows.ids), expected)


@pytest.mark.parametrize("method", ["hash_rows", "robe"])
def test_a_continued_run_resumes_exactly(planted: ModuleType, tmp_path: Path, method: str) -> None:
    # the hashes follow yesterday's seed, which is in the checkpoint and not in the run's own seed
    sized = planted.sizing(method, budget=planted.SMALL_BUDGET)
    before = planted.trainer(sized, config={"epochs": 1}).run()
    whole = planted.trainer(sized, start=start(before), seed=99, config={"epochs": 2}).run()

    def stop(step: int) -> None:
        if step == 14:
            raise KeyboardInterrupt

    settings = {"start": start(before), "seed": 99, "folder": tmp_path}
    changes = {"epochs": 2, "checkpoint_steps": 6}
    with pytest.raises(KeyboardInterrupt):
        planted.trainer(sized, watcher=planted.Watch(on_step=stop), config=changes, **settings).run()
    resumed = planted.trainer(sized, config=changes, **settings).run()
    assert "Went on at step 12" in resumed.notes[0]
    expected, found = planted.tensors(whole), planted.tensors(resumed)
    assert [name for name, t in found.items() if not torch.equal(t, expected[name])] == []


def test_another_optimizer_of_rows_is_refused(planted: ModuleType) -> None:
    before = planted.trainer(config={"epochs": 1}).run()
    other = planted.sizing(optimizer=OptimizerSpec(name="adam"))
    with pytest.raises(
        OptionError, match=r"updated by rowwise_adagrad, now by adam.*Keep optimizer.name rowwise_adagrad"
    ):
        planted.trainer(other, start=start(before)).run()
    lower = planted.sizing(optimizer=OptimizerSpec(lr=0.01))
    assert planted.trainer(lower, start=start(before), config={"epochs": 1}).run().history


def test_another_optimizer_of_the_nets_is_refused(planted: ModuleType) -> None:
    before = planted.trainer(config={"epochs": 1}).run()
    with pytest.raises(OptionError, match="Keep dense_optimizer"):
        planted.trainer(start=start(before), config={"dense_optimizer": "adagrad"}).run()


def test_nets_of_another_model_are_refused(planted: ModuleType) -> None:
    from pocketrec.models import MODELS, ModelConfig

    def wider(bank: Any) -> Any:
        return MODELS.get("dlrm")(bank, dense_features=2, config=ModelConfig(bottom=(6,), top=(9,)), seed=0)

    before = planted.trainer(config={"epochs": 1}).run()
    with pytest.raises(OptionError, match="nets of another model"):
        planted.trainer(start=start(before), make_model=wider).run()
