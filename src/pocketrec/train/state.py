"""TrainState: all that a resume needs besides tensors, and how both go to disk."""

from __future__ import annotations

from collections.abc import Mapping
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

__all__ = ["TrainState", "load_into", "parts_of", "restore", "save"]


@dataclass(slots=True, kw_only=True)
class TrainState:
    """Where training stands. JSON only.

    Attributes:
        stage: number of the stage, from 0.
        epoch: number of the epoch within the stage, from 0.
        batch: the next batch of the epoch.
        step: steps made in all stages.
        rows: rows of the epoch's batches so far.
        loss_sum: sum of the losses of these rows (of batches, times their rows).
        seconds: time that these batches took, of all processes that worked on the epoch.
        best_epoch: the best epoch of the last stage so far, counted from 1; 0 is what the stage began with.
        best_value: its validation figure, larger is better.
        best_metrics: all its validation metrics; None as long as nothing was judged.
        history: one entry per finished epoch.
        progressive: windows of the first epoch of the last stage so far, see :mod:`pocketrec.train.progressive`; empty
            in all other epochs.
        matmul: the way of products of matrices that the run began with, see :class:`pocketrec.models.parts.matmul`;
            None before it was chosen.
        sizing: what is held, as JSON, where a method settled on other groups than were planned for this stage.
    """

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    rows: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_epoch: int = 0
    best_value: float = 0.0
    best_metrics: dict[str, Any] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    progressive: list[list[float]] = field(default_factory=list)
    matmul: dict[str, Any] | None = None
    sizing: dict[str, Any] | None = None

    @property
    def begun(self) -> bool:
        """Whether anything of the present stage was done."""
        return bool(self.epoch or self.batch) or self.best_metrics is not None

    @property
    def chosen(self) -> int:
        """The best epoch of the present stage; the last one as long as nothing was judged."""
        return self.epoch if self.best_metrics is None else self.best_epoch

    def next_epoch(self) -> None:
        """Count one epoch more; its sums begin at 0."""
        self.epoch, self.batch, self.rows, self.loss_sum, self.seconds = self.epoch + 1, 0, 0, 0.0, 0.0
        self.progressive = []

    def next_stage(self) -> None:
        """Count one stage more; epochs begin anew."""
        self.stage, self.epoch, self.batch = self.stage + 1, 0, 0


def parts_of(model: Model, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Tensor]]:
    """All tensors that training changes, by part and name. They share memory with the model: nothing is copied."""
    return {
        "nets": {name: t.detach() for name, t in model.nets().items()},
        "bank": model.bank.tensors(),
        "optimizer": optimizer_tensors(optimizer),
    }


def save(
    folder: Path,
    state: TrainState,
    model: Model,
    optimizer: torch.optim.Optimizer,
    *,
    run: Mapping[str, Any],
    keep: int = 2,
) -> None:
    """Write a checkpoint, atomically. `run` says what the run is (sizing, configuration, seed): a resume checks it.

    Raises:
        ArtifactError: no space, or no permission. The checkpoints that were there still are.
    """
    save_checkpoint(folder, state.step, {"run": run, "state": asdict(state)}, parts_of(model, optimizer), keep=keep)


def restore(folder: Path, run: Mapping[str, Any]) -> tuple[TrainState, Artifact] | None:
    """The newest whole checkpoint, or None.

    Raises:
        ArtifactError: it is of another run, or of another program.
    """
    found = latest_checkpoint(folder)
    if found is None:
        return None
    theirs, state = found.manifest.content.get("run"), found.manifest.content.get("state")
    if not isinstance(theirs, Mapping) or not isinstance(state, Mapping):
        raise ArtifactError(f"The checkpoint {found.path} was not written by this trainer. Take another folder.")
    different = sorted(key for key in {*run, *theirs} if run.get(key) != theirs.get(key))
    if different:
        raise ArtifactError(
            f"The checkpoint {found.path} is of another run: {', '.join(different)} differ. "
            "Take another folder, or delete this one to start anew."
        )
    try:
        return TrainState(**state), found
    except TypeError as wrong:
        raise ArtifactError(f"The state in the checkpoint {found.path} is not one of this trainer: {wrong}.") from wrong


def load_into(parts: Mapping[str, Mapping[str, Tensor]], model: Model, optimizer: torch.optim.Optimizer) -> None:
    """Copy tensors as of :func:`parts_of` into a model of the same form, and into its optimizer."""
    model.copy_nets(parts["nets"])
    bank = model.bank.tensors()
    assert bank.keys() == parts["bank"].keys(), "the sizing is the same, so are its tensors"
    for name, tensor in bank.items():
        tensor.copy_(parts["bank"][name])
    load_optimizer_tensors(optimizer, parts["optimizer"])
