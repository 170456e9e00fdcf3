"""TrainConfig: how long, how fast, how exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from pocketrec.models.parts.matmul import MatmulSetting
from pocketrec.spec.errors import OptionError

__all__ = ["TrainConfig"]

DenseOptimizer = Literal["adam", "adagrad", "sgd"]
Precision = Literal["float32", "bfloat16"]
Order = Literal["shuffle", "time"]
ChooseBy = Literal["auc", "gauc", "logloss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Settings of the trainer. How rows of tables are updated is the sizing's optimizer.

    Attributes:
        epochs: passes over the training rows, at most.
        share: share of the training rows that an epoch takes, above 0 to 1: where epochs are so long that one wants to
            judge more often, or for a quick try. In a shuffled order each epoch takes others, else the first.
        batch_size: rows per step.
        dense_lr: step size of the dense nets' optimizer.
        dense_optimizer: ``adam``, ``adagrad`` or ``sgd``.
        precision: ``float32``, or ``bfloat16`` for the products of the dense nets (tables and loss stay float32).
        matmul: which code multiplies matrices of float32: ``torch`` (what torch takes by itself), ``onednn``, or
            ``auto``, which times both and takes oneDNN where it is the quicker one at float32's accuracy. A run that
            goes on keeps the way it began with.
        order: ``shuffle`` (a new order every epoch, a pure function of the seed) or ``time`` (as in the files).
        clip_norm: largest L2 norm of all gradients of a step together, nets and rows; None does not clip.
        patience: epochs of the last stage without a better validation figure after which training ends; None trains
            all epochs.
        relearn: whether rows begin anew in every epoch, while nets and their optimizer go on (Fan et al., Multi-Epoch
            learning with Data Augmentation, arXiv:2407.01607). Where rows of rare ids learn their few labels by heart,
            so that a second epoch is worse than the first, nets can so learn for more than one.
        choose_by: what the best epoch is chosen by, on validation rows: ``auc``, ``gauc`` (AUC within users; AUC where
            no user has rows of both classes) or ``logloss`` (also where all rows are of one class).
        checkpoint_steps: steps between checkpoints; one is also made at the end of every epoch. Where candidates are
            scored, so many batches' rows are.
        evaluation_batch_size: rows per step where nothing is learned.
    """

    epochs: int = 10
    share: float = 1.0
    batch_size: int = 512
    dense_lr: float = 1e-3
    dense_optimizer: DenseOptimizer = "adam"
    precision: Precision = "float32"
    matmul: MatmulSetting = "auto"
    order: Order = "shuffle"
    clip_norm: float | None = None
    patience: int | None = 2
    relearn: bool = False
    choose_by: ChooseBy = "auc"
    checkpoint_steps: int = 2000
    evaluation_batch_size: int = 4096

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "checkpoint_steps", "evaluation_batch_size", "patience"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise OptionError(f"{name} must be 1 or more, got {count}.")
        for name in ("dense_lr", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise OptionError(f"{name} must be above 0 and finite, got {value}.")
        if not 0 < self.share <= 1:
            raise OptionError(f"share must lie above 0 and be at most 1, got {self.share}.")
        choices = {
            "dense_optimizer": DenseOptimizer, "precision": Precision, "matmul": MatmulSetting, "order": Order,
            "choose_by": ChooseBy,
        }  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in get_args(known):
                raise OptionError(f"{name} cannot be {getattr(self, name)!r}. Known: {', '.join(get_args(known))}.")
