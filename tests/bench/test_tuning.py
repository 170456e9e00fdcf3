"""Trials of settings."""

from __future__ import annotations

import sys

import pytest

from pocketrec.bench.space import space_from
from pocketrec.bench.tuning import Trial, best, check_optuna, propose
from pocketrec.spec.errors import OptionError

SPACE = space_from(
    {
        "lr": {"low": 0.001, "high": 1.0, "log": True}, "hashes": {"low": 1, "high": 8},
        "nets": [[64], [128, 64], [256]],
    },
    "s",
)  # fmt: skip


def trials(count: int, seed: int = 0) -> list[Trial]:
    """Trials of a made-up task: the best lr is .1, the best nets [256]."""
    made: list[Trial] = []
    for _ in range(count):
        values = propose(SPACE, {}, made, seed=seed, who="m")
        import math

        made.append((values, -abs(math.log10(values["lr"]) + 1) + (values["nets"] == [256])))
    return made


def test_the_first_trial_is_what_the_study_says() -> None:
    first = propose(SPACE, {"lr": 0.02, "nets": (128, 64), "hashes": 99}, [], seed=0, who="m")
    assert (first["lr"], first["nets"]) == (0.02, [128, 64])
    assert 1 <= first["hashes"] <= 8, "99 is outside, so it was drawn"


def test_proposals_lie_within_and_are_a_function_of_what_was_before() -> None:
    made = trials(6)
    assert all(SPACE[key].holds(value) for values, _ in made for key, value in values.items())
    again = [propose(SPACE, {}, made[:n], seed=0, who="m") for n in range(6)]
    assert again == [values for values, _ in made], "a study that was killed goes on as it would have"
    assert len({values["lr"] for values, _ in made}) == 6
    assert propose(SPACE, {}, made, seed=1, who="m") != propose(SPACE, {}, made, seed=0, who="m")
    assert propose(SPACE, {}, made, seed=0, who="other") != propose(SPACE, {}, made, seed=0, who="m")


def test_trials_get_better() -> None:
    made = trials(30)
    figures = [figure for _, figure in made if figure is not None]
    assert sum(figures[-10:]) / 10 > sum(figures[:5]) / 5 + 0.3
    assert best(made)["nets"] == [256]


def test_trials_of_another_space_and_failed_ones_are_left_out() -> None:
    before: list[Trial] = [({"lr": 5.0, "hashes": 1, "nets": [64]}, 1.0), ({"lr": 0.1}, 1.0), ({}, None)]
    found = propose(SPACE, {}, before, seed=0, who="m")
    assert all(SPACE[key].holds(value) for key, value in found.items())


def test_the_best_is_the_first_of_the_best() -> None:
    assert best([({"a": 1}, 0.5), ({"a": 2}, None), ({"a": 3}, 0.5), ({"a": 4}, 0.1)]) == {"a": 1}
    assert best([({"a": 1}, None)]) == {}


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_optuna()
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError, match=r"pip install 'pocketrec\[bench\]'"):
        check_optuna()
