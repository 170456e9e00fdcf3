"""Linear layers with ReLU for a few rows in one call: what a server does with one request.

For one row every weight is read once and used once, so time is that of reading the weights; a library's matrix product
and the calls around it take several times that. Weights in bfloat16 are half as many bytes. Sums are float32, sixteen
per output, folded in halves: the same bits at every SIMD level, and for each row the same whatever rows are beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["MOST_ROWS", "Layer", "Net", "plain_net"]

MOST_ROWS: Final = 8
"""Up to so many rows the kernel is quicker than matrix products, which read weights once for all rows."""

_SUMS: Final = 16

_STORAGES: Final = {torch.float32: 0, torch.bfloat16: 2}  # enum pr_storage in csrc/pocketrec.h


class Layer(NamedTuple):
    """weight [outputs, inputs] and bias [outputs] or None, both float32 or both bfloat16; relu: whether one follows."""

    weight: Tensor
    bias: Tensor | None
    relu: bool


def _fits(layer: Layer) -> bool:
    weight, bias, _ = layer
    held = [weight] if bias is None else [weight, bias]
    same = all(t.dtype is weight.dtype and t.is_cpu and t.is_contiguous() for t in held)
    return same and weight.dtype in _STORAGES and weight.dim() == 2


@final
class Net:
    """Layers made ready for the kernel. Their numbers may change; where their tensors lie must not.

    Attributes:
        fits: whether the kernel can compute them: contiguous on the CPU, float32 or bfloat16, each as wide as the next
            one reads.
        inputs, outputs: numbers per row that they read and give, if the kernel can compute them.
        numbers: six per layer, as csrc/bindings.cpp reads them.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.fits = bool(layers) and all(map(_fits, layers))
        self.inputs = self.outputs = 0
        self.numbers: list[int] = []
        self._held = layers  # their memory
        if self.fits:
            self.inputs, self.outputs = layers[0].weight.shape[1], layers[-1].weight.shape[0]
            for weight, bias, relu in layers:
                outputs, inputs = weight.shape
                self.numbers += (
                    weight.data_ptr(), 0 if bias is None else bias.data_ptr(), inputs, outputs,
                    _STORAGES[weight.dtype], int(relu),
                )  # fmt: skip

    def __call__(self, kernels: Any, rows: Tensor) -> Tensor:
        """From float32 [rows, inputs] to float32 [rows, outputs]; `kernels` is the compiled module."""
        rows = rows.contiguous()
        if rows.dtype is not torch.float32 or rows.dim() != 2 or rows.shape[1] != self.inputs:
            raise ValueError(f"rows must be float32 [rows, {self.inputs}], got {rows.dtype} {list(rows.shape)}.")
        out = torch.empty((rows.shape[0], self.outputs), dtype=torch.float32)
        kernels.net(self.numbers, rows.data_ptr(), rows.shape[0], out.data_ptr())
        return out


def plain_net(layers: Sequence[Layer], rows: Tensor) -> Tensor:
    """The same by operations of torch, in the kernel's order (reference)."""
    for weight, bias, relu in layers:
        found = _products(weight.float(), rows)
        rows = found if bias is None else found + bias.float()
        rows = torch.where(rows < 0, 0.0, rows) if relu else rows
    return rows


def _products(weight: Tensor, rows: Tensor) -> Tensor:
    """rows [rows, inputs] by weight [outputs, inputs]: float32 [rows, outputs]."""
    lacking = _SUMS - weight.shape[1]
    if lacking > 0:
        weight, rows = pad(weight, (0, lacking)), pad(rows, (0, lacking))
    inputs = weight.shape[1]
    whole = inputs // _SUMS * _SUMS
    sums = torch.zeros((rows.shape[0], weight.shape[0], _SUMS))
    for d in range(0, whole, _SUMS):
        sums = sums + weight[:, d : d + _SUMS] * rows[:, None, d : d + _SUMS]
    if whole < inputs:  # the last sixteen inputs, those that had their turn as zeros
        last = rows[:, None, -_SUMS:].clone()
        last[..., : _SUMS - (inputs - whole)] = 0
        sums = sums + weight[:, -_SUMS:] * last
    fours = [sums[..., j : j + 4] for j in range(0, _SUMS, 4)]
    four = (fours[0] + fours[2]) + (fours[1] + fours[3])
    two = four[..., :2] + four[..., 2:]
    return two[..., 0] + two[..., 1]
