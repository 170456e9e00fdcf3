"""Sums in the order of the kernels (reference): in any other order float32 would give other bits."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

__all__ = ["lane_sums"]

_LANES: Final = 16


def lane_sums(values: Tensor) -> Tensor:
    """Sums over the last axis, float32 [n] of [n, unit]: sixteen, d modulo 16, which are then folded in halves."""
    padded = torch.nn.functional.pad(values, (0, -values.shape[1] % _LANES))
    lanes = torch.zeros_like(padded[:, :_LANES])
    for start in range(0, padded.shape[1], _LANES):
        lanes = lanes + padded[:, start : start + _LANES]
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]
