from __future__ import annotations

import pytest
import torch

from pocketrec.compress import Bank, build, size
from pocketrec.compress.warm import copy_tables
from pocketrec.spec.errors import OptionError
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec


def made(a: int, b: int, method: str = "full", seed: int = 0, **options: object) -> Bank:
    tables = [TableSpec(name="a", rows=a, dim=4, ids="rank"), TableSpec(name="b", rows=b, dim=4, ids="rank")]
    bank = build(size(tables, "1x", method, **options), seed=seed)
    bank(torch.tensor([[1, 1]])).sum().backward()
    bank.step()
    return bank


def warm(new: Bank, old: Bank) -> None:
    with torch.no_grad():
        copy_tables(new.group_of("a"), old.group_of("a"))


def test_tables_that_grew_keep_their_rows_and_their_state() -> None:
    old, new = made(10, 5), made(13, 7, seed=1)
    fresh = {name: new.rows(name, 0, rows) for name, rows in (("a", 13), ("b", 7))}
    warm(new, old)
    for name, rows, grown in (("a", 10, 13), ("b", 5, 7)):
        assert torch.equal(new.rows(name, 0, rows), old.rows(name, 0, rows))
        assert torch.equal(new.rows(name, rows, grown), fresh[name][rows:]), "new rows start anew"
    state, before = new.tensors()["0.rows.sum"], old.tensors()["0.rows.sum"]
    assert torch.equal(state[:10], before[:10])
    assert torch.equal(state[13:18], before[10:])


def test_rows_that_moved_between_tables_are_told_apart() -> None:
    """The stacked tensor has one shape before and after, and still no row is where it was."""
    old, new = made(10, 5), made(5, 10, seed=1)
    warm(new, old)
    assert torch.equal(new.rows("a", 0, 5), old.rows("a", 0, 5))
    assert torch.equal(new.rows("b", 0, 5), old.rows("b", 0, 5))


def test_methods_that_do_not_grow_refuse_other_rows() -> None:
    old, new = made(100, 50, "hash_rows", exempt_small=False), made(120, 50, "hash_rows", exempt_small=False)
    with pytest.raises(OptionError, match=r"hash_rows: rows per table were .* Keep the sizing"):
        warm(new, old)


def test_min_count_refuses_another_choice_of_ids_even_in_as_many_rows() -> None:
    tables = [TableSpec(name=n, rows=10, dim=4, ids="rank") for n in "ab"]
    many, few = list(range(90, 9, -9)), [9] + [1] * 8
    banks = [
        build(size(tables, 12 * 16, "min_count", stats={n: TableStats.of_counts(n, c) for n, c in counts}), seed=0)
        for counts in ((("a", many), ("b", few)), (("a", few), ("b", many)))
    ]
    shapes = [bank.tensors()["0.rows"].shape for bank in banks]
    assert shapes[0] == shapes[1]
    with pytest.raises(OptionError, match="which row is whose"):
        warm(banks[0], banks[1])


def test_tensors_of_another_width_are_refused() -> None:
    old = made(10, 5)
    tables = [TableSpec(name="a", rows=10, dim=6, ids="rank"), TableSpec(name="b", rows=5, dim=6, ids="rank")]
    with pytest.raises(OptionError, match=r"tensor 'rows' of shape \(15, 4\) cannot be taken over into \(15, 6\)"):
        warm(build(size(tables, "1x"), seed=0), old)
