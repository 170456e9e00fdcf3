from __future__ import annotations

import pytest
import torch

from pocketrec.compress import Bank, build, join, size
from pocketrec.compress.jagged import columns_of_values
from pocketrec.compress.tape import Tape, Touched, touched
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec


def bank(padding: dict[str, int] | None = None) -> Bank:
    tables = [TableSpec(name=n, rows=20, dim=2) for n in "ab"]
    return build(size(tables, "1x"), seed=0, padding=padding)


def tape(grad: torch.Tensor, *arguments: object) -> Tape:
    made = Tape(0, *arguments)  # type: ignore[arg-type]
    made.take(grad)
    return made


def test_a_gradient_is_taken_as_it_is_and_several_are_added() -> None:
    grad = torch.ones(2, 1, 2)
    made = tape(grad, torch.zeros(2, 1), None, None, "none")
    assert made.grad is grad, "no copy"
    made.take(grad)
    assert made.grad.tolist() == (2 * grad).tolist()
    assert grad.tolist() == [[[1.0, 1.0]], [[1.0, 1.0]]]


def test_a_gradient_that_was_changed_afterwards_is_refused() -> None:
    tables = bank().train()
    grad = torch.ones(3, 2, 2)
    tables(torch.tensor([[1, 2], [3, 4], [1, 1]])).backward(grad)
    grad.mul_(2)
    with pytest.raises(OptionError, match=r"changed in place after backward.*bank\.collect\(\)"):
        tables.step()


def told(found: Touched) -> list[tuple[int, int, float]]:
    return list(zip(found.ids.tolist(), found.tables.tolist(), found.importance.tolist(), strict=True))


GRAD = torch.tensor([[[3.0, 4.0], [0.0, 1.0]], [[0.0, 2.0], [6.0, 8.0]]])  # [batch 2, columns 2, dim 2]


def test_single_ids() -> None:
    found = touched(bank().group_of("a"), tape(GRAD, torch.tensor([[5, 6], [5, 7]]), None, None, "none"))
    assert told(found) == [(5, 0, 5.0), (6, 1, 1.0), (5, 0, 2.0), (7, 1, 10.0)]


def test_padding_is_left_out() -> None:
    group = bank({"a": 5}).group_of("a")
    found = touched(group, tape(GRAD, torch.tensor([[5, 5], [4, 7]]), None, None, "none"))
    assert told(found) == [(5, 1, 1.0), (4, 0, 2.0), (7, 1, 10.0)], "padding of one table is an id of the other"


@pytest.mark.parametrize("pool", ["sum", "mean"])
def test_bags_share_their_gradient(pool: str) -> None:
    ids, offsets = torch.tensor([5, 5, 6, 7, 8]), torch.tensor([0, 2, 3, 3, 5])
    found = touched(bank().group_of("a"), tape(GRAD, ids, offsets, None, pool))
    assert told(found) == [(5, 0, 5.0), (5, 0, 5.0), (6, 0, 2.0), (7, 1, 10.0), (8, 1, 10.0)]


def test_weights_count() -> None:
    ids, offsets = torch.tensor([5, 5, 6, 7, 8]), torch.tensor([0, 2, 3, 3, 5])
    weights = torch.tensor([1.0, -2.0, 0.0, 0.5, 1.0])
    found = touched(bank().group_of("a"), tape(GRAD, ids, offsets, weights, "sum"))
    assert found.importance.tolist() == [5.0, 10.0, 0.0, 5.0, 10.0]


def test_values_without_pooling_have_their_own() -> None:
    grad = torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 2.0]])
    found = touched(
        bank().group_of("a"), tape(grad, torch.tensor([5, 6, 7]), torch.tensor([0, 1, 1, 2, 3]), None, "none")
    )
    assert told(found) == [(5, 0, 5.0), (6, 1, 1.0), (7, 1, 2.0)]


def test_some_columns_of_a_larger_input() -> None:
    """Offsets [columns, batch + 1], as a group of a mixed bank gets them."""
    ids, offsets = torch.arange(10, 20), torch.tensor([[0, 1, 3], [7, 7, 9]])
    found = touched(bank().group_of("a"), tape(GRAD, ids, offsets, None, "sum"))
    assert [t[:2] for t in told(found)] == [(10, 0), (11, 0), (12, 0), (17, 1), (18, 1)]
    assert found.importance.tolist() == [5.0, 2.0, 2.0, 10.0, 10.0]


def test_columns_of_one_table_are_told_as_that_table() -> None:
    sizing = size([TableSpec(name="a", rows=20, dim=2)], "1x")
    made = build(join([sizing], ["a", "a"], "1x"), seed=0)
    found = touched(made.group_of("a"), tape(GRAD, torch.tensor([[5, 6], [5, 7]]), None, None, "none"))
    assert found.tables.tolist() == [0, 0, 0, 0]


def test_max_is_refused() -> None:
    with pytest.raises(OptionError, match="sum or mean, not max"):
        touched(bank().group_of("a"), tape(GRAD, torch.tensor([5]), torch.tensor([0, 1, 1, 1, 1]), None, "max"))


def test_joined_and_columns() -> None:
    parts = [Touched(torch.tensor([i]), torch.tensor([0]), torch.tensor([1.0])) for i in (3, 4)]
    assert Touched.joined(parts).ids.tolist() == [3, 4]
    assert columns_of_values(torch.tensor([0, 2, 3, 3, 5]), 2).tolist() == [0, 0, 0, 1, 1]
    assert columns_of_values(torch.tensor([0]), 2).tolist() == []
