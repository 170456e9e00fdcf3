from __future__ import annotations

import pytest

from pocketrec.compress.method import of
from pocketrec.compress.parts.cold_part import (
    by_hashes,
    check_cold,
    cold_groups,
    cold_method,
    joined_traits,
    joining,
)
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec

TABLES = [TableSpec(name=name, rows=100, dim=4, ids="rank") for name in ("a", "b")]


def test_the_cold_method_has_the_hot_ones_storage_unless_told_otherwise() -> None:
    hot = of("full", {"storage": "int8", "init": 0.5})
    assert cold_method(hot, "hash_rows", {}) == of("hash_rows", {"storage": "int8", "init": 0.5})
    assert cold_method(hot, "robe", {"storage": "float32", "block": 2}).storage == "float32"


def test_a_method_cannot_contain_itself() -> None:
    assert check_cold(of("full"), "robe", {"block": 2}) == {"block": 2}
    with pytest.raises(OptionError, match="full: the cold method is another one"):
        check_cold(of("full"), "full", {})
    with pytest.raises(OptionError, match="full: cold_options are options by name, not 3"):
        check_cold(of("full"), "robe", 3)


def test_ranks_can_be_replaced_by_hashes() -> None:
    own = of("full").traits
    assert joined_traits(own, of("hash_rows")).ids == ("rank", "plain", "hash63")
    assert joined_traits(own, of("quotient_remainder")).ids == ("rank", "plain")
    assert joined_traits(own, of("min_count")).needs_counts
    assert by_hashes(of("hash_rows"), TABLES[0]).ids == "hash63"
    assert by_hashes(of("narrow"), TABLES[0]) == TABLES[0]
    plain = TableSpec(name="p", rows=3, dim=4, ids="plain")
    assert by_hashes(of("hash_rows"), plain) == plain


def test_groups_of_the_cold_method_join_in_the_hot_ones_ids() -> None:
    groups, _ = cold_groups(of("full"), of("quotient_remainder"), TABLES, 1000, {}, OptimizerSpec())
    (joined,) = joining(groups, groups[0].tables)
    assert joined.joins == "rest"
    assert joined.serve == groups[0].serve
    with pytest.raises(ValueError, match="argument 2 is"):
        joining(groups, groups[0].tables[:1])
