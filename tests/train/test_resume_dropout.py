"""A model with dropout, killed on the way, ends as if nothing had been: masks are of the seed and the step alone."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from pocketrec.compress import Bank
from pocketrec.models import MODELS, Model, ModelConfig

LONG = {"epochs": 3, "checkpoint_steps": 2, "patience": None}


class Killed(BaseException):
    """The process is dead."""


def killed_at(last: int) -> Any:
    def on_step(step: int) -> None:
        if step == last:
            raise Killed

    return on_step


@pytest.mark.parametrize("name", MODELS.names())
def test_a_killed_run_goes_on_with_the_masks_that_it_would_have_drawn(
    name: str, planted: ModuleType, tmp_path: Path
) -> None:
    model = MODELS.get(name)
    config = ModelConfig(name=name, bottom=(6,), top=(8, 8), dropout=0.3, cross_layers=1)

    def make(bank: Bank) -> Model:
        return model(bank, dense_features=planted.DENSE, config=config, seed=7)

    def trainer(folder: Path | None, **arguments: Any) -> Any:
        return planted.trainer(
            given=planted.data(200, 60), folder=folder, config=LONG, make_model=make, **arguments
        )  # fmt: skip

    whole = planted.tensors(trainer(None).run())
    for step in (3, 7):
        with pytest.raises(Killed):
            trainer(tmp_path, watcher=planted.Watch(on_step=killed_at(step))).run()
    resumed = planted.tensors(trainer(tmp_path).run())
    assert whole.keys() == resumed.keys()
    assert [n for n, t in whole.items() if not torch.equal(t, resumed[n])] == []
