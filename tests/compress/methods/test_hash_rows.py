from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, size
from pocketrec.compress.methods.hash_rows import METHOD
from pocketrec.compress.share import proportional, waterfill
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import public_tables
from pocketrec.testing.method_contract import MethodContract

BUCKETS = 509


class TestHashRows(MethodContract):
    method = METHOD
    variants = ({}, {"exempt_small": False})


def hashed(rows: int, *, columns: int = 1, seed: int = 0) -> Bank:
    """A bank of equal tables with `BUCKETS` rows each."""
    tables = [TableSpec(name=f"t{i}", rows=rows, dim=1) for i in range(columns)]
    return build(size(tables, 8 + 4 * columns * BUCKETS, "hash_rows"), seed=seed)


def chi_square_z(addresses: Tensor, bins: int) -> float:
    """How many standard deviations the chi-square of the loads is from that of fair dice."""
    load = torch.bincount(addresses, minlength=bins).double()
    expected = addresses.numel() / bins
    chi_square = float(((load - expected) ** 2 / expected).sum())
    return (chi_square - (bins - 1)) / math.sqrt(2 * (bins - 1))


@pytest.mark.parametrize("stride", [1, 2, 7, BUCKETS, 1000, 2**10, 2**20, 2**32, 3 * 2**40])
@pytest.mark.parametrize("first", [0, 2**31 - 5000, 2**53])
def test_buckets_are_filled_evenly(stride: int, first: int) -> None:
    ids = first + stride * torch.arange(20_000)
    (addresses,) = hashed(2**62).addresses(ids[:, None])
    assert abs(chi_square_z(addresses.flatten(), BUCKETS)) < 4


def test_the_remainder_would_not_do() -> None:
    """The check above can fail: ids in steps of the number of buckets all have one remainder."""
    assert chi_square_z(BUCKETS * torch.arange(20_000) % BUCKETS, BUCKETS) > 1000


def test_pairs_of_ids_collide_as_dice_do() -> None:
    (addresses,) = hashed(10**6).addresses(torch.arange(5000)[:, None])
    load = torch.bincount(addresses.flatten(), minlength=BUCKETS)
    pairs, share = 5000 * 4999 / 2, 1 / BUCKETS
    collisions = float((load * (load - 1) / 2).sum())
    assert abs(collisions - pairs * share) < 4 * math.sqrt(pairs * share * (1 - share))


def test_tables_and_seeds_hash_differently() -> None:
    ids = torch.arange(3000)
    (addresses,) = hashed(10**6, columns=2).addresses(torch.stack([ids, ids], dim=1))
    one, two = addresses[:, 0, 0], addresses[:, 1, 0] - BUCKETS
    (other,) = hashed(10**6, seed=1).addresses(ids[:, None])
    for same in ((one == two).sum(), (one == other.flatten()).sum()):
        assert abs(float(same) - 3000 / BUCKETS) < 4 * math.sqrt(3000 / BUCKETS)


def test_small_tables_stay_exact_by_default() -> None:
    tables = public_tables("rank", dim=16)
    sizing = size(tables, "10x", "hash_rows")
    rows = [sizing.of(t.name).settings["rows"] for t in tables]
    assert rows == waterfill([t.closed_rows for t in tables], (sizing.budget_bytes - 8) // 64)
    for table in tables:
        sized = sizing.of(table.name)
        if sized.settings["rows"] == table.rows:
            assert (sized.ids, sized.told_apart) == ("rank", table.rows - 1)
        else:
            assert (sized.ids, sized.told_apart) == ("hash63", 0), "a hashed table needs no vocabulary"
    assert sum(sizing.of(t.name).settings["exact"] for t in tables) >= 18


def test_without_the_exemption_every_table_is_hashed_in_proportion() -> None:
    tables = public_tables("rank", dim=16)
    sizing = size(tables, "10x", "hash_rows", exempt_small=False)
    rows = [sizing.of(t.name).settings["rows"] for t in tables]
    assert rows == proportional([t.closed_rows for t in tables], (sizing.budget_bytes - 8) // 64)
    assert not any(sizing.of(t.name).settings["exact"] for t in tables)
    assert sizing.vocabulary_bytes == 0


def test_open_tables_take_what_closed_ones_leave() -> None:
    tables = [TableSpec(name="open", rows=None, dim=4, ids="hash63"), TableSpec(name="few", rows=10, dim=4, ids="rank")]
    sizing = size(tables, 8 + 16 * 100, "hash_rows")
    assert [sizing.of(t.name).settings["rows"] for t in tables] == [90, 10]
    bank = build(sizing, seed=0)
    assert torch.isfinite(bank(torch.tensor([[2**63 - 1, 3], [0, 0]]))).all()


def test_from_dense_is_the_mean_of_the_ids_that_share_a_row() -> None:
    bank, dense = hashed(2000), torch.randn(2000, 1)
    with torch.no_grad():
        METHOD().from_dense(bank.group_of("t0"), {"t0": dense})
    (addresses,) = bank.addresses(torch.arange(2000)[:, None])
    shared = (addresses.flatten() == addresses[7, 0, 0]).nonzero()[:, 0]
    assert len(shared) > 1
    torch.testing.assert_close(bank.rows("t0", 7, 8)[0], dense[shared].mean(dim=0))


def test_from_dense_refuses_tables_that_take_hashes_of_tokens() -> None:
    table = TableSpec(name="t", rows=100, dim=2, ids="rank")
    bank = build(size([table], "4x", "hash_rows"), seed=0)
    with pytest.raises(OptionError, match="'t' by hashes of tokens"):
        METHOD().from_dense(bank.group_of("t"), {"t": torch.randn(100, 2)})
