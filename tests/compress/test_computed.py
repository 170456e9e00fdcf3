from __future__ import annotations

import pytest
import torch

from pocketrec.compress import Bank, build, size
from pocketrec.compress.computed import Asked, per_table, vectors_of_bags, vectors_of_grid, with_loss
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of

TABLES = [TableSpec(name=f"t{i}", rows=2000, dim=3) for i in range(3)]


def bank(padding: dict[str, int] | None = None) -> Bank:
    return build(size(TABLES, "20x", "random_projection"), seed=0, padding=padding)


def test_fields_that_share_a_table_share_what_is_computed() -> None:
    sizing = size(TABLES[:1], "20x", "random_projection")
    shared = build(sizing, seed=0, fields={"a": "t0", "b": "t0"})
    ids = torch.tensor([[5, 9], [9, 5], [5, 5]])
    vectors = shared(ids)
    assert torch.equal(vectors[0, 0], vectors[1, 1])
    assert torch.equal(vectors[0, 1], vectors[1, 0])
    (vectors * torch.arange(1.0, 7).view(3, 2, 1)).sum().backward()
    (matrix,) = shared.matrices()
    assert matrix.grad is not None
    (wanted,) = torch.autograd.grad((shared.rows("t0", 0, 10)).sum() * 0 + _by_rows(shared, ids), [matrix])
    torch.testing.assert_close(matrix.grad, wanted)


def _by_rows(shared: Bank, ids: torch.Tensor) -> torch.Tensor:
    (group,) = groups_of(shared)
    flat = ids.reshape(-1)
    asked = Asked(flat, torch.zeros_like(flat), [(0, 0, len(flat))])
    vectors = group.method.computed(group, torch.empty(len(flat), 0), asked)
    return (vectors.view(3, 2, -1) * torch.arange(1.0, 7).view(3, 2, 1)).sum()


def test_grids_and_bags_without_branches_give_the_same() -> None:
    padded = bank({"t1": 7})
    (group,) = groups_of(padded)
    ids = torch.tensor([[1, 7, 3], [4, 5, 1999]])
    expected = padded(ids)
    assert not expected[0, 1].any()
    torch.testing.assert_close(vectors_of_grid(group, None, ids), expected)
    offsets = torch.arange(7)
    found = vectors_of_bags(group, None, ids.T.reshape(-1), offsets)
    torch.testing.assert_close(found.view(3, 2, -1).transpose(0, 1), expected)


def test_values_of_tables_in_no_order_go_through_every_table() -> None:
    (group,) = groups_of(bank())
    ids, tables = torch.tensor([3, 4, 5]), torch.tensor([2, 0, 2])
    sums = per_table(group, Asked(ids, tables, None), lambda place, of: (of + 100 * place)[:, None].expand(-1, 3) * 1.0)
    assert sums[:, 0].tolist() == [203.0, 4.0, 205.0]
    runs = per_table(
        group, Asked(ids, tables, [(2, 0, 1), (0, 1, 2), (2, 2, 3)]), lambda place, of: of[:, None] + place
    )
    assert runs[:, 0].tolist() == [5, 4, 7]


def test_nothing_asked_gives_nothing_and_still_learns() -> None:
    empty = bank()(torch.empty(0, 3, dtype=torch.int64))
    assert empty.shape == (0, 3, 3)
    assert empty.requires_grad


def test_a_loss_goes_back_with_weight_one_whatever_the_vectors_weigh() -> None:
    vectors, weight = torch.ones(3, 2, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    found = with_loss(vectors, weight.square())
    assert torch.equal(found, vectors)
    (found * 7).sum().backward()
    assert weight.grad is not None
    assert float(weight.grad) == 4.0
    assert vectors.grad is not None
    assert bool((vectors.grad == 7).all())


def test_values_are_counted_and_padding_is_not() -> None:
    seen, padded = [], bank({"t1": 7})
    (group,) = groups_of(padded)
    plain = type(group.method).computed

    def noted(method: object, of: object, rows: torch.Tensor, asked: Asked) -> torch.Tensor:
        assert asked.counts is not None
        each = zip(asked.tables.tolist(), asked.ids.tolist(), asked.counts.tolist(), strict=True)
        seen.append({(table, i): count for table, i, count in each})
        return plain(method, of, rows, asked)  # type: ignore[arg-type]  # handed on

    ids = torch.tensor([[1, 7, 3], [1, 5, 3], [1, 5, 4]])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(group.method), "computed", noted)
        padded(ids)
        vectors_of_grid(group, None, ids)
        vectors_of_bags(group, None, ids.T.reshape(-1), torch.arange(10))
    assert seen[0] == {(0, 1): 3, (1, 5): 2, (2, 3): 2, (2, 4): 1}
    for traced in seen[1:]:
        assert traced[1, 7] == 0, "as padding"
        assert traced[0, 1] == 1, "each value once, where none are counted"
