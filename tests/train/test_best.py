"""The best epoch comes back exactly, from disk or from memory."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from pocketrec.compress import build
from pocketrec.models import Model
from pocketrec.spec.errors import TrainingError
from pocketrec.train.best import BestEpoch
from pocketrec.train.optim import dense_optimizer
from pocketrec.train.state import TrainState, parts_of

RUN = {"seed": 1}


class Run:
    """A model whose every step is another value."""

    def __init__(self, planted: ModuleType) -> None:
        self.model: Model = planted.make_model(build(planted.sizing(), seed=0)).train()
        self.optimizer = dense_optimizer(self.model.dense_parameters(), planted.config())
        self.rows = planted.clicks(20, seed=0)

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.model(self.rows.dense, self.rows.ids).square().sum().backward()
        self.optimizer.step()
        self.model.bank.step()

    def tensors(self) -> dict[str, Tensor]:
        parts = parts_of(self.model, self.optimizer)
        return {f"{part}.{name}": t.clone() for part, found in parts.items() for name, t in found.items()}


@pytest.mark.parametrize("on_disk", [True, False])
@pytest.mark.parametrize("keeps", [1, 2])
def test_the_epoch_that_was_kept_last_comes_back(
    planted: ModuleType, tmp_path: Path, on_disk: bool, keeps: int
) -> None:
    run, best = Run(planted), BestEpoch(tmp_path / "best" if on_disk else None, RUN)
    for epoch in range(1, keeps + 1):
        run.step()
        best.keep(TrainState(best_epoch=epoch, step=epoch), run.model, run.optimizer)
    kept = run.tensors()
    for _ in range(2):
        run.step()
    assert any(not torch.equal(t, kept[name]) for name, t in run.tensors().items())
    best.bring_back(TrainState(best_epoch=keeps), run.model, run.optimizer)
    assert all(torch.equal(t, kept[name]) for name, t in run.tensors().items())


def test_in_memory_there_is_one_copy_however_often_it_is_kept(planted: ModuleType) -> None:
    run, best = Run(planted), BestEpoch(None, RUN)
    places = []
    for epoch in (1, 2):
        run.step()
        best.keep(TrainState(best_epoch=epoch), run.model, run.optimizer)
        assert best._copy is not None
        places.append({n: t.data_ptr() for part in best._copy.values() for n, t in part.items()})
    assert places[0] == places[1]


def test_on_disk_there_is_one_copy_and_none_in_memory(planted: ModuleType, tmp_path: Path) -> None:
    run, best = Run(planted), BestEpoch(tmp_path / "best", RUN)
    for epoch in (1, 2, 3):
        run.step()
        best.keep(TrainState(best_epoch=epoch, step=epoch), run.model, run.optimizer)
    assert [p.name for p in (tmp_path / "best").iterdir()] == ["save-000003-step-3"]
    assert best._copy is None


@pytest.mark.parametrize("state", [TrainState(best_epoch=2), TrainState(stage=1, best_epoch=1)])
def test_another_epoch_than_the_best_is_refused(planted: ModuleType, tmp_path: Path, state: TrainState) -> None:
    run, best = Run(planted), BestEpoch(tmp_path / "best", RUN)
    run.step()
    best.keep(TrainState(best_epoch=1, step=1), run.model, run.optimizer)
    with pytest.raises(TrainingError, match=r"holds \(stage, epoch\) \(0, 1\) and not the best one"):
        best.bring_back(state, run.model, run.optimizer)


def test_a_best_epoch_that_was_lost_is_told(planted: ModuleType, tmp_path: Path) -> None:
    run, best = Run(planted), BestEpoch(tmp_path / "best", RUN)
    with pytest.raises(TrainingError, match=r"holds .* None"):
        best.bring_back(TrainState(best_epoch=1), run.model, run.optimizer)
