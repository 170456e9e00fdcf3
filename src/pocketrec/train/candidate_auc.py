"""The figure by which candidates of a search are compared."""

from __future__ import annotations

from pocketrec.metrics import auc
from pocketrec.models import Model
from pocketrec.spec.errors import TrainingError
from pocketrec.spec.stage import Stage
from pocketrec.train.config import TrainConfig
from pocketrec.train.evaluate import scores_of
from pocketrec.train.source import BatchSource

__all__ = ["candidate_auc"]


def candidate_auc(model: Model, validation: BatchSource, stage: Stage, config: TrainConfig) -> float:
    """AUC of the model as it is, on the rows that judge candidates.

    Args:
        model: over the bank that holds the candidate.
        validation: the rows, of which the stage may take the first ones.
        stage: that scores.
        config: precision, and rows at a time.

    Raises:
        TrainingError: the rows are of one class.
    """
    found = scores_of(
        model, validation, batch_size=config.evaluation_batch_size, precision=config.precision,
        most_rows=stage.score_rows,
    )  # fmt: skip
    area = auc(found.labels, found.logits, found.weights)
    if area is None:
        raise TrainingError(
            f"Stage {stage.name!r} scores candidates by their AUC, and its {len(found.labels):,} validation rows are "
            "of one class. Score more rows, or change the split."
        )
    return area
