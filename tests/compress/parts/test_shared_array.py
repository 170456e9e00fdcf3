from __future__ import annotations

import pytest
import torch

from pocketrec.compress import build, size
from pocketrec.compress.parts.shared_array import array_bytes, weights_within
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.table import TableSpec

TABLES = [TableSpec(name="a", rows=100, dim=8), TableSpec(name="b", rows=20, dim=8)]


@pytest.mark.parametrize("storage", STORAGES.names())
def test_the_longest_array_that_fits_is_found(storage: str) -> None:
    for budget in (300, 1000, 1001, 1023):
        weights = weights_within(storage, budget, TABLES)
        step = 64 if STORAGES.get(storage).code else 1
        assert weights > 0
        assert array_bytes(storage, weights) <= budget
        full = 120 * 8
        assert weights == full or array_bytes(storage, weights + step) > budget


def test_no_array_is_longer_than_its_tables() -> None:
    assert weights_within("float32", 10**9, TABLES) == 120 * 8
    open_table = TableSpec(name="c", rows=None, dim=8, ids="hash63")
    assert weights_within("float32", 10**9, [*TABLES, open_table]) == 10**9 // 4


def test_the_array_starts_as_the_table_with_the_smallest_vectors() -> None:
    bank = build(size(TABLES, 1000, "robe"), seed=0)
    array = bank.group_of("a").tensor("array").detach()
    assert float(array.abs().max()) <= 0.1
    assert float(array.abs().max()) > 0.09
    again = build(size(TABLES, 1000, "robe"), seed=0).group_of("a").tensor("array")
    assert torch.equal(array, again)
