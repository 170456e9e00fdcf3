"""int4 rows on a step of their own that learns, read as such while they train: value = (code - 8) x step.

Paper: Esser, McKinstry, Bablani, Appuswamy, Modha, Learned Step Size Quantization, ICLR 2020, arXiv:1902.08153. The
    paper has a step per layer, which for tables would be one per table; here every row has its own.
Bytes: as int4: ceil(width / 2) + 4 per row (codes, float16 step, and -8 steps as the bias that every reader of int4
    asks for); 36 per 64 weights of a shared array. In training a float32 step per row besides the float32 rows.
Trained as float32, and read while training exactly as it will be served: freezing changes no vector. The step begins
    at 2 mean|v| / sqrt(7) of its row, has the paper's gradient and factor 1 / sqrt(width x 7), and moves at the rate of
    the row's weights, in one update at most to its half or double (or to what the moved row would begin with). Shared
    arrays, cores of tensor trains and rows that vectors are computed from are not read so: they are rounded as int4
    when frozen. With a torch optimizer (``bank.gradient = "sparse"``) steps do not learn.
Use when: int4 loses too much when it is made at the end.
Did not help when: rows have 16 numbers: int4 made at the end lost .0001 there (Criteo sample, full tables, eight
    pairs), lsq .0002 (95 % interval .0006). Numbers beyond the range have no gradient of their own (the paper's law),
    so rows that begin far smaller than they become depend on the step's growth; int4_qat fits every row whenever it
    is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from pocketrec.compress.storage._learned_step import LearnedStep
from pocketrec.compress.storage.int4 import Int4, packed_int4

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["STORAGE", "Lsq"]


@final
class Lsq(LearnedStep, Int4):
    """Symmetric 4-bit codes per row whose step learns."""

    name = "lsq"
    greatest = 7
    steps_within = (2.0**-14, 4096.0)  # of normal float16 numbers, 8 of which are finite

    def kept(self, steps: Tensor) -> Tensor:
        return steps.half().float()

    def packed(self, codes: Tensor, steps: Tensor) -> Tensor:
        return packed_int4(codes, steps.half(), (-8 * steps).half())


STORAGE = Lsq()
