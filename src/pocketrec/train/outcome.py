"""Outcome: what training ended with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pocketrec.metrics import Metrics
from pocketrec.models import Model
from pocketrec.spec.metrics import Progressive

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What training ended with.

    Attributes:
        model: the trained model over its training bank, at the best epoch if one was chosen, else at the last.
        history: one entry per epoch, JSON only: stage, epoch (from 1, within the stage), step (of all stages so far),
            train_loss, rows_per_s, seconds, and on validation rows auc (None with one class only), its standard error,
            logloss, and gauc where rows have users (None where none of them has both classes); the first epoch of the
            last stage also has progressive. A stage that scores candidates has one entry: in the place of the losses
            candidates, how many were scored, and as auc that of the best.
        best_epoch: the chosen epoch of the last stage, from 1, or 0 for what the stage began with; the
            last one without validation rows.
        validation: metrics of that epoch on the validation rows, or None.
        optimizer: of the dense nets, as it was at the model's epoch.
        notes: sentences to print: where a resume began, and which checkpoints it passed over.
        progressive: how good the predictions of the training rows were, each made just before the row was learned from
            for the first time; None when the last stage had no whole epoch.
    """

    model: Model
    history: list[dict[str, Any]]
    best_epoch: int
    validation: Metrics | None
    optimizer: torch.optim.Optimizer
    notes: tuple[str, ...] = ()
    progressive: Progressive | None = None
