from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from pocketrec.spec.cardinalities import CARDINALITIES, scaled_cardinalities
from pocketrec.spec.errors import OptionError, UnknownName

SUMS = {
    "kaggle": (26, 33_762_577),
    "terabyte_10m": (26, 49_126_297),
    "terabyte_40m": (26, 187_767_399),
    "terabyte_torchrec": (26, 177_944_275),
    "terabyte": (26, 882_774_559),
    "avazu": (22, 9_449_445),
}


def test_every_set_has_its_published_number_of_fields_and_ids() -> None:
    assert {name: (len(sizes), sum(sizes)) for name, sizes in CARDINALITIES.items()} == SUMS


def test_they_are_the_published_lists(shared_data: Path) -> None:
    published = json.loads((shared_data / "table_cardinalities.json").read_text())
    assert sorted(CARDINALITIES.values()) == sorted(tuple(entry["n"]) for entry in published.values())


def test_scaling_is_exact_and_keeps_small_tables() -> None:
    assert scaled_cardinalities("kaggle") == CARDINALITIES["kaggle"]
    hundredth = scaled_cardinalities("kaggle", Fraction(1, 100))
    assert hundredth[2] == 101_312
    assert min(hundredth) == 3
    assert scaled_cardinalities("kaggle", "1/1000000")[8] == 3


def test_sizes_themselves_are_scaled_alike() -> None:
    assert scaled_cardinalities((50, 2, 40)) == (50, 2, 40)
    assert scaled_cardinalities([50, 2, 40], "1/10") == (5, 2, 4)
    for wrong in ((), (5, 0)):
        with pytest.raises(OptionError, match="each 1 or more"):
            scaled_cardinalities(wrong)


def test_a_wrong_name_or_scale_is_refused() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'kaggle'"):
        scaled_cardinalities("kagle")
    with pytest.raises(OptionError, match="above 0"):
        scaled_cardinalities("kaggle", 0)
