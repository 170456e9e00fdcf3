from __future__ import annotations

import pytest
import torch

from pocketrec.compress import Bank, build, join, size
from pocketrec.compress.units import looked_up, rows_of, shared_bags, units_of
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec

TABLES = [TableSpec(name=f"t{i}", rows=40, dim=4, ids="rank") for i in range(3)]


def bank() -> Bank:
    """Two tables of a method in two parts, and one that stands alone."""
    parts = [size(TABLES[:2], "4x", "offline_split"), size(TABLES[2:], "1x")]
    return build(join(parts, [t.name for t in TABLES], "1x"), seed=0).eval()


def test_groups_that_join_are_one_unit() -> None:
    units = units_of(list(bank().groups))
    assert [(unit.first, len(unit.groups), unit.multiplied) for unit in units] == [(0, 2, False), (2, 1, False)]
    factors = build(size(TABLES, 4000, "bloom"), seed=0)
    assert [(unit.first, unit.multiplied) for unit in units_of(list(factors.groups))] == [(0, True)]


def test_a_unit_asks_the_rest_for_what_was_not_found() -> None:
    whole, asked = bank(), []
    unit, ids = whole.units[0], torch.tensor([[1, 39, 5], [30, 2, 5]])

    def look_up(index: int, group: object, ids: torch.Tensor, *bags: object) -> torch.Tensor:
        asked.append((index, ids[:, :2].tolist()))
        return torch.full((2, 2, 4), float(index + 1))

    vectors, factors = looked_up(unit, look_up, ids, None, None, "sum", by_value=True)
    assert factors is None
    assert vectors.unique().tolist() == [3]
    assert [index for index, _ in asked] == [0, 1]
    assert asked[0][1] == [[1, 39], [30, 2]]
    hot = (torch.tensor(asked[1][1]) < 0).tolist()
    assert hot == [[True, False], [False, True]], "the frequent ids have rows of their own"


def test_rows_are_what_the_bank_looks_up() -> None:
    whole, ids = bank(), torch.arange(1, 3)
    found = rows_of(whole.unit_of("t1"), 1, ids)
    assert torch.equal(found, whole(torch.stack([ids, ids, ids], dim=1))[:, 1])


def test_values_of_two_bags_become_two_values() -> None:
    ids, shared = torch.tensor([4, 5, 6]), torch.tensor([[0, 2], [1, 3]])
    found, offsets, _ = shared_bags(ids, shared, None)
    assert found.tolist() == [4, 5, 5, 6], "a value of two bags became two"
    assert offsets.tolist() == [0, 2, 4]


def test_two_parts_have_no_maximum() -> None:
    whole = bank()
    with pytest.raises(OptionError, match="two parts"):
        whole(torch.tensor([1, 2, 3]), torch.tensor([0, 1, 2, 3]), None, "max")
