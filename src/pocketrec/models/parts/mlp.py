"""Linear layers with ReLU between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from pocketrec.models.parts.linear import linear
from pocketrec.models.parts.masks import Masks

__all__ = ["Mlp", "mlp"]


@final
class Mlp(nn.Sequential):
    """Layers one after the other, the ReLU among them followed by dropout if there are masks."""

    def forward(self, numbers: Tensor, masks: Masks | None = None) -> Tensor:
        """From [batch, widths[0]] to [batch, widths[-1]]."""
        for layer in self:
            numbers = layer(numbers)
            if masks is not None and isinstance(layer, nn.ReLU):
                numbers = masks(numbers)
        return numbers


def mlp(widths: Sequence[int], *, last_relu: bool, generator: torch.Generator) -> Mlp:
    """Layers from widths[0] to widths[-1], see :func:`linear` for their starting values.

    Args:
        widths: two or more.
        last_relu: whether a ReLU follows the last layer as well.
        generator: draws the starting values.
    """
    layers: list[nn.Module] = []
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        layers.append(linear(inputs, outputs, generator=generator))
        if last_relu or place < len(widths) - 2:
            layers.append(nn.ReLU())
    return Mlp(*layers)
