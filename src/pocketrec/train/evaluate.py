"""Scores of a model over data, nothing learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pocketrec.models import Model
from pocketrec.train.source import BatchSource

__all__ = ["Scores", "logits_of", "scores_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """What was observed and what was predicted, in file order.

    Attributes:
        labels: float32 [rows], 0 or 1.
        logits: float32 [rows].
        weights: float32 [rows], or None when every row counts once.
        users: int64 [rows], whose row each is (negative: nobody's), or None when the rows have no users.
    """

    labels: NDArray[np.float32]
    logits: NDArray[np.float32]
    weights: NDArray[np.float32] | None
    users: NDArray[np.int64] | None = None


def scores_of(
    model: Model, source: BatchSource, *, batch_size: int, precision: str = "float32", most_rows: int | None = None
) -> Scores:
    """Scores of all rows, or of the first ones. The model's mode is put back afterwards.

    Args:
        model: nothing of it changes.
        source: the rows; 12 bytes of memory are taken per row, 20 where rows have users.
        batch_size: rows at a time.
        precision: ``float32``, or ``bfloat16`` for the products of the dense nets.
        most_rows: how many rows are scored, in file order; None: all.
    """
    was_training = model.training
    model.eval()
    labels, logits, weights, users = [torch.zeros(0)], [torch.zeros(0)], [], []
    wanted, read = slice(most_rows), 0
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            for batch in source.batches(batch_size=batch_size, order="time", seed=0, epoch=0, start=0):
                logits.append(model(batch.dense, batch.ids, batch.offsets, batch.value_weights).float())
                labels.append(batch.label)
                if batch.weight is not None:
                    weights.append(batch.weight)
                if batch.user is not None:
                    users.append(batch.user)
                read += len(batch.label)
                if most_rows is not None and read >= most_rows:
                    break
    finally:
        model.train(was_training)
    return Scores(
        labels=torch.cat(labels)[wanted].numpy(), logits=torch.cat(logits)[wanted].numpy(),
        weights=torch.cat(weights)[wanted].numpy() if weights else None,
        users=torch.cat(users)[wanted].numpy() if users else None,
    )  # fmt: skip


def logits_of(
    model: Model, source: BatchSource, *, batch_size: int, precision: str = "float32"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Labels and logits of :func:`scores_of`, for those who do not weight."""
    found = scores_of(model, source, batch_size=batch_size, precision=precision)
    return found.labels, found.logits
