from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pocketrec.native import BlockFlag, Kind, program_row
from pocketrec.native.regions import block_weights, in_regions
from pocketrec.native.values import values_of
from pocketrec.spec.errors import IdError


def dealt(addresses: list[int], sizes: list[int]) -> list[tuple[int, list[int] | None, list[int]]]:
    found = in_regions(torch.tensor(addresses), sizes)
    return [(n, None if chosen is None else chosen.tolist(), rows.tolist()) for n, chosen, rows in found]


def test_addresses_are_dealt_out_in_order() -> None:
    assert dealt([9, 0, 4, -1, 5, 4], [5, 0, 5]) == [(0, [1, 2, 5], [0, 4, 4]), (2, [0, 4], [4, 0])]


def test_one_region_takes_all_as_they_are() -> None:
    assert dealt([2, 0, 2], [3]) == [(0, None, [2, 0, 2])]
    assert dealt([2, -1, 2], [3]) == [(0, [0, 2], [2, 2])]


def test_addresses_beyond_the_last_region_are_refused() -> None:
    with pytest.raises(IdError, match="address 10 lies beyond the 10 rows"):
        dealt([0, 10], [5, 5])


def test_block_weights_are_those_of_python_integers(oracle: Any, make_call: Callable[..., Any]) -> None:
    dim = 67
    rows = [
        program_row(kind=Kind.BLOCK, size=100, a=66, b=BlockFlag.SIGN, seed=3),
        program_row(kind=Kind.BLOCK, start=9, size=71, a=67, seed=4, column=1),
    ]
    ids = torch.tensor([[5, 2**40], [2**62, 0]])
    values = values_of(ids, None, torch.tensor(rows))
    starts = torch.tensor(
        [
            (found + [found[0]] * 2)[:2]
            for x, row in ((5, rows[0]), (2**40, rows[1]), (2**62, rows[0]), (0, rows[1]))
            for found in [oracle.addresses(x, row, 2, [])]
        ]
    )
    places, signs = block_weights(values, starts, torch.tensor(rows), None, dim)
    for n, (x, row) in enumerate(((5, rows[0]), (2**40, rows[1]), (2**62, rows[0]), (0, rows[1]))):
        expected_places, expected_signs = oracle.weights(x, row, dim)
        assert places[n].tolist() == expected_places
        assert signs[n].tolist() == expected_signs
    assert -1 in signs[0]
    assert -1 not in signs[1]


def test_padding_has_no_weights() -> None:
    row = program_row(kind=Kind.BLOCK, size=10, a=4, padding=3)
    values = values_of(torch.tensor([[3]]), None, torch.tensor([row]))
    places, _ = block_weights(values, torch.tensor([[-1, -1]]), torch.tensor([row]), None, 6)
    assert places.tolist() == [[-1] * 6]
