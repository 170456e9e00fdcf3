"""Scores of a model over data, nothing learned."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pocketrec.models import Model
from pocketrec.train.source import BatchSource

__all__ = ["logits_of"]


def logits_of(
    model: Model, source: BatchSource, *, batch_size: int, precision: str = "float32"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Labels and logits of all rows in file order, float32 [rows] each. The model's mode is put back afterwards."""
    was_training = model.training
    model.eval()
    labels, logits = [], []
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            for batch in source.batches(batch_size=batch_size, order="time", seed=0, epoch=0, start=0):
                logits.append(model(batch.dense, batch.ids).float())
                labels.append(batch.label)
    finally:
        model.train(was_training)
    if not labels:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    return torch.cat(labels).numpy(), torch.cat(logits).numpy()
