"""What runs are compared by where something is chosen: a figure on validation rows, never one on test rows."""

from __future__ import annotations

from pocketrec.spec.result import Result

__all__ = ["objective"]


def objective(result: Result, choose_by: str) -> float | None:
    """The figure on validation rows that chooses the epoch too; more is better. None for a run that has none.

    Args:
        result: a line.
        choose_by: as in :class:`pocketrec.train.config.TrainConfig`.
    """
    found = result.validation
    if found is None:
        return None
    wanted = {"gauc": (found.gauc, found.auc), "auc": (found.auc,), "logloss": ()}[choose_by]
    return next((area for area in wanted if area is not None), -found.logloss)
