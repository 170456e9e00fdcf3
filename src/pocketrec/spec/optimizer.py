"""OptimizerSpec: how the rows of tables are updated, and what state that needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pocketrec.spec.errors import OptionError

__all__ = ["OptimizerName", "OptimizerSpec"]

OptimizerName = Literal["sgd", "rowwise_adagrad", "adagrad", "adam"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSpec:
    """An optimizer of looked-up rows. Only rows that a batch touched are read or written.

    Attributes:
        name: ``sgd``; ``rowwise_adagrad`` (one accumulator per row: the mean of its squared gradient);
            ``adagrad`` (one per weight); ``adam`` (lazy: moments of untouched rows rest, bias correction by the
            global step).
        lr: step size, above 0.
        eps: added to the root of the accumulator.
        beta1: decay of Adam's first moment, in [0, 1).
        beta2: decay of Adam's second moment, in [0, 1).
        scale_lr: step size of scales that learn (storage ``alpt``), above 0. Where `lr` follows a schedule,
            it does too.
        l2: weight of an L2 penalty on looked-up rows (l2 x row is added to the gradient of each touched row).
    """

    name: OptimizerName = "rowwise_adagrad"
    lr: float = 0.02
    eps: float = 1e-8
    beta1: float = 0.9
    beta2: float = 0.999
    l2: float = 0.0
    scale_lr: float = 2e-5

    def __post_init__(self) -> None:
        if self.name not in ("sgd", "rowwise_adagrad", "adagrad", "adam"):
            raise OptionError(f"No optimizer called {self.name!r}. Known: sgd, rowwise_adagrad, adagrad, adam.")
        if not 0 < self.lr < math.inf:
            raise OptionError(f"lr must be above 0 and finite, got {self.lr}.")
        if not 0 < self.scale_lr < math.inf:
            raise OptionError(f"scale_lr must be above 0 and finite, got {self.scale_lr}.")
        if not (0 <= self.eps < math.inf and 0 <= self.l2 < math.inf):
            raise OptionError(f"eps and l2 must be 0 or more and finite, got {self.eps} and {self.l2}.")
        for beta in (self.beta1, self.beta2):
            if not 0 <= beta < 1:
                raise OptionError(f"beta1 and beta2 must lie in [0, 1), got {self.beta1} and {self.beta2}.")

    @property
    def state_per_weight(self) -> int:
        """float32 numbers of state per weight (row-wise state, one per row, is counted apart)."""
        return {"sgd": 0, "rowwise_adagrad": 0, "adagrad": 1, "adam": 2}[self.name]
