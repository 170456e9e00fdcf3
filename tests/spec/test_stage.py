from __future__ import annotations

import dataclasses
import json

import pytest

from pocketrec.spec.errors import OptionError
from pocketrec.spec.stage import Stage


def test_a_plain_stage_trains_everything_on_the_training_rows() -> None:
    stage = Stage(name="train")
    assert (stage.epochs, stage.split, stage.tables, stage.dense, stage.optimizer) == (
        None,
        "train",
        True,
        True,
        "reset",
    )


def test_a_stage_survives_json() -> None:
    stage = Stage(name="search", epochs=2, split="validation", tables=False, optimizer="keep")
    assert Stage(**json.loads(json.dumps(dataclasses.asdict(stage)))) == stage
    assert hash(stage) == hash(dataclasses.replace(stage))


def test_a_stage_that_begins_anew_has_no_state_of_an_optimizer_to_keep() -> None:
    assert Stage(name="plain").begin == "warm"
    assert Stage(name="retrain", begin="initial").optimizer == "reset"
    with pytest.raises(OptionError, match="'retrain' begins with fresh values, which no state of an optimizer is of"):
        Stage(name="retrain", begin="fresh", optimizer="keep")


@pytest.mark.parametrize("epochs", [0, -1])
def test_a_stage_of_no_epochs_is_refused(epochs: int) -> None:
    with pytest.raises(OptionError, match=f"'search' has {epochs} epochs"):
        Stage(name="search", epochs=epochs)


def test_what_is_held_out_needs_the_other_part() -> None:
    stage = Stage(name="search", held_out=("alpha",))
    assert (Stage(name="plain").parts, stage.parts) == (("train",), ("train", "validation"))
    assert Stage(name="late", split="validation").parts == ("validation",)
    again = Stage(**json.loads(json.dumps(dataclasses.asdict(stage))))
    assert again.parts == stage.parts
    with pytest.raises(OptionError, match="'search' trains on validation rows, from which alpha are held out"):
        Stage(name="search", split="validation", held_out=("alpha",))


def test_a_stage_that_scores_needs_validation_rows_alone() -> None:
    stage = Stage(name="evolve", scores=601, score_rows=1000)
    assert stage.parts == ("validation",)
    assert Stage(**json.loads(json.dumps(dataclasses.asdict(stage)))) == stage
    assert Stage(name="train").scores == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scores": -1}, "'evolve' scores -1 candidates on None rows"),
        ({"scores": 3, "score_rows": 0}, "scores 3 candidates on 0 rows"),
        ({"scores": 3, "held_out": ("alpha",)}, "'evolve' scores candidates, so nothing is held out"),
    ],
)
def test_what_contradicts_itself_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Stage(name="evolve", **given)  # type: ignore[arg-type]
