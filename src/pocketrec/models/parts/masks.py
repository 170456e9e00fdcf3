"""What dropout leaves out, as a pure function of a seed and the number of a step."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from pocketrec.compress.parts.init import generator, stream

__all__ = ["Masks"]


@final
class Masks:
    """The masks of one step, drawn one after the other.

    Paper: Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR 15 (2014), section
    4; the numbers that are kept are scaled while training, so that nothing is left to do afterwards.

    Args:
        fraction: share of the numbers that is left out, 0 < fraction < 1.
        seed: 0 or more.
        step: how many steps were made before this one.
    """

    def __init__(self, fraction: float, *, seed: int, step: int) -> None:
        self.fraction = fraction
        self._generator = generator(stream(seed, step))

    def __call__(self, numbers: Tensor) -> Tensor:
        """The numbers, some of them 0 and the others larger, with the same mean over all masks."""
        kept = torch.rand(numbers.shape, generator=self._generator) >= self.fraction
        return numbers * (kept / (1 - self.fraction)).to(numbers.dtype)
