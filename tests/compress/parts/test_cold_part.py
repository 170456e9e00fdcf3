from __future__ import annotations

import pytest

from pocketrec.compress.method import of
from pocketrec.compress.parts.cold_part import ColdPart
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec

TABLES = [TableSpec(name=name, rows=100, dim=4, ids="rank") for name in ("a", "b")]


def part(cold: str, **options: object) -> ColdPart:
    return ColdPart.of(of("full"), cold, options)


def test_the_cold_method_has_the_hot_ones_storage_unless_told_otherwise() -> None:
    hot = of("full", {"storage": "int8", "init": 0.5})
    assert ColdPart.of(hot, "hash_rows", {}).method == of("hash_rows", {"storage": "int8", "init": 0.5})
    assert ColdPart.of(hot, "robe", {"storage": "float32", "block": 2}).method.storage == "float32"
    assert ColdPart.of(hot, "deeplight", {}).method == of("deeplight", {"init": 0.5}), "which is kept in float16 only"


def test_a_method_cannot_contain_itself() -> None:
    options = {"block": 2}
    made = ColdPart.of(of("full"), "robe", options)
    assert made.options == options
    assert made.options is not options
    with pytest.raises(OptionError, match="full: cold must name another method"):
        part("full")
    with pytest.raises(OptionError, match="full: cold_options are options by name, not 3"):
        ColdPart.of(of("full"), "robe", 3)


def test_ranks_can_be_replaced_by_hashes() -> None:
    own = of("full").traits
    assert part("hash_rows").traits(own).ids == ("rank", "plain", "hash63")
    assert part("quotient_remainder").traits(own).ids == ("rank", "plain")
    assert part("min_count").traits(own).needs_counts
    assert part("hash_rows").by_hashes(TABLES[0]).ids == "hash63"
    assert part("narrow").by_hashes(TABLES[0]) == TABLES[0]
    plain = TableSpec(name="p", rows=3, dim=4, ids="plain")
    assert part("hash_rows").by_hashes(plain) == plain


def test_groups_of_the_cold_method_join_in_the_hot_ones_ids() -> None:
    cold = part("quotient_remainder")
    groups, _ = cold.groups(TABLES, 1000, {}, OptimizerSpec())
    (joined,) = cold.joining(groups, groups[0].tables)
    assert joined.joins == "rest"
    assert joined.serve == groups[0].serve
    with pytest.raises(ValueError, match="argument 2 is"):
        cold.joining(groups, groups[0].tables[:1])
