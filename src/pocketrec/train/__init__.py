"""The loop. One trainer; stages and hooks of methods are driven from here."""

from __future__ import annotations

from pocketrec.train.config import TrainConfig
from pocketrec.train.evaluate import Scores, logits_of, scores_of
from pocketrec.train.outcome import Outcome
from pocketrec.train.source import Batch, BatchSource, TrainingData
from pocketrec.train.trainer import Trainer
from pocketrec.train.warm_start import WarmStart

__all__ = [
    "Batch",
    "BatchSource",
    "Outcome",
    "Scores",
    "TrainConfig",
    "Trainer",
    "TrainingData",
    "WarmStart",
    "logits_of",
    "scores_of",
]
