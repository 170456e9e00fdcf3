"""Settings are checked where they are made."""

from __future__ import annotations

from typing import Any

import pytest

from pocketrec.spec.errors import OptionError
from pocketrec.train import TrainConfig


@pytest.mark.parametrize("name", ["epochs", "batch_size", "checkpoint_steps", "evaluation_batch_size", "patience"])
@pytest.mark.parametrize("value", [0, -3])
def test_counts_are_1_or_more(name: str, value: int) -> None:
    with pytest.raises(OptionError, match=f"{name} must be 1 or more.*{value}"):
        TrainConfig(**{name: value})
    assert getattr(TrainConfig(**{name: 1}), name) == 1


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["dense_lr", "clip_norm"])
def test_step_sizes_are_above_0_and_finite(name: str, value: float) -> None:
    with pytest.raises(OptionError, match=rf"{name} must be above 0 and finite, got {value}"):
        TrainConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dense_optimizer", "adamw"),
        ("precision", "float16"),
        ("matmul", "mkl"),
        ("order", "random"),
        ("choose_by", "accuracy"),
    ],
)
def test_a_choice_that_there_is_not_names_those_that_there_are(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"{name} .*'{value}'.*Known: "):
        TrainConfig(**{name: value})


def test_nothing_is_clipped_and_no_patience_is_lost_unless_said() -> None:
    assert TrainConfig().clip_norm is None
    assert TrainConfig(patience=None).patience is None
