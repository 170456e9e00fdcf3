"""Linear layers with ReLU between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import linear as linear_of

from pocketrec.models.parts.linear import linear
from pocketrec.models.parts.masks import Masks

__all__ = ["Mlp", "mlp"]


@final
class Mlp(nn.Sequential):
    """Layers one after the other, the ReLU among them followed by dropout if there are masks.

    A linear layer's numbers are overwritten by the ReLU that follows it: nothing else reads them, and a batch's numbers
    are as many as its memory traffic. With one row the calls cost more than the arithmetic, so layers without hooks are
    computed here.
    """

    def forward(self, numbers: Tensor, masks: Masks | None = None) -> Tensor:
        """From [batch, widths[0]] to [batch, widths[-1]]."""
        own = False  # whether the numbers are ours to overwrite
        for layer in self._modules.values():
            if type(layer) is nn.ReLU:
                numbers = numbers.relu_() if own else numbers.relu()
                if masks is not None:
                    numbers = masks(numbers)
                own = False
            elif type(layer) is nn.Linear and not (layer._forward_hooks or layer._forward_pre_hooks):
                numbers = linear_of(numbers, layer.weight, layer.bias)
                own = True
            else:
                numbers, own = layer(numbers), False
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
