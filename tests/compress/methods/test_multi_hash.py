from __future__ import annotations

import math

import pytest
import torch

from pocketrec.compress import Bank, build, size
from pocketrec.compress.methods.multi_hash import METHOD
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract

ROWS = 100


class TestMultiHash(MethodContract):
    method = METHOD
    variants = ({}, {"hashes": 3})


def hashed(ids: int, hashes: int = 2) -> Bank:
    """A table of so many ids in a hundred rows of four numbers."""
    table = TableSpec(name="t", rows=ids, dim=4)
    return build(size([table], 8 + 16 * ROWS, "multi_hash", hashes=hashes), seed=1)


def test_an_id_is_the_sum_of_its_rows() -> None:
    bank, ids = hashed(5000, 3), torch.arange(5000)[:, None]
    (addresses,) = bank.addresses(ids)
    rows = bank.tensors()["0.rows"]
    torch.testing.assert_close(bank(ids)[:, 0], rows[addresses[:, 0]].sum(dim=1))


def test_ids_share_all_their_rows_as_often_as_two_dice_agree() -> None:
    """Two ids have the same pair with probability (2 - 1 / m) / m^2, in either order; with one hash 1 / m."""
    (addresses,) = hashed(5000).addresses(torch.arange(5000)[:, None])
    pairs = addresses[:, 0].sort(dim=1).values
    _, counts = pairs.unique(dim=0, return_counts=True)
    collisions, possible = float((counts * (counts - 1) / 2).sum()), 5000 * 4999 / 2
    share = (2 - 1 / ROWS) / ROWS**2
    assert abs(collisions - possible * share) < 5 * math.sqrt(possible * share)
    assert collisions < possible / ROWS / 40


def test_hashes_are_independent() -> None:
    (addresses,) = hashed(20_000).addresses(torch.arange(20_000)[:, None])
    first, second = addresses[:, 0].T
    together = torch.bincount(first * ROWS + second, minlength=ROWS**2).double()
    chi_square = float(((together - 2) ** 2 / 2).sum())
    assert abs(chi_square - (ROWS**2 - 1)) < 4 * math.sqrt(2 * ROWS**2)


def test_small_tables_are_exact() -> None:
    tables = [TableSpec(name="large", rows=10_000, dim=4), TableSpec(name="small", rows=30, dim=4)]
    bank = build(size(tables, 8 + 16 * 200, "multi_hash"), seed=0)
    assert bank.sizing.of("small").settings == {"rows": 30, "exact": True}
    assert len(bank.rows("small", 0, 30).unique(dim=0)) == 30


@pytest.mark.parametrize("hashes", [1, 17])
def test_other_numbers_of_hashes_are_refused(hashes: int) -> None:
    with pytest.raises(OptionError, match=rf"hashes must lie in 2\.\.16, got {hashes}"):
        METHOD(hashes=hashes)
