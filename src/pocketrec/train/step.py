"""One step: forward, backward, check, clip, update. Either everything is updated or nothing."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pocketrec.models import Model
from pocketrec.spec.errors import NotFinite
from pocketrec.spec.stage import Stage
from pocketrec.train.config import TrainConfig
from pocketrec.train.source import Batch

__all__ = ["loss_of", "train_step"]


def loss_of(logits: Tensor, batch: Batch) -> Tensor:
    """Log-loss per row, weighted if the batch has weights: scalar float32."""
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.label, reduction="none")
    if batch.weight is None:
        return each.mean()
    return (each * batch.weight).sum() / batch.weight.sum()


def train_step(
    model: Model, optimizer: torch.optim.Optimizer, batch: Batch, config: TrainConfig, stage: Stage, *, where: str
) -> float:
    """Learn from one batch and return its loss.

    Raises:
        NotFinite: the loss or a gradient is NaN or infinite; no weight and no row was changed. `where` names the batch.
    """
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        logits = model(batch.dense, batch.ids)
    loss = loss_of(logits, batch)
    value = float(loss.detach())
    if not math.isfinite(value):
        model.bank.discard()
        raise NotFinite(f"{where}: the loss is {value}. {_suspect(batch)} No weight and no row was changed.")
    loss.backward()  # type: ignore[no-untyped-call]
    model.bank.collect()
    norm = _gradient_norm(model, stage)
    if not math.isfinite(norm):
        model.bank.discard()
        optimizer.zero_grad(set_to_none=True)
        raise NotFinite(f"{where}: the gradient's norm is {norm}. {_suspect(batch)} No weight and no row was changed.")
    if config.clip_norm is not None and norm > config.clip_norm:
        _scale(model, config.clip_norm / norm)
    if stage.dense:
        optimizer.step()
    if stage.tables:
        model.bank.step()
    else:
        model.bank.discard()
    return value


def _gradient_norm(model: Model, stage: Stage) -> float:
    dense = [p.grad for p in model.dense_parameters() if p.grad is not None] if stage.dense else []
    squared = float(torch.nn.utils.get_total_norm(dense)) ** 2 if dense else 0.0
    if stage.tables:
        squared += model.bank.gradient_norm() ** 2
    return math.sqrt(squared)


def _scale(model: Model, factor: float) -> None:
    for parameter in model.dense_parameters():
        if parameter.grad is not None:
            parameter.grad *= factor
    model.bank.scale(factor)


def _suspect(batch: Batch) -> str:
    """What to look at first."""
    if not torch.isfinite(batch.dense).all():
        row = int((~torch.isfinite(batch.dense)).any(dim=1).nonzero()[0])
        return f"Row {row} of the batch has dense numbers that are not finite: check the source and the schema."
    return "The inputs are finite: lower the learning rates, or set clip_norm."
