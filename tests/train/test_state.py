"""What a resume needs goes to disk and comes back, and what is of another run is refused by name."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.artifact.checkpoint import latest_checkpoint, save_checkpoint
from pocketrec.compress import build
from pocketrec.models import MODELS, Model, ModelConfig
from pocketrec.spec.errors import ArtifactError, OptionError
from pocketrec.train.optim import dense_optimizer
from pocketrec.train.state import TrainState, load_into, parts_of, restore, save

RUN = {"seed": 3, "sizing": {"a": [1, 2]}, "config": {"lr": 0.1 + 0.2}}


def pair(planted: ModuleType, *, seed: int = 0, steps: int = 0) -> tuple[Model, torch.optim.Optimizer]:
    """A model and its optimizer after some steps."""
    model = planted.make_model(build(planted.sizing(), seed=seed)).train()
    optimizer = dense_optimizer(model.dense_parameters(), planted.config())
    rows = planted.clicks(20, seed=seed)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(rows.dense, rows.ids), rows.label).backward()
        optimizer.step()
        model.bank.step()
    return model, optimizer


def flat(model: Model, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    parts = parts_of(model, optimizer)
    return {f"{part}.{name}": t.clone() for part, found in parts.items() for name, t in found.items()}


def full_state() -> TrainState:
    return TrainState(
        stage=1, epoch=2, batch=3, step=44, rows=150, loss_sum=0.1 + 0.2, seconds=1 / 3, best_epoch=1,
        best_value=-(1 / 7), best_metrics={"auc": None, "logloss": 2 / 3}, history=[{"epoch": 1, "auc": None}],
        progressive=[[50.0, 0.1 + 0.2, 1 / 3, 2.0, 1.5]], matmul={"onednn_rows": 64},
    )  # fmt: skip


def test_a_state_survives_json_bit_by_bit() -> None:
    state = full_state()
    assert TrainState(**json.loads(json.dumps(asdict(state)))) == state


def test_epochs_and_stages_are_counted() -> None:
    state = full_state()
    state.next_epoch()
    assert (state.stage, state.epoch, state.batch, state.rows, state.loss_sum, state.seconds) == (1, 3, 0, 0, 0.0, 0.0)
    assert state.progressive == []
    state.next_stage()
    assert (state.stage, state.epoch, state.batch, state.step) == (2, 0, 0, 44)


def test_parts_share_memory_with_the_model(planted: ModuleType) -> None:
    model, optimizer = pair(planted, steps=1)
    parts = parts_of(model, optimizer)
    assert set(parts) == {"nets", "bank", "optimizer"}
    parts["bank"]["0.rows"].fill_(5)
    parts["nets"]["top.0.bias"].fill_(6)
    assert bool((model.bank.tensors()["0.rows"] == 5).all())
    assert bool((model.nets()["top.0.bias"] == 6).all())


def test_a_checkpoint_brings_everything_back(planted: ModuleType, tmp_path: Path) -> None:
    model, optimizer = pair(planted, steps=3)
    save(tmp_path / "run", full_state(), model, optimizer, run=RUN)
    found = restore(tmp_path / "run", json.loads(json.dumps(RUN)))
    assert found is not None
    state, artifact = found
    assert state == full_state()
    other, fresh = pair(planted, seed=8)
    load_into({part: artifact.tensors(part) for part in artifact.parts}, other, fresh)
    expected, loaded = flat(model, optimizer), flat(other, fresh)
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    assert int(other.bank.steps) == 3


def test_nothing_was_saved(tmp_path: Path) -> None:
    assert restore(tmp_path / "run", RUN) is None


@pytest.mark.parametrize(
    ("mine", "named"),
    [
        ({**RUN, "seed": 4}, "seed differ"),
        ({**RUN, "config": {"lr": 0.3}}, "config differ"),
        ({**RUN, "data": "today"}, "data differ"),
        ({"seed": 4, "sizing": RUN["sizing"]}, "config, seed differ"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_name(
    planted: ModuleType, tmp_path: Path, mine: dict[str, Any], named: str
) -> None:
    save(tmp_path / "run", full_state(), *pair(planted), run=RUN)
    with pytest.raises(ArtifactError, match=rf"of another run: {named}. Take another folder, or delete"):
        restore(tmp_path / "run", mine)


@pytest.mark.parametrize("content", [{}, {"run": RUN}, {"state": {}, "run": 3}, {"state": {"stages": 0}, "run": RUN}])
def test_a_checkpoint_of_another_program_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    save_checkpoint(tmp_path / "run", 1, content, {"nets": {}})
    with pytest.raises(ArtifactError, match=r"save-000001-step-1 .*(this trainer)"):
        restore(tmp_path / "run", RUN)


def test_two_checkpoints_stay(planted: ModuleType, tmp_path: Path) -> None:
    model, optimizer = pair(planted)
    for step in range(1, 6):
        state = full_state()
        state.step = step
        save(tmp_path / "run", state, model, optimizer, run=RUN)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["save-000004-step-4", "save-000005-step-5"]
    found = latest_checkpoint(tmp_path / "run")
    assert found is not None
    assert found.manifest.content["state"]["step"] == 5


def _model(planted: ModuleType, *, top: int, dense: int = 2) -> Model:
    config = ModelConfig(bottom=(6,), top=(top,))
    return MODELS.get("dlrm")(build(planted.sizing(), seed=0), dense_features=dense, config=config, seed=1)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ({"top": 9}, r"'top.0.bias' is \[9\] in them and \[8\] in this one"),
        ({"top": 8, "dense": 0}, r"'bottom.0.bias' is not there in them and \[6\] in this one"),
    ],
)
def test_nets_of_another_form_are_refused_whole(planted: ModuleType, theirs: dict[str, int], said: str) -> None:
    model = planted.make_model(build(planted.sizing(), seed=0))
    before = {name: t.detach().clone() for name, t in model.nets().items()}
    with pytest.raises(OptionError, match=said):
        model.copy_nets(_model(planted, **theirs).nets())
    assert all(torch.equal(t, before[name]) for name, t in model.nets().items())


def test_nets_are_copied(planted: ModuleType) -> None:
    first, second = (_model(planted, top=8) for _ in range(2))
    with torch.no_grad():
        first.nets()["top.0.bias"].fill_(3)
    second.copy_nets(first.nets())
    assert bool((second.nets()["top.0.bias"] == 3).all())
    with torch.no_grad():
        first.nets()["top.0.bias"].fill_(4)
    assert bool((second.nets()["top.0.bias"] == 3).all())
