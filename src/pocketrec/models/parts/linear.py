"""One linear layer whose starting values come from a generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["linear", "normal"]


def linear(inputs: int, outputs: int, *, generator: torch.Generator, bias: bool = True) -> nn.Linear:
    """A layer from `inputs` to `outputs` numbers; without memory under ``torch.device("meta")``.

    Weights start as N(0, 2 / (in + out)) and biases as N(0, 1 / out), as in the published DLRM (arXiv:1906.00091).

    Args:
        inputs: 1 or more.
        outputs: 1 or more.
        generator: draws the starting values.
        bias: whether there is one.
    """
    layer = nn.Linear(inputs, outputs, bias=bias, device="meta")  # no draw from the global generator
    if torch.get_default_device().type == "meta":
        return layer
    layer = layer.to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.normal_(0, math.sqrt(2 / (inputs + outputs)), generator=generator)
        if bias:
            layer.bias.normal_(0, math.sqrt(1 / outputs), generator=generator)
    return layer


def normal(*shape: int, deviation: float, generator: torch.Generator) -> Tensor:
    """Numbers from N(0, deviation^2), float32; without memory under ``torch.device("meta")``."""
    made = torch.empty(shape)
    return made if made.is_meta else made.normal_(0, deviation, generator=generator)
