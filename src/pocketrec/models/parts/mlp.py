"""Linear layers with ReLU between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

__all__ = ["mlp"]


def mlp(widths: Sequence[int], *, last_relu: bool, generator: torch.Generator) -> nn.Sequential:
    """Layers from widths[0] to widths[-1].

    Weights start as N(0, 2 / (in + out)) and biases as N(0, 1 / out), as in the published DLRM (arXiv:1906.00091).

    Args:
        widths: two or more.
        last_relu: whether a ReLU follows the last layer as well.
        generator: draws the starting values.
    """
    layers: list[nn.Module] = []
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        linear = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")  # no draw from the global generator
        with torch.no_grad():
            linear.weight.normal_(0, math.sqrt(2 / (inputs + outputs)), generator=generator)
            linear.bias.normal_(0, math.sqrt(1 / outputs), generator=generator)
        layers.append(linear)
        if last_relu or place < len(widths) - 2:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)
