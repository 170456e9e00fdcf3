"""Move the rows that a batch touched: op ``pocketrec::update``, one optimizer step from (address, gradient) pairs.

With g' = g + l2 * w and state of touched units only:

* sgd: ``w -= lr * g'``
* rowwise_adagrad: ``s += mean(g'^2)`` over the unit, ``w -= lr / (sqrt(s) + eps) * g'``
* adagrad (Duchi, Hazan, Singer, JMLR 2011): ``s += g'^2``, ``w -= lr * g' / (sqrt(s) + eps)``
* adam (Kingma, Ba, ICLR 2015; lazy as torch.optim.SparseAdam): ``m += (1 - beta1) * (g' - m)``,
  ``v += (1 - beta2) * (g'^2 - v)``, ``w -= lr * sqrt(1 - beta2^step) / (1 - beta1^step) * m / (sqrt(v) + eps)``;
  moments of untouched units rest.

Arithmetic and state are float32. Regions of fewer bits are read as float32, moved, and written back rounded
stochastically (`pocketrec.native.rounding`), so that updates below their smallest step arrive in the mean. Rows of
codes have their scale fitted anew; with ``scale_lr`` above 0 those of 8 bits keep it, and it learns: with h its
gradient (`pocketrec.native.learned_scale`) by the moved, not yet rounded row, and state of its own,

* sgd: ``scale -= scale_lr * h``
* rowwise_adagrad, adagrad: ``s += h^2``, ``scale -= scale_lr * h / (sqrt(s) + eps)``
* adam: as above, with ``scale_lr`` in the place of lr.

The gradient g in h is the step's own, that is by the row as it was read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from pocketrec.native.binding import kernels_for
from pocketrec.native.lane_sums import lane_sums
from pocketrec.native.learned_scale import codes_on_scale, scale_gradient, scale_of, scale_within
from pocketrec.native.library import define
from pocketrec.native.packing import require_cpu
from pocketrec.native.program import Storage
from pocketrec.native.regions import in_regions, stored_rows
from pocketrec.native.request import check_value
from pocketrec.native.rounding import draws, stored_stochastically
from pocketrec.native.threads import threads
from pocketrec.spec.errors import IdError
from pocketrec.spec.optimizer import OptimizerSpec

__all__ = ["ALGORITHMS", "Rule", "update"]

ALGORITHMS: Final = ("sgd", "rowwise_adagrad", "adagrad", "adam")
_SCALE_BYTES: Final = 8
_CODES: Final = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2, torch.uint8: 8}  # pr_storage
_STATES: Final = {"sgd": 0, "rowwise_adagrad": 1, "adagrad": 1, "adam": 2}


class Rule(NamedTuple):
    """The numbers of one step: as `pocketrec.spec.optimizer.OptimizerSpec`, its 1-based number, the rounding's seed.

    And of scales that learn: their step size, or 0, and the data rows that the gradients are of.
    """

    algorithm: str
    lr: float
    eps: float
    beta1: float
    beta2: float
    l2: float
    step: int
    seed: int
    scale_lr: float = 0.0  # defaults, for the dispatcher leaves out what is as the schema says
    batch: int = 1


def _step(rule: Rule, weights: Tensor, grads: Tensor, state: Sequence[Tensor], rows: Tensor) -> Tensor:
    """New weights [n, unit] of the units `rows`, from the old ones; state is changed in place."""
    if rule.l2:
        grads = grads + rule.l2 * weights
    if rule.algorithm == "sgd":
        return weights - rule.lr * grads
    if rule.algorithm == "adam":
        return weights - _adam_move(rule, rule.lr, grads, state, rows)
    square = grads * grads
    total = state[0][rows] + (_mean(square) if rule.algorithm == "rowwise_adagrad" else square)
    state[0][rows] = total
    if rule.algorithm == "rowwise_adagrad":
        return weights - grads.new_full((), rule.lr) / (_root(total) + rule.eps) * grads
    return weights - rule.lr * (grads / (_root(total) + rule.eps))


def _adam_move(rule: Rule, lr: float, grads: Tensor, state: Sequence[Tensor], rows: Tensor) -> Tensor:
    first, second = state[0][rows], state[1][rows]
    first = first + (1 - rule.beta1) * (grads - first)
    second = second + (1 - rule.beta2) * (grads * grads - second)
    state[0][rows], state[1][rows] = first, second
    rate = lr * math.sqrt(1 - rule.beta2**rule.step) / (1 - rule.beta1**rule.step)
    return rate * (first / (_root(second) + rule.eps))


def _learned(rule: Rule, scale: Tensor, grads: Tensor, state: Sequence[Tensor], rows: Tensor) -> Tensor:
    """New scales [n] of the rows of codes `rows`, from the old ones; state is changed in place."""
    if rule.algorithm == "sgd":
        return scale_within(scale - rule.scale_lr * grads)
    if rule.algorithm == "adam":
        return scale_within(scale - _adam_move(rule, rule.scale_lr, grads, state, rows))
    total = state[0][rows] + grads * grads
    state[0][rows] = total
    return scale_within(scale - rule.scale_lr * (grads / (_root(total) + rule.eps)))


def _root(values: Tensor) -> Tensor:
    """The correctly rounded square root, which torch's own is not on every machine."""
    return values.double().sqrt().float()


def _mean(values: Tensor) -> Tensor:
    """Mean over the last axis, [n, 1]."""
    return lane_sums(values)[:, None] / values.shape[1]


@torch.no_grad()
def _reference(
    regions: Sequence[Tensor], state: Sequence[Tensor], addresses: Tensor, grads: Tensor, rule: Rule
) -> None:
    unit = grads.shape[1]
    if bool((addresses < 0).any()):
        raise IdError(f"address {int(addresses.min())} of an update is negative.")
    for number, chosen, rows in in_regions(addresses, [_units(region, unit) for region in regions]):
        part = grads if chosen is None else grads.index_select(0, chosen)
        every = state[number :: len(regions)]
        kinds, width = _STATES[rule.algorithm], 1 if rule.algorithm == "rowwise_adagrad" else unit
        region, own = regions[number], [tensor.view(-1, width) for tensor in every[:kinds]]
        if region.dtype is torch.float32:
            weights = region.view(-1, unit)
            weights[rows] = _step(rule, weights[rows], part, own, rows)
            continue
        coded = region.dtype is torch.uint8
        stored = region if coded else region.view(-1, unit)
        weights = stored_rows(stored, _coded(region, unit) if coded else Storage.FLOAT, rows, unit)
        random = draws(addresses if chosen is None else addresses[chosen], unit, seed=rule.seed, step=rule.step)
        moved, wide = _step(rule, weights, part, own, rows), coded and _coded(region, unit) == Storage.INT16
        if rule.scale_lr and coded and not wide:
            scale = scale_of(stored[rows], unit)
            pulls = scale_gradient(moved, part, scale, batch=rule.batch)
            stored[rows] = codes_on_scale(moved, random, _learned(rule, scale, pulls, every[kinds:], rows))
            continue
        stored[rows] = stored_stochastically(moved, random, region.dtype, code_bytes=2 if wide else 1)


def _units(region: Tensor, unit: int) -> int:
    return region.shape[0] if region.dtype is torch.uint8 else region.numel() // unit


def _coded(region: Tensor, unit: int) -> int:
    """What codes a region of uint8 has: its width says it."""
    return Storage.INT16 if region.shape[1] == 2 * unit + _SCALE_BYTES else Storage.INT8


def _compiled(
    kernels: Any, regions: Sequence[Tensor], state: Sequence[Tensor], addresses: Tensor, grads: Tensor, rule: Rule
) -> None:
    unit = grads.shape[1]
    require_cpu((*regions, *state, grads))
    kernels.update(
        [region.data_ptr() for region in regions],
        [_units(region, unit) for region in regions],
        [_coded(r, unit) if r.dtype is torch.uint8 else _CODES[r.dtype] for r in regions],
        [tensor.data_ptr() for tensor in state],
        unit,
        addresses.data_ptr(),
        grads.data_ptr(),
        addresses.shape[0],
        ALGORITHMS.index(rule.algorithm),
        *rule[1:],
        threads(),
    )


def _check(regions: Sequence[Tensor], state: Sequence[Tensor], addresses: Tensor, grads: Tensor, rule: Rule) -> None:
    if rule.algorithm not in ALGORITHMS:
        raise ValueError(f"No update algorithm called {rule.algorithm!r}. Known: {', '.join(ALGORITHMS)}.")
    if addresses.dtype is not torch.int64 or addresses.dim() != 1:
        raise TypeError(f"addresses must be int64 [u], got {addresses.dtype} {list(addresses.shape)}.")
    if grads.dtype is not torch.float32 or grads.dim() != 2 or grads.shape[1] < 1:
        raise TypeError(f"grads must be float32 [u, unit], got {grads.dtype} {list(grads.shape)}.")
    check_value(
        addresses.shape[0] == grads.shape[0], lambda: f"{addresses.shape[0]} addresses, but {grads.shape[0]} gradients."
    )
    if rule.step < 1:
        raise ValueError(f"step counts from 1, got {rule.step}.")
    if not 0 <= rule.scale_lr < math.inf or rule.batch < 1:
        raise ValueError(f"scale_lr is 0 or more and batch 1 or more, got {rule.scale_lr} and {rule.batch}.")
    needed = len(regions) * _STATES[rule.algorithm] * (2 if rule.scale_lr else 1)
    if not regions or len(state) != needed:
        raise ValueError(f"{rule.algorithm} of {len(regions)} regions needs {needed} state tensors, got {len(state)}.")
    for number, region in enumerate(regions):
        own, kinds = state[number :: len(regions)], _STATES[rule.algorithm]
        _check_region(number, region, own[:kinds], grads.shape[1], rule.algorithm)
        _check_scales(number, region, own[kinds:], grads.shape[1], rule.algorithm)


def _check_region(number: int, region: Tensor, state: Sequence[Tensor], unit: int, algorithm: str) -> None:
    if region.dtype not in _CODES:
        raise TypeError(
            f"region {number} must be float32, float16, bfloat16 or uint8 (rows of codes) to be updated in place, "
            f"its storage is {region.dtype}."
        )
    coded = region.dtype is torch.uint8
    width = unit + _SCALE_BYTES if coded else unit
    if coded and region.dim() == 2 and _coded(region, unit) == Storage.INT16:
        width += unit
    if (unit != 1 or coded) and (region.dim() != 2 or region.shape[1] != width):
        raise ValueError(f"region {number} must be [rows, {width}] as the gradients are, got {list(region.shape)}.")
    full = [region.shape[0], unit] if coded else list(region.shape)
    shape = [_units(region, unit)] if algorithm == "rowwise_adagrad" else full
    for tensor in state:
        if tensor.dtype is not torch.float32 or list(tensor.shape) != shape:
            raise ValueError(
                f"{algorithm} state of region {number} must be float32 {shape}, "
                f"got {tensor.dtype} {list(tensor.shape)}."
            )
    if not all(tensor.is_contiguous() for tensor in (region, *state)):
        raise ValueError(f"region {number} and its state must be contiguous.")


def _check_scales(number: int, region: Tensor, state: Sequence[Tensor], unit: int, algorithm: str) -> None:
    """State of scales that learn: of regions that have none it may be anything."""
    if region.dtype is not torch.uint8 or _coded(region, unit) != Storage.INT8:
        return
    for tensor in state:
        if tensor.dtype is not torch.float32 or list(tensor.shape) != [len(region)] or not tensor.is_contiguous():
            raise ValueError(
                f"{algorithm} state of the scales of region {number} must be float32 [{len(region)}], contiguous, "
                f"got {tensor.dtype} {list(tensor.shape)}."
            )


def _update(
    regions: Sequence[Tensor], state: Sequence[Tensor], addresses: Tensor, grads: Tensor, *numbers: float
) -> None:
    rule = Rule(*numbers)  # type: ignore[arg-type]  # the dispatcher keeps the order of the schema
    _check(regions, state, addresses, grads, rule)
    kernels = kernels_for(addresses)
    if kernels is None:
        _reference(regions, state, addresses, grads, rule)
    else:
        _compiled(kernels, regions, state, addresses.contiguous(), grads.contiguous(), rule)
    # So that autograd notices a region that changed between forward and backward.
    increment_version([tensor for tensor in (*regions, *state) if not tensor.is_inference()])


def _fake(
    regions: Sequence[Tensor], state: Sequence[Tensor], addresses: Tensor, grads: Tensor, *numbers: float
) -> None:
    _check(regions, state, addresses, grads, Rule(*numbers))  # type: ignore[arg-type]  # as above


_OP: Final = define(
    "update",
    "(Tensor(a!)[] regions, Tensor(b!)[] state, Tensor addresses, Tensor grads, "
    "str algorithm, float lr, float eps, float beta1, float beta2, float l2, int step, int seed, "
    "float scale_lr=0.0, int batch=1) -> ()",
    _update,
    _fake,
)


def update(
    regions: Sequence[Tensor],
    state: Sequence[Tensor],
    addresses: Tensor,
    grads: Tensor,
    optimizer: OptimizerSpec,
    *,
    step: int,
    seed: int = 0,
    scale_lr: float = 0.0,
    batch: int = 1,
) -> None:
    """Apply one optimizer step to the units (rows, or single weights) at `addresses`, in place.

    Only touched units of `regions` and `state` are read or written. Parameters may be given as they are: nothing is
    recorded for autograd, but their version counters rise.

    Args:
        regions: float32, float16 or bfloat16 [rows, unit] each, with unit 1 of any shape, addressed as flat arrays; or
            rows of codes, uint8 [rows, unit + 8], or [rows, 2 unit + 8] for codes of 16 bits. Contiguous.
        state: sgd: none. rowwise_adagrad: float32 [units] per region. adagrad: float32 of each region's shape ([rows,
            unit] for codes). adam: all first moments, then all second moments, as adagrad's. Contiguous. With
            `scale_lr` behind all these as many again for the scales, float32 [rows] each; of a region that has no codes
            of 8 bits they may be empty.
        addresses: int64 [u], distinct, over the concatenation of the regions. Duplicates would lose gradients.
        grads: float32 [u, unit].
        optimizer: algorithm and rates.
        step: number of this step, from 1; Adam's bias correction, and part of the random numbers of rounding.
        seed: of the rounding of regions that are not float32; any int64.
        scale_lr: step size of the scales of rows of 8-bit codes, which learn then; 0: they are fitted to each row. Rows
            must have a bias of -128 scales (`pocketrec.native.learned_scale`).
        batch: data rows that the gradients are of, which scales that learn divide theirs by the root of.

    Raises:
        IdError: an address outside the regions; nothing was changed.
        TypeError, ValueError: tensors that do not fit, with their shapes.
    """
    _OP(
        regions,
        state,
        addresses,
        grads,
        optimizer.name,
        optimizer.lr,
        optimizer.eps,
        optimizer.beta1,
        optimizer.beta2,
        optimizer.l2,
        step,
        seed,
        scale_lr,
        batch,
    )
