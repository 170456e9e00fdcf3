"""Linear layers with ReLU between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, final

import torch
from torch import Tensor, nn

from pocketrec.compress.parts.unchanged import Unchanged
from pocketrec.models.parts.linear import Linear, linear
from pocketrec.models.parts.masks import Masks
from pocketrec.native.binding import kernels_for
from pocketrec.native.eager import is_eager
from pocketrec.native.net import MOST_ROWS, Layer, Net

__all__ = ["Mlp", "mlp"]

_LINEAR: Final = (Linear, nn.Linear)


@final
class Mlp(nn.Sequential):
    """Layers one after the other, the ReLU among them followed by dropout if there are masks.

    A linear layer's numbers are overwritten by the ReLU that follows it: nothing else reads them, and a batch's numbers
    are as many as its memory traffic. With one row the calls cost more than the arithmetic, so layers without hooks are
    computed here, and a few rows to be scored go through all layers in one call of ours (rounded in another order than
    a matrix product rounds: by 1e-7).
    """

    _net: Net | None = None
    _unchanged: Unchanged | None = None

    def prepared(self) -> Net | None:
        """The layers as they are now, ready for a few rows in one call; None where that kernel cannot compute them."""
        if self._net is None or self._unchanged is None or not self._unchanged():
            self._net = Net(_described(list(self)))
            self._unchanged = Unchanged([self, *self])
        return self._net if self._net.fits and not self._unchanged.listened() else None

    def _few(self, rows: Tensor) -> Tensor | None:
        """All layers for a few rows without a gradient; None where they are not what that kernel computes."""
        kernels = kernels_for(rows)
        if kernels is None or rows.dtype is not torch.float32 or rows.dim() != 2 or torch.is_autocast_enabled("cpu"):
            return None
        net = self.prepared()
        return None if net is None else net(kernels, rows)

    def forward(self, numbers: Tensor, masks: Masks | None = None) -> Tensor:
        """From [batch, widths[0]] to [batch, widths[-1]]."""
        # whoever traces must not meet a condition on the number of rows
        if masks is None and is_eager(numbers) and not torch.is_grad_enabled() and 0 < len(numbers) <= MOST_ROWS:
            found = self._few(numbers)
            if found is not None:
                return found
        own = False  # whether the numbers are ours to overwrite
        for layer in self._modules.values():
            if type(layer) is nn.ReLU:
                numbers = numbers.relu_() if own else numbers.relu()
                if masks is not None:
                    numbers = masks(numbers)
                own = False
            elif type(layer) is Linear and not (layer._forward_hooks or layer._forward_pre_hooks):
                numbers = layer.forward(numbers)
                own = True
            else:
                numbers, own = layer(numbers), False
        return numbers


def _described(layers: Sequence[nn.Module]) -> list[Layer]:
    """Linear layers, each with whether a ReLU follows; nothing where there is any other layer."""
    found: list[Layer] = []
    for layer in layers:
        if isinstance(layer, nn.Linear) and type(layer) in _LINEAR:
            found.append(Layer(layer.weight, layer.bias, False))
        elif type(layer) is nn.ReLU and found and not found[-1].relu:
            found[-1] = found[-1]._replace(relu=True)
        else:
            return []
    return found


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
