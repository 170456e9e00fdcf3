"""Rows of signed codes on a step of their own that learns, over float32 rows that learn, too.

What they are read as, and how the step learns, is in `pocketrec.compress.learned_steps`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pocketrec.compress.storage._storage import Storage

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LearnedStep"]


class LearnedStep(Storage):
    """What storages whose steps learn have in common. Training keeps one step per row, which is 0 until it has moved.

    Attributes:
        greatest: the greatest signed code; the least is one further from zero.
        steps_within: the least and the greatest step that rows may have.
        every: so many steps of training apart, the rows of a table are fitted one step for all of them, which rests
            between, and the gradient goes straight through; 0: each row has its own, which learns.
    """

    rounds_reads = True
    learns_steps = True
    greatest: ClassVar[int]
    steps_within: ClassVar[tuple[float, float]]
    every: ClassVar[int] = 0

    @abstractmethod
    def kept(self, steps: Tensor) -> Tensor:
        """Steps float32 [n, 1] as a stored row has them, float32 again."""

    @abstractmethod
    def packed(self, codes: Tensor, steps: Tensor) -> Tensor:
        """The stored rows: codes uint8 [n, width], 0 the least signed one, and steps float32 [n, 1] as kept."""

    def first_step(self, rows: Tensor) -> Tensor:
        """The step with which rows float32 [n, width] begin, 2 mean|v| / sqrt(greatest): float32 [n, 1]."""
        mean = rows.abs().mean(dim=1, keepdim=True)
        return (2 * mean / math.sqrt(self.greatest)).clamp(*self.steps_within)

    def begun(self, rows: Tensor, steps: Tensor) -> Tensor:
        """Steps float32 [n, 1] of rows float32 [n, width]; where they are 0, those with which the rows begin."""
        return steps.where(steps > 0, self.first_step(rows))

    def encode_on(self, rows: Tensor, steps: Tensor) -> Tensor:
        """float32 [n, width] to the stored tensor, on steps float32 [n, 1] or 0; what leaves the range is cut."""
        import torch  # here, not above: sizing answers without it

        kept = self.kept(self.begun(rows, steps))
        codes = (rows / kept).round().clamp(-self.greatest - 1, self.greatest) + (self.greatest + 1)
        return self.packed(codes.to(torch.uint8), kept)

    def seen(self, rows: Tensor) -> Tensor:
        """What rows float32 [n, width + 1], each with its step or 0 behind it, are read as: float32 [n, width].

        As they would be served. The step has a gradient as the numbers have.
        """
        from pocketrec.compress.learned_steps import read_on_steps  # here, not above: sizing answers without torch

        return read_on_steps(self, rows)
