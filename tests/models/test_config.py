from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from pocketrec.models import ModelConfig
from pocketrec.models._config import MOST_LAYERS, MOST_NUMBERS
from pocketrec.spec.errors import OptionError


def test_it_survives_json() -> None:
    for config in (
        ModelConfig(),
        ModelConfig(name="dcn_v2", bottom=(), top=(8, 4), dropout=0.25, cross_layers=2, cross_rank=3, cross="parallel"),
    ):
        assert ModelConfig.from_json(json.loads(json.dumps(asdict(config)))) == config


def test_a_file_from_before_these_options_were_there_has_their_defaults() -> None:
    old = ModelConfig.from_json({"name": "dlrm", "bottom": [4], "top": [4]})
    assert old == ModelConfig(bottom=(4,), top=(4,), dropout=0, cross_layers=3, cross_rank=None, cross="stacked")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"top": (8, 0)}, r"top holds up to 64 widths of layers, 1 to 1,048,576 each, got \(8, 0\)"),
        ({"bottom": (-1,)}, "bottom holds"),
        ({"top": (MOST_NUMBERS + 1,)}, "top holds"),
        ({"top": (1,) * (MOST_LAYERS + 1)}, "top holds"),
        ({"dropout": 1.0}, "dropout must be 0 or more and below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout must be"),
        ({"dropout": float("nan")}, "dropout must be"),
        ({"cross_layers": 0}, "cross_layers must lie in 1..64, got 0"),
        ({"cross_layers": MOST_LAYERS + 1}, "cross_layers must"),
        ({"cross_rank": 0}, "cross_rank must lie in 1..1,048,576, got 0"),
        ({"cross": "sideways"}, "cross cannot be 'sideways'. Known: stacked, parallel"),
        ({"cross": "parallel", "top": ()}, "needs one width in top"),
    ],
)
def test_impossible_values_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        ModelConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": 3}, {"top": "8"}, {"top": 8}, {"top": {"8": 8}}, {"top": ["8"]}, {"top": [8.0]}, {"top": [True]},
        {"bottom": [[8]]}, {"dropout": "0.1"}, {"dropout": True}, {"cross_layers": 2.0}, {"cross_layers": None},
        {"cross_layers": True}, {"cross_rank": "3"}, {"cross": None}, {"cross": ["stacked"]}, {"depth": 3},
        {"cross_layers": 10**30}, {"top": [10**9, 10**9]}, {"dropout": 10**400},
    ],
)  # fmt: skip
def test_values_of_another_kind_in_a_file_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(settings))):
        ModelConfig.from_json(settings)
