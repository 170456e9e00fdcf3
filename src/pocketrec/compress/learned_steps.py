"""Rows that are read on a step that learns: what they are read as, the gradient of the step, and how it moves.

Esser, McKinstry, Bablani, Appuswamy, Modha, Learned Step Size Quantization (ICLR 2020, arXiv:1902.08153). With Q the
greatest signed code, a number v of a row with step s is read as ``round(clip(v / s, -Q - 1, Q)) * s``. Rounding counts
as the identity, so

* v has the gradient where v / s lies between -Q - 1 and Q, and none beyond;
* s has ``sum(g * (round(v / s) - v / s))`` over numbers between, and ``g`` times the end for those beyond, all
  multiplied by ``1 / sqrt(N Q)``, N the numbers that share the step: the row's.

That factor keeps the relative moves of steps and weights alike, if both move at one rate. So the step has no state of
its own, which would cancel the factor; it moves at the rate at which the optimizer moves its row: lr for SGD, lr over
the root of the row's mean accumulator for Adagrad and Adam (no momentum).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from pocketrec.compress.pairs import Pairs
from pocketrec.compress.storage import Storage
from pocketrec.compress.storage._learned_step import LearnedStep
from pocketrec.native.regions import in_regions
from pocketrec.spec.optimizer import OptimizerSpec

if TYPE_CHECKING:
    from pocketrec.compress.group import Group

__all__ = [
    "STEP",
    "gradients",
    "learned_step_of",
    "read_on_steps",
    "state_of_weights",
    "steps_at",
    "steps_of",
    "update_on_steps",
]

STEP: Final = ".step"
"""The end of the names of tensors that hold steps."""


def learned_step_of(storage: Storage | None) -> LearnedStep | None:
    """The storage if its steps learn, else None."""
    return storage if isinstance(storage, LearnedStep) else None


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, storage: LearnedStep) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.storage = storage
        numbers, steps = rows[:, :-1], rows[:, -1:]
        return storage.decode(storage.encode_on(numbers, steps), numbers.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        if ctx.storage.every:
            return torch.cat([grads[0], torch.zeros(len(rows), 1)], dim=1), None
        return torch.cat(gradients(ctx.storage, grads[0], rows[:, :-1], rows[:, -1:]), dim=1), None


def read_on_steps(storage: LearnedStep, rows: Tensor) -> Tensor:
    """What rows float32 [n, width + 1], each with its step or 0 behind it, are read as: float32 [n, width]."""
    found: Tensor = _Read.apply(rows, storage)  # type: ignore[no-untyped-call]  # torch has no types here
    return found


def gradients(storage: LearnedStep, grads: Tensor, rows: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Of rows, float32 [n, width], and of their steps, float32 [n, 1].

    Args:
        storage: says the greatest code.
        grads: float32 [n, width], of what was read.
        rows: float32 [n, width].
        steps: float32 [n, 1]; where they are 0, those with which the rows begin.
    """
    least, greatest = -storage.greatest - 1, storage.greatest
    codes = rows / storage.kept(storage.begun(rows, steps))
    cut, between = codes.clamp(least, greatest), (codes > least) & (codes < greatest)
    pulls = torch.where(between, cut.round() - cut, cut)
    share = 1 / math.sqrt(rows.shape[1] * greatest)
    return grads * between, (grads * pulls).sum(dim=1, keepdim=True) * share


def steps_of(group: Group) -> list[Tensor]:
    """The steps of the rows of each region of a group where these learn: float32 [rows], 0 until they have moved."""
    return [group.tensor(name + STEP) for name in group.access.regions]


def state_of_weights(group: Group) -> list[Tensor]:
    """What the update op takes: the group's state without steps that learn, which are no part of it."""
    return [group.tensor(spec.name) for spec in group.sizing.state if not spec.name.endswith(STEP)]


def steps_at(steps: Sequence[Tensor], addresses: Tensor) -> Tensor:
    """Steps float32 [n, 1] at addresses int64 [n] of regions; 0 at null ones and where none has moved yet."""
    found = torch.zeros(len(addresses), 1)
    for number, chosen, rows in in_regions(addresses, [len(own) for own in steps]):
        found[slice(None) if chosen is None else chosen] = steps[number][rows][:, None]
    return found


def update_on_steps(group: Group, pairs: Pairs, optimizer: OptimizerSpec, *, lr: float, step: int) -> None:
    """Move rows and the steps on which they are read.

    In one update a step falls to its half at most, and so stays above 0; it grows to its double at most, or to what the
    moved row would begin with, where that is more: weights that are small before their first update are not so after
    it, and what is beyond the range has no gradient of its own.

    Args:
        group: training form, whose storage learns steps.
        pairs: gradients float32 [pairs, width + 1], of rows and of their steps.
        optimizer, lr, step: as for :meth:`Group.update`.
    """
    storage, steps, addresses = learned_step_of(group.rounds), steps_of(group), pairs.addresses
    assert storage is not None
    if storage.every:
        group.update(Pairs(addresses, pairs.grads[:, :-1].contiguous()), optimizer, lr=lr, step=step)
        return
    with torch.no_grad():
        before = group.rows_at(addresses)
        group.update(Pairs(addresses, pairs.grads[:, :-1].contiguous()), optimizer, lr=lr, step=step)
        held = storage.begun(before, steps_at(steps, addresses))
        most = torch.maximum(2 * held, storage.first_step(group.rows_at(addresses)))
        moves = _rates(group, optimizer, addresses, lr=lr, step=step) * pairs.grads[:, -1:]
        moved = torch.minimum(torch.maximum(held - moves, held / 2), most).clamp(*storage.steps_within)
        for number, chosen, places in in_regions(addresses, [len(own) for own in steps]):
            steps[number][places] = (moved if chosen is None else moved[chosen])[:, 0]


def _rates(group: Group, optimizer: OptimizerSpec, addresses: Tensor, *, lr: float, step: int) -> Tensor:
    """The rates float32 [n, 1] at which rows moved, by the mean of what the optimizer keeps for each."""
    found = torch.full((len(addresses), 1), lr)
    if optimizer.name == "sgd":
        return found
    if optimizer.name == "adam":
        found *= math.sqrt(1 - optimizer.beta2**step) / (1 - optimizer.beta1**step)
    squares = state_of_weights(group)[-len(group.access.regions) :]  # the only kind, or the second moments
    for number, chosen, places in in_regions(addresses, [len(own) for own in squares]):
        own = squares[number][places]
        mean = own[:, None] if own.dim() == 1 else own.mean(dim=1, keepdim=True)
        found[slice(None) if chosen is None else chosen] /= mean.sqrt() + optimizer.eps
    return found
