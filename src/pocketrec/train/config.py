"""TrainConfig: how long, how fast, how exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pocketrec.spec.errors import OptionError

__all__ = ["TrainConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Settings of the trainer. How rows of tables are updated is the sizing's optimizer.

    Attributes:
        epochs: passes over the training rows, at most.
        batch_size: rows per step.
        dense_lr: step size of the dense nets' optimizer.
        dense_optimizer: ``adam``, ``adagrad`` or ``sgd``.
        precision: ``float32``, or ``bfloat16`` for the products of the dense nets (tables and loss stay float32).
        order: ``shuffle`` (a new order every epoch, a pure function of the seed) or ``time`` (as in the files).
        clip_norm: largest L2 norm of all gradients of a step together; None does not clip.
        patience: epochs without a better validation log-loss or AUC after which training ends; None trains all epochs.
        choose_by: what the best epoch is chosen by, on validation rows.
        checkpoint_steps: steps between checkpoints; one is also made at the end of every epoch.
        evaluation_batch_size: rows per step where nothing is learned.
    """

    epochs: int = 10
    batch_size: int = 512
    dense_lr: float = 1e-3
    dense_optimizer: Literal["adam", "adagrad", "sgd"] = "adam"
    precision: Literal["float32", "bfloat16"] = "float32"
    order: Literal["shuffle", "time"] = "shuffle"
    clip_norm: float | None = None
    patience: int | None = 2
    choose_by: Literal["auc", "logloss"] = "auc"
    checkpoint_steps: int = 2000
    evaluation_batch_size: int = 4096

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "checkpoint_steps", "evaluation_batch_size"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be 1 or more, got {getattr(self, name)}.")
        if not self.dense_lr > 0 or (self.clip_norm is not None and not self.clip_norm > 0):
            raise OptionError(f"dense_lr and clip_norm must be above 0, got {self.dense_lr} and {self.clip_norm}.")
        if self.patience is not None and self.patience < 1:
            raise OptionError(f"patience must be 1 or more, or None, got {self.patience}.")
