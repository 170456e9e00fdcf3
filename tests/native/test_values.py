from __future__ import annotations

import pytest
import torch

from pocketrec.native import program_row
from pocketrec.native.values import values_of
from pocketrec.spec.errors import IdError


def test_a_grid_goes_row_by_row_over_the_fields_of_the_program() -> None:
    program = torch.tensor([program_row(column=2, padding=6), program_row(column=0)])
    found = values_of(torch.arange(9).view(3, 3), None, program)
    assert found.ids.tolist() == [2, 0, 5, 3, 8, 6]
    assert found.fields.tolist() == [0, 1] * 3
    assert found.bags.tolist() == found.positions.tolist() == list(range(6))
    assert not found.padding.any()


def test_bags_go_field_by_field_and_know_their_place_in_the_output() -> None:
    program = torch.tensor([program_row(), program_row(padding=7)])
    ids, offsets = torch.tensor([4, 5, 6, 7, 7]), torch.tensor([0, 2, 2, 3, 5])
    found = values_of(ids, offsets, program)
    assert found.fields.tolist() == [0, 0, 1, 1, 1]
    assert found.bags.tolist() == [0, 0, 1, 3, 3]  # bag (row, field) stands at row * fields + field
    assert found.positions.tolist() == [0, 1, 2, 3, 4]
    assert found.padding.tolist() == [False, False, False, True, True]


def test_bags_may_leave_ids_out_and_share_them() -> None:
    program = torch.tensor([program_row(), program_row()])
    offsets = torch.tensor([[1, 2, 3], [2, 2, 4]])
    found = values_of(torch.tensor([9, 8, 7, 6, 5]), offsets, program)
    assert found.ids.tolist() == [8, 7, 7, 6]
    assert found.positions.tolist() == [1, 2, 2, 3]
    assert found.bags.tolist() == [0, 2, 3, 3]


def test_negative_ids_outside_all_bags_are_not_looked_at() -> None:
    program = torch.tensor([program_row()])
    assert values_of(torch.tensor([-5, 3, -5]), torch.tensor([1, 2]), program).ids.tolist() == [3]
    with pytest.raises(IdError, match=r"id -5 \(value 2, field 0\)"):
        values_of(torch.tensor([-5, 3, -5]), torch.tensor([1, 3]), program)
