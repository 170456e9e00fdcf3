"""One step: forward, backward, check, clip, update. Either everything is updated or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pocketrec.compress.moves import move_matrices
from pocketrec.models import Model
from pocketrec.spec.errors import NotFinite
from pocketrec.spec.stage import Stage
from pocketrec.train.config import TrainConfig
from pocketrec.train.source import Batch

__all__ = ["loss_of", "train_step"]


def loss_of(logits: Tensor, batch: Batch) -> Tensor:
    """Log-loss per row in nats, weighted if the batch has weights: scalar float32.

    A batch whose weights are all 0 has loss 0 and teaches nothing.
    """
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.label, reduction="none")
    if batch.weight is None:
        return each.mean()
    # the smallest normal float32 stands in for a sum of 0, so that 0 / 0 is 0
    return (each * batch.weight).sum() / batch.weight.sum().clamp(min=torch.finfo(torch.float32).tiny)


def train_step(
    model: Model, optimizer: torch.optim.Optimizer, batch: Batch, config: TrainConfig, stage: Stage, *, where: str,
    predicted: Callable[[Tensor], object] | None = None, held_out: bool = False,
) -> float:  # fmt: skip
    """Learn from one batch and return its loss.

    Args:
        model: in training mode.
        optimizer: of its dense nets.
        batch: the rows.
        config: settings.
        stage: what is trained.
        where: names the batch in errors.
        predicted: told the logits, float32 [rows], that the model had for the batch before it learned from it.
        held_out: whether these are rows for what the stage holds out: it learns and all else rests, where in any other
            step all else learns and it rests.

    Raises:
        NotFinite: the loss or the norm of the gradients is NaN or infinite; no weight and no row was changed.
    """
    learners = _Learners.of(model, stage, held_out=held_out)
    try:
        value, logits = _gradients(model, optimizer, batch, config, learners, where)
    except BaseException:
        # whatever it was (NaN, an id out of range, a second Ctrl-C): nothing of this batch may reach the next one
        model.bank.discard()
        optimizer.zero_grad(set_to_none=True)
        raise
    if learners.dense:
        move_matrices(model.bank, held_out=held_out)
        optimizer.step()
    if learners.tables:
        model.bank.step()
    else:
        model.bank.discard()
    if predicted is not None:
        predicted(logits)
    return value


class _Learners(NamedTuple):
    """What a step trains: dense parameters, and whether the rows of tables."""

    dense: list[nn.Parameter]
    tables: bool

    @classmethod
    def of(cls, model: Model, stage: Stage, *, held_out: bool) -> _Learners:
        apart = model.bank.matrices(stage.held_out) if stage.held_out else []
        if held_out:
            return cls(apart, tables=False)
        known = {id(p) for p in apart}
        dense = [p for p in model.dense_parameters() if id(p) not in known] if stage.dense else []
        return cls(dense, tables=stage.tables)


def _gradients(
    model: Model, optimizer: torch.optim.Optimizer, batch: Batch, config: TrainConfig, learners: _Learners, where: str
) -> tuple[float, Tensor]:
    """Loss and logits of the batch; its gradients, clipped, wait in the dense parameters and in the bank."""
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        logits = model(batch.dense, batch.ids, batch.offsets, batch.value_weights)
    loss = loss_of(logits, batch)
    value = float(loss.detach())
    _refuse(value, "loss", batch, where)
    loss.backward()  # type: ignore[no-untyped-call]
    if len(learners.dense) < len(optimizer.param_groups[0]["params"]):
        _rest(model, learners)
    if learners.tables:
        model.bank.collect()
    norm = _gradient_norm(model, learners)
    _refuse(norm, "norm of the gradients", batch, where)
    if config.clip_norm is not None and norm > config.clip_norm:
        _scale(model, config.clip_norm / norm)
    return value, logits.detach().float()


def _rest(model: Model, learners: _Learners) -> None:
    """Take gradients away from dense parameters that do not learn: an optimizer passes such by."""
    known = {id(p) for p in learners.dense}
    for parameter in model.dense_parameters():
        if id(parameter) not in known:
            parameter.grad = None


def _gradient_norm(model: Model, learners: _Learners) -> float:
    """L2 norm over all that this step trains, dense parameters and rows together."""
    dense = [p.grad for p in learners.dense if p.grad is not None]
    squared = float(torch.nn.utils.get_total_norm(dense)) ** 2 if dense else 0.0
    if learners.tables:
        squared += model.bank.gradient_norm() ** 2
    return math.sqrt(squared)


def _scale(model: Model, factor: float) -> None:
    for parameter in model.dense_parameters():
        if parameter.grad is not None:
            parameter.grad *= factor
    model.bank.scale(factor)


def _refuse(value: float, what: str, batch: Batch, where: str) -> None:
    if not math.isfinite(value):
        raise NotFinite(f"{where}: the {what} is {value}. {_suspect(batch)} No weight and no row was changed.")


def _suspect(batch: Batch) -> str:
    """What to look at first."""
    inputs = {"dense numbers": batch.dense, "a label": batch.label, "a weight": batch.weight}
    for what, tensor in inputs.items():
        if tensor is not None and not torch.isfinite(tensor).all():
            row = int((~torch.isfinite(tensor)).flatten(1 if tensor.dim() > 1 else 0).nonzero()[0, 0])
            return f"Row {row} of the batch (from 0) has {what} not finite: check the source and the schema."
    return "The inputs are finite: lower the learning rates, or set clip_norm."
