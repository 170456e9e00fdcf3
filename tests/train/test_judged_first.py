"""What a last stage begins with may be what training ends with."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import stages
from pocketrec.spec.errors import OptionError
from pocketrec.spec.stage import Stage
from pocketrec.testing.methods.masked_rows import MaskedRows
from pocketrec.testing.registered import registered

RUN = {"epochs": 3, "checkpoint_steps": 1, "patience": None}


def trainer(planted: ModuleType, aucs: Sequence[float], folder: Path | None = None, **arguments: Any) -> Any:
    """Its last stage begins with and has after each epoch these figures, say what the rows may."""
    config = {**RUN, **arguments.pop("config", {})}
    sized = planted.sizing("autosrh", budget=450, rate=0.05)
    made = planted.trainer(sized, planted.data(150, 60), folder=folder, config=config, **arguments)
    judged, last = made._validate, made.stages[-1][0]

    def told(stage: Any, validation: Any) -> Any:
        metrics, error = judged(stage, validation)
        return (
            replace(metrics, auc=aucs[made.state.epoch + (made.state.batch > 0)]) if stage == last else metrics
        ), error

    made._validate = told
    return made


def begins(planted: ModuleType, made: Any) -> list[dict[str, Tensor]]:
    """All tensors at the begin of every stage, filled while it runs."""
    seen: list[dict[str, Tensor]] = []
    made.watcher = watch = planted.Watch()
    watch.begin = lambda **_: seen.append(
        {
            name: t.detach().clone()
            for part in (made.model.bank.tensors(), made.model.nets())
            for name, t in part.items()
        }
    )
    return seen


def tensors(model: Any) -> dict[str, Tensor]:
    return {**model.bank.tensors(), **model.nets()}


def test_what_training_only_harmed_is_as_the_stage_began(planted: ModuleType) -> None:
    made = trainer(planted, [0.9, 0.8, 0.7, 0.85])
    seen = begins(planted, made)
    outcome = made.run()
    assert outcome.best_epoch == 0
    assert outcome.validation.auc == 0.9
    found = tensors(outcome.model)
    assert [name for name, t in seen[-1].items() if not torch.equal(t, found[name])] == []
    assert [e["epoch"] for e in outcome.history if e["stage"] == "retrain"] == [1, 2, 3], "each was tried"


def test_an_epoch_that_helped_is_chosen(planted: ModuleType) -> None:
    assert trainer(planted, [0.7, 0.8, 0.9, 0.85]).run().best_epoch == 2


def test_patience_begins_with_the_stage(planted: ModuleType) -> None:
    outcome = trainer(planted, [0.9, 0.8, 0.7, 0.85], config={"patience": 1}).run()
    assert [e["epoch"] for e in outcome.history if e["stage"] == "retrain"] == [1]
    assert outcome.best_epoch == 0


def test_a_resumed_run_ends_with_the_same(planted: ModuleType, tmp_path: Path) -> None:
    aucs = [0.9, 0.8, 0.7, 0.85]
    whole = trainer(planted, aucs)
    expected = tensors(whole.run().model)
    for stopped in range(1, whole.state.step + 1):
        folder = tmp_path / str(stopped)

        def stop(now: int, step: int = stopped) -> None:
            if now == step:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            trainer(planted, aucs, folder, watcher=planted.Watch(on_step=stop)).run()
        resumed = trainer(planted, aucs, folder).run()
        assert resumed.best_epoch == 0
        found = tensors(resumed.model)
        assert [name for name, t in expected.items() if not torch.equal(t, found[name])] == [], stopped


def test_a_refit_may_end_with_what_the_last_stage_begins_with(planted: ModuleType) -> None:
    with registered(MaskedRows):
        sized = planted.sizing("masked_rows", budget=4 * sum(planted.ROWS) + 25 * 16, search_epochs=2)
        made = planted.trainer(sized, planted.data(150, 0), config=RUN, last_epochs=0)
        seen = []
        made.make_model = lambda bank: seen.append(bank) or planted.make_model(bank)
        outcome = made.run()
    assert outcome.best_epoch == 0
    assert {e["stage"] for e in outcome.history} == {"search"}
    assert outcome.model.bank is seen[1], "the second stage was entered"


def test_whoever_begins_anew_has_nothing_to_judge(planted: ModuleType) -> None:
    """What no epoch trained is not worth to be chosen, and would be if all epochs were worse than chance."""
    for how, judged in (("inherit", True), ("initial", False), ("fresh", False)):
        *_, (last, _) = stages(planted.sizing("autosrh", budget=450, retrain=how))
        assert last.judged_first is judged
    with pytest.raises(OptionError, match="'again' begins with nothing that could be chosen"):
        Stage(name="again", begin="fresh", judged_first=True)
