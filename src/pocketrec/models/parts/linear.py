"""One linear layer whose starting values come from a generator."""

from __future__ import annotations

import math
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn.functional import linear as linear_of
from torch.nn.functional import pad

from pocketrec.native.eager import is_eager

__all__ = ["Linear", "linear", "normal"]

# Where inputs are not a multiple of this, the products for the gradients are slow: with 2048 rows and MKL, filling up
# takes a tenth off a layer's step at 367 inputs and a fifth at 13. With 128 rows it costs what it saves.
_EVEN: Final = 16
_FILLED_ROWS: Final = 512


@final
class Linear(nn.Linear):
    """A layer whose weights may be held in bfloat16: for numbers in float32 they are widened, which is exact.

    Many rows that learn are filled up to a multiple of 16 inputs, see above; what they learn is the same.
    """

    def forward(self, numbers: Tensor) -> Tensor:
        """From float32 [..., inputs] to float32 [..., outputs]; under ``torch.autocast`` in its dtype."""
        if self.weight.dtype is torch.bfloat16 and numbers.dtype is torch.float32:
            return linear_of(numbers, self.weight.float(), _widened(self.bias))
        lacking = -numbers.shape[-1] % _EVEN
        # the number of rows is asked for last: whoever traces must not meet a condition on it
        if lacking and torch.is_grad_enabled() and is_eager(numbers) and len(numbers) >= _FILLED_ROWS:
            # columns of zeros, which change nothing
            return linear_of(pad(numbers, (0, lacking)), pad(self.weight, (0, lacking)), self.bias)
        return linear_of(numbers, self.weight, self.bias)


def _widened(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()


def linear(inputs: int, outputs: int, *, generator: torch.Generator, bias: bool = True) -> Linear:
    """A layer from `inputs` to `outputs` numbers; without memory under ``torch.device("meta")``.

    Weights start as N(0, 2 / (in + out)) and biases as N(0, 1 / out), as in the published DLRM (arXiv:1906.00091).

    Args:
        inputs: 1 or more.
        outputs: 1 or more.
        generator: draws the starting values.
        bias: whether there is one.
    """
    layer = Linear(inputs, outputs, bias=bias, device="meta")  # no draw from the global generator
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
