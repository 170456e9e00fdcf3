"""The best epoch, put aside until training ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from pocketrec.models import Model
from pocketrec.spec.errors import TrainingError
from pocketrec.train.state import TrainState, load_into, parts_of, restore, save

__all__ = ["BestEpoch"]


@final
class BestEpoch:
    """Keeps tables, nets and the state of both optimizers as they were after the best epoch.

    Args:
        folder: of a checkpoint of its own; None keeps a copy in memory, which takes as much as training itself.
        run: what the run is, see :func:`pocketrec.train.state.save`.
    """

    def __init__(self, folder: Path | None, run: Mapping[str, Any]) -> None:
        self._folder, self._run = folder, run
        self._copy: dict[str, dict[str, Tensor]] | None = None

    def keep(self, state: TrainState, model: Model, optimizer: torch.optim.Optimizer) -> None:
        """Put the present epoch aside, in the place of the one before."""
        if self._folder is not None:
            save(self._folder, state, model, optimizer, run=self._run, keep=1)
            return
        copy = self._copy = self._copy or {}
        for part, tensors in parts_of(model, optimizer).items():
            if part in copy and copy[part].keys() == tensors.keys():
                for name, tensor in tensors.items():  # into the same memory: there are never three copies of the tables
                    copy[part][name].copy_(tensor)
            else:  # an optimizer has no state before its first step
                copy[part] = {name: tensor.clone() for name, tensor in tensors.items()}

    def bring_back(self, state: TrainState, model: Model, optimizer: torch.optim.Optimizer) -> None:
        """Put the epoch that `state` names as the best into the model and its optimizer.

        Raises:
            TrainingError: another epoch was put aside. A resume that computed other numbers than the run before it
                (another number of threads, another machine) can lead there.
        """
        if self._folder is None:
            assert self._copy is not None, "the best epoch was put aside before it was named"
            load_into(self._copy, model, optimizer)
            return
        found = restore(self._folder, self._run)
        kept = None if found is None else (found[0].stage, found[0].best_epoch)
        if found is None or kept != (state.stage, state.best_epoch):
            raise TrainingError(
                f"{self._folder} holds (stage, epoch) {kept} and not the best one, "
                f"{(state.stage, state.best_epoch)}. Delete {self._folder.parent} and train again."
            )
        load_into({part: found[1].tensors(part) for part in found[1].parts}, model, optimizer)
