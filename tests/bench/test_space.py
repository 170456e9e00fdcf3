"""Spaces of tuning."""

from __future__ import annotations

from typing import Any

import pytest

from pocketrec.bench.space import Choice, Range, space_from
from pocketrec.spec.errors import OptionError


def test_ranges_lists_and_tables_within_tables() -> None:
    found = space_from(
        {
            "optimizer.lr": {"low": 0.001, "high": 0.1, "log": True},
            "options": {"block": [1, 4], "hashes": {"low": 1, "high": 3}},
        },
        "s",
    )
    assert found == {
        "optimizer.lr": Range(low=0.001, high=0.1, log=True, whole=False),
        "options.block": Choice(values=(1, 4)),
        "options.hashes": Range(low=1, high=3, log=False, whole=True),
    }


def test_what_lies_within() -> None:
    steps, whole = Range(low=0.1, high=1.0, log=True, whole=False), Range(low=1, high=3, log=False, whole=True)
    assert [steps.holds(v) for v in (0.1, 1, 1.1, "0.5", True)] == [True, True, False, False, False]
    assert [whole.holds(v) for v in (1, 3, 2.0, 4)] == [True, True, False, False]
    nets = Choice(values=([64], [128, 64]))
    assert nets.holds((128, 64)), "a configuration has tuples where a file has lists"
    assert (nets.to_place((128, 64)), nets.at_place(1), nets.holds([1])) == (1, [128, 64], False)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": 3}, r"s: a: give a list of values or \{ low"),
        ({"a": []}, r"s: a: a list to choose from has different values, or the one to keep to, got \[\]"),
        ({"a": [1, 1]}, "has different values"),
        ({"a": {"low": 2, "high": 1}}, r"s: a: low must be below high and both finite, got 2 and 1"),
        ({"a": {"low": 2}}, "got 2 and None"),
        ({"a": {"low": 0, "high": 1, "log": True}}, r"begins above 0, got low = 0"),
        ({"a": {"low": 0, "high": float("inf")}}, "finite"),
        ({"a": {"low": 0, "high": 1, "logs": True}}, r"logs: there is no such key; did you mean 'log'"),
        ([1], "s must be a table"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(table: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        space_from(table, "s")
