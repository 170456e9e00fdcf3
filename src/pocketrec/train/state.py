"""TrainState: all that a resume needs besides tensors, and how both go to disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pocketrec.artifact.checkpoint import latest_checkpoint, save_checkpoint
from pocketrec.artifact.load import Artifact
from pocketrec.models import Model
from pocketrec.spec.errors import ArtifactError
from pocketrec.train.optim import load_optimizer_tensors, optimizer_tensors

__all__ = ["TrainState", "load_into", "restore", "save"]


@dataclass(slots=True, kw_only=True)
class TrainState:
    """Where training stands. JSON only.

    Attributes:
        stage: number of the stage, from 0.
        epoch: number of the epoch within the stage, from 0.
        batch: the next batch of the epoch.
        step: steps made in all stages.
        loss_sum: sum of the losses of the epoch's batches so far.
        best_epoch: the best epoch of the last stage so far, counted from 1; 0 for none.
        best_value: its validation figure, larger is better.
        best_metrics: all its validation metrics, or None.
        history: one entry per finished epoch.
    """

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best_epoch: int = 0
    best_value: float = 0.0
    best_metrics: dict[str, Any] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


def save(
    folder: Path,
    state: TrainState,
    model: Model,
    optimizer: torch.optim.Optimizer,
    *,
    run: dict[str, Any],
    keep: int = 2,
) -> None:
    """Write a checkpoint, atomically. `run` says what the run is (sizing, configuration, seed): a resume checks it."""
    parts: dict[str, dict[str, Tensor]] = {
        "nets": {name: t.detach() for name, t in model.nets().items()},
        "bank": model.bank.tensors(),
        "optimizer": optimizer_tensors(optimizer),
    }
    save_checkpoint(folder, state.step, {"run": run, "state": asdict(state)}, parts, keep=keep)


def restore(folder: Path, run: dict[str, Any]) -> tuple[TrainState, Artifact] | None:
    """The newest whole checkpoint, or None. ArtifactError if it is of another run."""
    found = latest_checkpoint(folder)
    if found is None:
        return None
    theirs = found.manifest.content["run"]
    different = sorted(key for key in {*run, *theirs} if run.get(key) != theirs.get(key))
    if different:
        raise ArtifactError(
            f"The checkpoint in {folder} is of another run: {', '.join(different)} differ. "
            "Take another folder, or delete this one to start anew."
        )
    return TrainState(**found.manifest.content["state"]), found


def load_into(artifact: Artifact, model: Model, optimizer: torch.optim.Optimizer | None = None) -> None:
    """Copy a checkpoint's tensors into a model of the same form, and its optimizer's state."""
    nets = artifact.tensors("nets")
    with torch.no_grad():
        for name, target in model.nets().items():
            target.copy_(nets[name])
        for name, tensor in artifact.tensors("bank").items():
            model.bank.tensors()[name].copy_(tensor)
    if optimizer is not None:
        load_optimizer_tensors(optimizer, artifact.tensors("optimizer"))
