"""Values of a table, key by key."""

from __future__ import annotations

import pytest

from pocketrec.bench.keys import Keys
from pocketrec.spec.errors import OptionError


def test_values_are_taken_and_what_is_left_belongs_to_a_run() -> None:
    keys = Keys({"name": "a", "optimizer.lr": 0.1}, "s.toml: data[0]")
    assert keys.take("name", str) == "a"
    assert keys.take("files", tuple[str, ...], ()) == ()
    assert keys.rest(["optimizer", "train"]) == {"optimizer.lr": 0.1}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"nmae": "a"}, r"s\.toml: nmae: there is no such key; did you mean 'name'\?"),
        ({"zzz": 1}, r"s\.toml: zzz: there is no such key; known: name, optimizer"),
        ({"optimiser.lr": 1}, r"optimiser\.lr: there is no such key; .*optimizer"),
        ({"name": 3}, r"s\.toml: name: it should be a valid string, got 3"),
        ([1], r"s\.toml must be a table of keys and values, got \[1\]"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(table: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        read(table)


def read(table: object) -> None:
    keys = Keys(table, "s.toml")
    keys.take("name", str)
    keys.rest(["optimizer"])
