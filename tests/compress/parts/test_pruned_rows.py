from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pocketrec.compress import build, freeze, size
from pocketrec.compress.computed import Asked
from pocketrec.compress.group import Group
from pocketrec.compress.parts import pruned_rows
from pocketrec.compress.parts.pruned_rows import (
    KEPT,
    ROWS,
    keep_all_but_pruned,
    keep_largest,
    masks,
    place_of,
    prune,
    pruned_decision,
    searched_together,
    settled_store,
    sparse_size,
)
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of


def sized(dim: int, budget: str = "8x") -> Sizing:
    return size([TableSpec(name="a", rows=50, dim=dim), TableSpec(name="b", rows=7, dim=dim)], budget, "pep")


def group_of(dim: int) -> Group:
    (group,) = groups_of(build(sized(dim), seed=0))
    return group


def table(rows: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dim", [1, 6, 8, 9, 16, 20])
@pytest.mark.parametrize("chunk", [16, 1 << 22])
def test_a_mask_is_read_as_it_was_written(dim: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruned_rows, "_CHUNK_NUMBERS", chunk)
    keys, bits = table(57, dim), torch.zeros(57, -(-dim // 8), dtype=torch.uint8)
    keep_largest(bits, keys, count := 57 * dim // 3)
    parts = list(masks(bits, dim, 4))
    assert all(first % 4 == 0 for first, _ in parts)
    mask = torch.cat([part for _, part in parts])
    assert int(mask.sum()) == count
    assert keys.abs()[mask].min() >= keys.abs()[~mask].max()
    kept = keys.clone()
    keep_all_but_pruned(kept, bits)
    assert torch.equal(kept, keys * mask)
    number = dim - 1
    assert torch.equal(bits[:, number // 8] >> number % 8 & 1, mask[:, number].to(torch.uint8)), (
        "bit c % 8 of byte c // 8"
    )


def test_pruned_numbers_are_zero_and_take_no_gradient() -> None:
    group = group_of(9)
    mask = torch.cat([part for _, part in masks(group.tensor(KEPT), 9)])
    asked = Asked(torch.tensor([3, 49, 6, 0]), torch.tensor([0, 0, 1, 1]), [(0, 0, 2), (1, 2, 4)])
    places = place_of(group, asked)
    assert places.tolist() == [3, 49, 56, 50]
    rows = table(4, 9).requires_grad_()
    found = prune(group, rows, asked)
    assert torch.equal(found, rows.detach() * mask[places])
    found.sum().backward()
    assert rows.grad is not None
    assert torch.equal(rows.grad, mask[places].float())


def test_it_serves_just_what_the_mask_keeps_be_it_zero() -> None:
    bank = build(sized(6), seed=0)
    (group,) = groups_of(bank)
    with torch.no_grad():
        group.tensor(ROWS)[::2] = 0
    served = freeze(bank)
    assert len(served.tensors()["0.entries"]) == sparse_size(group.sizing.tables, group.sizing.settings).nonzeros
    for table_name, rows in (("a", 50), ("b", 7)):
        assert torch.equal(served.rows(table_name, 0, rows), bank.rows(table_name, 0, rows).half().float())


def test_a_decision_says_what_is_pruned_and_nothing_where_nothing_is() -> None:
    tables = [TableSpec(name="a", rows=50, dim=6)]
    found = pruned_decision("some", tables, 400, "are gone.")
    assert found.settings == {"nonzeros": (400 - 4 * 3) // 3, "place_bytes": 1}
    assert found.notes == ("57.00% of all numbers are gone.",)
    assert pruned_decision("some", tables, 10_000, "are gone.").notes == ()
    with pytest.raises(OptionError, match="some takes vectors of at most 65,536 numbers, table 'wide' has 70,000"):
        pruned_decision("some", [TableSpec(name="wide", rows=3, dim=70_000)], 400, "")


def test_groups_share_the_bytes_of_all_of_them() -> None:
    one, other = sized(6, "8x").groups[0], sized(6, "20x").groups[0]
    tables, settings = searched_together([one, other])
    assert tables == (*one.tables, *other.tables)
    assert sparse_size(tables, settings).nbytes <= one.serve_bytes + other.serve_bytes
    assert searched_together([one])[1] == one.settings
    assert settled_store({"search": True, "nonzeros": 5}) == {"nonzeros": 5, "settled": True}
