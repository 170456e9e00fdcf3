from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec

POSITIVE = st.floats(0, exclude_min=True, allow_infinity=False)
DECAY = st.floats(0, 1, exclude_max=True)


@given(
    st.builds(
        OptimizerSpec,
        name=st.sampled_from(get_args(OptimizerName)),
        lr=POSITIVE,
        eps=POSITIVE,
        beta1=DECAY,
        beta2=DECAY,
        l2=POSITIVE,
        scale_lr=POSITIVE,
    )
)
def test_an_optimizer_survives_json(optimizer: OptimizerSpec) -> None:
    assert OptimizerSpec(**json.loads(json.dumps(dataclasses.asdict(optimizer)))) == optimizer


def test_state_per_weight_of_each() -> None:
    states = {name: OptimizerSpec(name=name).state_per_weight for name in get_args(OptimizerName)}
    assert states == {"sgd": 0, "rowwise_adagrad": 0, "adagrad": 1, "adam": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "adamw"}, "No optimizer called 'adamw'. Known: sgd"),
        ({"lr": 0.0}, "lr must be above 0.*got 0.0"),
        ({"lr": float("nan")}, "lr must be above 0.*got nan"),
        ({"lr": float("inf")}, "lr must be above 0.*got inf"),
        ({"scale_lr": 0.0}, "scale_lr must be above 0.*got 0.0"),
        ({"scale_lr": float("inf")}, "scale_lr must be above 0.*got inf"),
        ({"eps": -1.0}, "got -1.0 and 0.0"),
        ({"eps": float("nan")}, "got nan and 0.0"),
        ({"l2": -0.5}, "got 1e-08 and -0.5"),
        ({"l2": float("inf")}, "got 1e-08 and inf"),
        ({"beta1": 1.0}, "got 1.0 and 0.999"),
        ({"beta2": -0.1}, "got 0.9 and -0.1"),
        ({"beta2": float("nan")}, "got 0.9 and nan"),
    ],
)
def test_numbers_out_of_range_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        OptimizerSpec(**changes)  # type: ignore[arg-type]
