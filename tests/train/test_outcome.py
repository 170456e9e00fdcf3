"""An outcome holds what training ended with, and cannot be changed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from types import ModuleType

import pytest

from pocketrec.compress import build
from pocketrec.train import Outcome
from pocketrec.train.optim import dense_optimizer


def test_an_outcome_is_frozen_and_says_nothing_more_than_it_must(planted: ModuleType) -> None:
    model = planted.make_model(build(planted.sizing(), seed=0))
    optimizer = dense_optimizer(model.dense_parameters(), planted.config())
    outcome = Outcome(model=model, history=[], best_epoch=1, validation=None, optimizer=optimizer)
    assert (outcome.notes, outcome.progressive) == ((), None)
    with pytest.raises(FrozenInstanceError):
        outcome.best_epoch = 2  # type: ignore[misc]
