"""Texts on the command line become values."""

from __future__ import annotations

import pytest

from pocketrec.cli._options import method_options, nested, pairs
from pocketrec.spec.errors import OptionError


def test_values_are_read_as_yaml() -> None:
    texts = ["a=8", "b=0.5", "c=true", "d=null", "e=6/7", "f=[1, 2]", "g=x=y", "h=", "train.epochs=3"]
    assert pairs(texts, "--set") == {
        "a": 8, "b": 0.5, "c": True, "d": None, "e": "6/7", "f": [1, 2], "g": "x=y", "h": None, "train.epochs": 3,
    }  # fmt: skip
    assert pairs(None, "--set") == {}


@pytest.mark.parametrize("text", ["a", "=3", ""])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"--option '.*' is not of the form key=value"):
        pairs([text], "--option")


def test_a_value_that_is_not_yaml_is_refused() -> None:
    with pytest.raises(OptionError, match=r"--set 'a=\[1': the value cannot be read"):
        pairs(["a=[1"], "--set")


def test_nothing_in_a_value_is_run() -> None:
    with pytest.raises(OptionError, match="could not determine a constructor"):
        pairs(["a=!!python/object/apply:os.system ['true']"], "--set")


def test_storage_is_an_option_of_its_own() -> None:
    assert method_options(["block=8"], "int8") == {"block": 8, "storage": "int8"}
    assert method_options(["storage=float16"], None) == {"storage": "float16"}
    assert method_options(None, None) == {}


def test_a_dot_leads_into_the_options_of_a_method_inside() -> None:
    flat = method_options(["cold=robe", "cold_options.block=8", "cold_options.sign=false"], "int8")
    assert nested(flat) == {"cold": "robe", "cold_options": {"block": 8, "sign": False}, "storage": "int8"}
    assert nested({"c": {"block": 8}, "c.sign": True}) == {"c": {"block": 8, "sign": True}}
    with pytest.raises(OptionError, match=r"block\.size: block is 8, it has no keys of its own"):
        nested({"block": 8, "block.size": 3})
