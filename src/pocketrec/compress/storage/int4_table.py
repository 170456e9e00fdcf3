"""int4 rows on one step per table, read as such while they train: value = (code - 8) x step.

Paper: Zhou, Wei, Tang, Kim, Dong, Jordan, Chen et al., DQRM: Deep Quantized Recommendation Models, arXiv:2410.20046:
    the step is the largest magnitude of the table / 7, found anew every 200 steps of training; halves are rounded to
    even; the gradient goes straight through, also for what is cut. There bags are rounded after pooling, which for more
    than one id is another model than the one that serves; here each row is.
Bytes: as int4: ceil(width / 2) + 4 per row, for each row holds its table's step (float16, and -8 steps as the bias that
    every reader of int4 asks for); 36 per 64 weights of a shared array. The 4 bytes are what one step per table could
    save: record 0031. In training a float32 step per row besides the float32 rows.
Trained as float32, and read while training exactly as it will be served: freezing changes no vector. Between two looks
    at a table its step rests, and what leaves the range is cut. A look reads all rows, so every 200th step costs what
    the tables hold. A region whose rows belong to no table has one step. Shared arrays, cores of tensor trains and rows
    that vectors are computed from are not read so: they are rounded as int4 when frozen.
Use when: rows learn their few labels by heart: those of rare ids are small beside the largest of their table, so that
    they are read as zeros until they have grown. On the Criteo sample log-loss after five epochs was .27 (95 %
    interval .046, eight pairs) below float32's.
Did not help when: one stops at the best epoch: there AUC was .0040 (.0010) behind float32, which int4_qat equals. One
    large row coarsens all others of its table; int4_qat fits each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from pocketrec.compress.storage._learned_step import LearnedStep
from pocketrec.compress.storage.int4 import Int4, packed_int4

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["STORAGE", "Int4Table"]


@final
class Int4Table(LearnedStep, Int4):
    """Symmetric 4-bit codes whose step is their table's."""

    name = "int4_table"
    greatest = 7
    every = 200
    steps_within = (2.0**-14, 4096.0)  # of normal float16 numbers, 8 of which are finite

    def first_step(self, rows: Tensor) -> Tensor:
        """For rows that no table's step has reached yet: by the row alone."""
        return (rows.abs().amax(dim=1, keepdim=True) / self.greatest).clamp(*self.steps_within)

    def kept(self, steps: Tensor) -> Tensor:
        return steps.half().float()

    def packed(self, codes: Tensor, steps: Tensor) -> Tensor:
        return packed_int4(codes, steps.half(), (-8 * steps).half())


STORAGE = Int4Table()
