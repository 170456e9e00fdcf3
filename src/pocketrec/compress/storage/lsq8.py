"""int8 rows on a step of their own that learns, read as such while they train: value = (code - 128) x step.

Paper: Esser, McKinstry, Bablani, Appuswamy, Modha, Learned Step Size Quantization, ICLR 2020, arXiv:1902.08153.
Bytes: as int8: width + 8 per row; 72 per 64 weights of a shared array. In training a float32 step per row besides the
    float32 rows.
Trained as float32, and read while training exactly as it will be served, as lsq does it with 4 bits: first step
    2 mean|v| / sqrt(127), gradient scale 1 / sqrt(width x 127).
Use when: to compare with alpt, which keeps no float32 rows behind its codes.
Did not help when: measured: full tables of the Criteo sample are equal to float32 (+.0001, .0003; docs/results.md), as
    int8 converted at the end is, which costs nothing while training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from pocketrec.compress.storage._learned_step import LearnedStep
from pocketrec.compress.storage.int8 import Int8, packed_int8

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["STORAGE", "Lsq8"]


@final
class Lsq8(LearnedStep, Int8):
    """Symmetric 8-bit codes per row whose step learns."""

    name = "lsq8"
    greatest = 127
    steps_within = (2.0**-20, 2.0**118)  # 255 of which are finite

    def kept(self, steps: Tensor) -> Tensor:
        return steps

    def packed(self, codes: Tensor, steps: Tensor) -> Tensor:
        return packed_int8(codes, steps, -128 * steps)


STORAGE = Lsq8()
