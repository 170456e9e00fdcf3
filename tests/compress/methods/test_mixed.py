from __future__ import annotations

from typing import Any

import pytest
import torch

from pocketrec.compress import Bank, build, freeze, size, stages
from pocketrec.compress.method import of
from pocketrec.compress.methods.mixed import METHOD
from pocketrec.spec.errors import BudgetTooSmall, OptionError, UnknownName
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of, random_batch, small_tables, zipf_stats
from pocketrec.testing.method_contract import MethodContract


class TestMixed(MethodContract):
    method = METHOD
    variants = ({}, {"rest": "hash_rows"})


TABLES = small_tables("rank")
PARTS: list[dict[str, Any]] = [
    {"tables": ["t2"], "method": "hash_rows", "bytes": 500},
    {"tables": ["t3", "t0"], "method": "full", "bytes": 24 * 43, "options": {"storage": "float32"}},
]


def mixed(budget: int = 2000, **options: Any) -> Bank:
    method = of("mixed", {"parts": PARTS, **options})
    return build(method.size(TABLES, budget, stats=zipf_stats(TABLES)), seed=0)


def test_each_table_is_held_by_the_method_of_its_part() -> None:
    sizing = mixed(storage="int8").sizing
    held = {t.table.name: (g.method, g.options["storage"], g.serve_bytes) for g in sizing.groups for t in g.tables}
    assert held["t2"] == ("hash_rows", "int8", 8 + 14 * ((500 - 8) // 14))
    assert held["t0"] == held["t3"] == ("full", "float32", 24 * 43)
    assert held["t1"] == ("min_count", "int8", 14 * 7)
    assert sizing.order == ("t0", "t1", "t2", "t3")
    assert sizing.serve_bytes <= 2000


def test_vectors_and_steps_are_those_of_the_parts() -> None:
    """As three banks that stand alone, with the same seeds of their groups."""
    bank = mixed()
    batch = random_batch(bank.sizing, 1)
    (bank(batch.ids) * batch.factors).sum().backward()
    bank.step()
    (exact,) = [g for g in groups_of(bank) if g.method.name == "full"]
    assert exact.columns == [0, 3]
    vectors = bank(batch.ids)
    torch.testing.assert_close(vectors[:, 0], bank.rows("t0", 0, 41)[batch.ids[:, 0]])
    torch.testing.assert_close(vectors[:, 1], bank.rows("t1", 0, 7)[batch.ids[:, 1]])
    served = freeze(bank)
    assert torch.equal(served(batch.ids), bank.eval()(batch.ids))
    assert served.held_bytes() == bank.sizing.serve_bytes


def test_tables_of_a_part_may_have_bytes_each() -> None:
    """They are one group, as one native call wants it."""
    part = {"tables": ["t3", "t0", "t2"], "method": "min_count", "bytes": [24 * 2, 24 * 9, 24 * 5]}
    sizing = of("mixed", {"parts": [part]}).size(TABLES, 3000, stats=zipf_stats(TABLES))
    own, rest = sizing.groups
    assert {t.table.name: t.settings["rows"] for t in own.tables} == {"t3": 2, "t0": 9, "t2": 5}
    assert own.serve_bytes == 24 * (2 + 9 + 5)
    assert [t.table.name for t in rest.tables] == ["t1"]
    assert of("mixed", {"parts": [part]}).least_bytes(TABLES) == 24 * (2 + 9 + 5) + 24


def test_what_a_part_leaves_the_rest_may_take() -> None:
    tables = [TableSpec(name="a", rows=10, dim=4), TableSpec(name="b", rows=5000, dim=4, ids="rank")]
    stats = {"b": TableStats.zipf("b", 4999)}
    part = {"tables": ["a"], "method": "full", "bytes": 600}
    sizing = of("mixed", {"parts": [part]}).size(tables, 1600, stats=stats)
    assert sizing.groups[0].serve_bytes == 160
    assert sizing.groups[1].serve_bytes == 1600 - 160


def test_the_floor_is_what_the_parts_ask_for() -> None:
    method = of("mixed", {"parts": PARTS})
    floor = 500 + 24 * 43 + 24
    assert method.least_bytes(TABLES) == floor
    with pytest.raises(BudgetTooSmall, match=f"{floor:,}"):
        method.size(TABLES, floor - 1, stats=zipf_stats(TABLES))
    short = of("mixed", {"parts": [{"tables": ["t0"], "method": "full", "bytes": 100}]})
    with pytest.raises(BudgetTooSmall, match="full"):
        short.size(TABLES, 5000, stats=zipf_stats(TABLES))


def test_traits_are_those_of_all_parts() -> None:
    assert METHOD().traits.needs_counts
    assert METHOD(rest="hash_rows").traits.ids == ("rank", "plain", "hash63")
    assert not METHOD(rest="hash_rows").traits.needs_counts
    assert METHOD(rest="min_count", parts=({"tables": ["t"], "method": "robe", "bytes": 9},)).traits.ids[-1] == "hash63"
    tables = [TableSpec(name="t", rows=9, dim=4), TableSpec(name="u", rows=9, dim=4)]
    with pytest.raises(OptionError, match="min_count takes ids of space rank; table 'u' has plain ids"):
        size(tables, 1000, "mixed", parts=[{"tables": ["t"], "method": "robe", "bytes": 100}])
    cafe = METHOD(parts=({"tables": ["t"], "method": "cafe", "bytes": 9},), rest="hash_rows")
    assert cafe.traits.adaptive


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"tables": ["t2"], "method": "hash_rows"}, "lacks 'bytes'"),
        ({"tables": ["t2"], "method": "hash_rows", "bytes": 1, "size": 2}, "no key 'size'"),
        ({"tables": "t2", "method": "hash_rows", "bytes": 1}, "tables must be a list"),
        ({"tables": [], "method": "hash_rows", "bytes": 1}, "needs a table"),
        ({"tables": ["t2"], "method": "hash_rows", "bytes": -1}, "bytes of 0 or more"),
        ({"tables": ["t2"], "method": "hash_rows", "bytes": [1, 2]}, "2 numbers of bytes for 1 tables"),
        ({"tables": ["t2"], "method": "hash_rows", "bytes": [True]}, "bytes of 0 or more"),
        ({"tables": ["t2"], "method": "hash_rows", "bytes": "9"}, "bytes must be"),
        ({"tables": ["t2", "t2"], "method": "hash_rows", "bytes": 1}, "'t2' stands in two parts"),
        ({"tables": ["t2"], "method": "mixed", "bytes": 1}, "mixture of mixtures"),
        ({"tables": ["t2"], "method": "hash_rows", "bytes": 1, "options": {"x": 1}}, "no option 'x'"),
    ],
)
def test_parts_that_make_no_sense_are_refused(part: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        of("mixed", {"parts": [part]})


def test_a_table_that_there_is_not_is_named() -> None:
    part = {"tables": ["t9"], "method": "hash_rows", "bytes": 100}
    with pytest.raises(UnknownName, match="t9"):
        size(TABLES, 5000, "mixed", parts=[part])


def test_a_part_may_score_candidates_and_two_may_not() -> None:
    tables = [TableSpec(name=n, rows=rows, dim=8, ids="rank") for n, rows in (("a", 300), ("b", 40), ("c", 500))]
    part = {"tables": ["a", "b"], "method": "optembed", "bytes": 6000}
    method = of("mixed", {"parts": [part]})
    assert method.traits.scores
    assert method.traits.settles
    sizing = method.size(tables, 14_000)
    assert [stage.name for stage, _ in stages(sizing)] == ["supernet", "evolve", "retrain"]
    assert not of("mixed").traits.scores
    two = of("mixed", {"parts": [part], "rest": "optembed", "rest_options": {"alpha": 1e-4}})
    with pytest.raises(OptionError, match="they would be judged together"):
        two.size(tables, 14_000)
