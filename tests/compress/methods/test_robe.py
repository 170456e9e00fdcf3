"""Numbers in names of tests (16 to 23) are those of the fidelity list that was made from the paper and its code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, size
from pocketrec.compress.methods.robe import METHOD
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract


class TestRobe(MethodContract):
    method = METHOD
    variants = ({}, {"block": 1, "sign": False}, {"aligned": True}, {"block": 5, "wrap": False}, {"hash": "linear"})


def robe(weights: int, *, rows: int, dim: int, tables: int = 1, seed: int = 0, **options: object) -> Bank:
    """A bank over an array of `weights` numbers."""
    specs = [TableSpec(name=f"t{i}", rows=rows, dim=dim) for i in range(tables)]
    sizing = size(specs, 8 + 4 * weights, "robe", **options)
    assert sizing.groups[0].settings["weights"] == weights
    return build(sizing, seed=seed)


def starts(bank: Bank, ids: Tensor) -> Tensor:
    """First weight of every block: int64 [ids, blocks]."""
    (addresses,) = bank.addresses(ids[:, None])
    return addresses[:, 0]


def weights_and_signs(bank: Bank, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Which weight every number of a vector is, and with which sign: int64 and float32 [ids, dim].

    Found from outside: the array is filled with its own indices, and what a lookup returns tells where it read.
    """
    array = bank.group_of("t0").tensor("array").data
    kept = array.clone()
    array.copy_(torch.arange(1, array.numel() + 1))
    found = bank.eval()(ids[:, None])[:, 0].detach()
    array.copy_(kept)
    return found.abs().long() - 1, found.sign()


def collision_fractions(bank: Bank, ids: int) -> Tensor:
    """For every pair of ids 0..ids-1 the share of blocks that begin at the same weight: float64 [pairs]."""
    begins = starts(bank, torch.arange(ids))
    one, two = torch.triu_indices(ids, ids, 1)
    return (begins[one] == begins[two]).double().mean(dim=1)


# ---------------------------------------------------------------- 16: starts


def test_16_starts_are_uniform() -> None:
    bank = robe(1009, rows=20_000, dim=8, block=4)
    for column in starts(bank, torch.arange(20_000)).T:
        load = torch.bincount(column, minlength=1009).double()
        expected = 20_000 / 1009
        chi_square = float(((load - expected) ** 2 / expected).sum())
        assert abs(chi_square - 1008) < 4 * math.sqrt(2 * 1008)


def test_16_pairs_collide_once_in_m() -> None:
    begins = starts(robe(1009, rows=20_000, dim=4, block=4), torch.arange(5000)).flatten()
    load = torch.bincount(begins, minlength=1009)
    pairs, share = 5000 * 4999 / 2, 1 / 1009
    assert pairs > 1e7
    collisions = float((load * (load - 1) / 2).sum())
    assert abs(collisions - pairs * share) < 4 * math.sqrt(pairs * share * (1 - share))


# ---------------------------------------------------------------- 17: blocks are independent


def variance_ratio(fractions: Tensor, weights: int, blocks: int) -> float:
    """Variance of the share of colliding blocks, against that of independent blocks."""
    share = 1 / weights
    return float(fractions.var()) / (share * (1 - share) / blocks)


def test_17_blocks_of_consecutive_ids_collide_independently() -> None:
    bank = robe(101, rows=1000, dim=16, block=1)
    fractions = collision_fractions(bank, 700)
    assert abs(variance_ratio(fractions, 101, 16) - 1) < 0.1
    assert abs(float(fractions.mean()) * 101 - 1) < 0.05


def test_17_blocks_of_the_published_hash_collide_together() -> None:
    """Expected: the linear hash moves both ids of a pair by the same distance, so one collision is nearly all."""
    bank = robe(101, rows=1000, dim=16, block=1, hash="linear")
    assert variance_ratio(collision_fractions(bank, 700), 101, 16) > 8


# ---------------------------------------------------------------- 18: blocks are blocks


@pytest.mark.parametrize("block", [1, 4, 5, 16])
@pytest.mark.parametrize("wrap", [True, False])
def test_18_a_block_is_contiguous(block: int, wrap: bool) -> None:
    bank = robe(37, rows=500, dim=16, block=block, wrap=wrap)
    where, _ = weights_and_signs(bank, torch.arange(500))
    begins = starts(bank, torch.arange(500))
    assert begins.shape[1] == -(-16 // block)
    element = torch.arange(16)
    expected = begins[:, element // block] + element % block
    assert torch.equal(where, expected % 37)
    assert (expected < 37).all() == (not wrap or block == 1), "only blocks that wrap pass the end"


def test_18_a_block_never_meets_itself() -> None:
    where, _ = weights_and_signs(robe(16, rows=200, dim=16, block=16), torch.arange(200))
    assert (where.sort(dim=1).values == torch.arange(16)).all(), "as long as the array: every weight once"


def test_18_aligned_blocks_begin_at_multiples() -> None:
    begins = starts(robe(38, rows=500, dim=16, block=4, aligned=True), torch.arange(500))
    assert begins.unique().tolist() == list(range(0, 36, 4)), "all of them are used, the odd end is not"


def test_18_a_block_is_cut_to_the_dim() -> None:
    sizing = size([TableSpec(name="t", rows=100, dim=6)], "4x", "robe", block=64)
    assert sizing.groups[0].settings["block"] == 6


def test_signs_are_balanced_and_of_their_own() -> None:
    bank = robe(1000, rows=4000, dim=16, block=8)
    _, signs = weights_and_signs(bank, torch.arange(4000))
    limit = 4 / math.sqrt(4000)
    assert (signs.mean(dim=0).abs() < limit).all()
    products = (signs.T @ signs / 4000 - torch.eye(16)).abs()
    assert products.max() < limit, "signs of two numbers of a vector have nothing to do with each other"
    _, unsigned = weights_and_signs(robe(1000, rows=500, dim=16, sign=False), torch.arange(50))
    assert (unsigned == 1).all()


# ---------------------------------------------------------------- 19: the variance law


def law(x: Tensor, y: Tensor, weights: int, block: int) -> float:
    """Var_Z(x, y) = Var_1(x, y) - the sum of Var_1 within blocks, whose numbers cannot collide."""

    def var_1(a: Tensor, b: Tensor) -> float:
        squares = a.square().sum() * b.square().sum() - (a.square() * b.square()).sum()
        products = (a @ b) ** 2 - (a * b).square().sum()
        return float(squares + products) / weights

    inside = sum(var_1(a, b) for a, b in zip(x.split(block), y.split(block), strict=True))
    return var_1(x, y) - inside


@pytest.mark.parametrize("block", [1, 16, 64, 128])
def test_19_inner_products_have_the_variance_of_the_law(block: int) -> None:
    """Every id is one draw of the projection of R^512 to the array: x and y go to the weights that its vector reads."""
    draw = torch.Generator().manual_seed(3)
    x, y = torch.randn(512, generator=draw).double(), torch.randn(512, generator=draw).double()
    bank = robe(128, rows=4000, dim=512, block=block)
    where, signs = weights_and_signs(bank, torch.arange(4000))
    projected = [torch.zeros(4000, 128).double().scatter_add_(1, where, signs.double() * v) for v in (x, y)]
    estimates = (projected[0] * projected[1]).sum(dim=1)
    assert abs(float(estimates.var()) / law(x, y, 128, block) - 1) < 0.1
    assert abs(float(estimates.mean() - x @ y)) < 4 * float(estimates.std()) / math.sqrt(4000), "unbiased"


def test_19_the_law_falls_with_the_block() -> None:
    draw = torch.Generator().manual_seed(3)
    x, y = torch.randn(512, generator=draw).double(), torch.randn(512, generator=draw).double()
    laws = [law(x, y, 128, block) for block in (1, 16, 64, 128)]
    assert laws == sorted(laws, reverse=True)


# ---------------------------------------------------------------- 20: without wrapping


def test_20_without_wrapping_the_ends_are_read_less() -> None:
    where, _ = weights_and_signs(robe(64, rows=100_000, dim=8, block=8, wrap=False), torch.arange(100_000))
    load = torch.bincount(where.flatten(), minlength=64).double()
    assert load[-1] > 0, "the last weight is reached"
    middle = load[16:48].mean()
    for end in (load[0], load[-1]):
        assert abs(float(end / middle) * 8 - 1) < 0.1


# ---------------------------------------------------------------- 21: the published hash


def test_21_the_linear_hash_is_the_formula_to_the_bit() -> None:
    bank = robe(997, rows=5000, dim=16, tables=3, block=4, hash="linear")
    program = bank.group_of("t0").program
    r1, r2, r3 = (int(program[0, column]) for column in (4, 10, 9))
    ids = torch.tensor([0, 1, 2, 17, 4095, 4999])
    (addresses,) = bank.addresses(ids[:, None].expand(-1, 3).contiguous())
    prime, modulus = 2038074743, 997 - 4 + 1
    for table in range(3):
        offset = 5000 * table
        expected = [[((int(x) + offset) * r3 + c * r2 + r1) % prime % modulus for c in range(4)] for x in ids]
        assert addresses[:, table].tolist() == expected
    assert len({r1, r2, r3}) == 3
    assert all(0 <= r < prime for r in (r1, r2, r3))


# ---------------------------------------------------------------- 22: tables


@pytest.mark.parametrize("hash", ["mix", "linear"])
def test_22_tables_do_not_share_their_places(hash: str) -> None:
    bank = robe(1000, rows=4000, dim=4, tables=2, block=1, hash=hash)
    (addresses,) = bank.addresses(torch.arange(4000)[:, None].expand(-1, 2).contiguous())
    same = (addresses[:, 0] == addresses[:, 1]).double()
    assert not same.all(dim=1).any(), "no id is read from the same four weights in both tables"
    if hash == "mix":
        assert abs(float(same.mean()) * 1000 - 1) < 4 * math.sqrt(1000 / same.numel())


# ---------------------------------------------------------------- 23: as many weights as the tables have


def test_23_at_full_size_weights_are_still_shared() -> None:
    """Known and documented: an array as large as the tables leaves 1/e of its weights unused, so it is not `full`."""
    bank = robe(16_000, rows=4000, dim=4, block=1)
    where, _ = weights_and_signs(bank, torch.arange(4000))
    unused = 1 - len(where.unique()) / 16_000
    assert abs(unused - math.exp(-1)) < 0.015
    sizing = size([TableSpec(name="t", rows=4000, dim=4)], 10**9, "robe")
    assert sizing.serve_bytes == 8 + 64_000, "a budget is a ceiling: never more than the tables themselves"


# ---------------------------------------------------------------- the rest


def test_open_tables_take_the_whole_budget() -> None:
    table = TableSpec(name="t", rows=None, dim=8, ids="hash63")
    assert size([table], 4008, "robe").serve_bytes == 4008
    assert size([table], 4008, "robe", storage="int8").serve_bytes == 8 + 72 * (4000 // 72)
    assert size([table], 4008, "robe", storage="int4").serve_bytes == 8 + 36 * (4000 // 36)


def test_ranks_are_read_as_hashes_of_their_tokens() -> None:
    for hash in ("mix", "linear"):
        sizing = size([TableSpec(name="t", rows=1000, dim=8, ids="rank")], "10x", "robe", hash=hash)
        assert (sizing.of("t").ids, sizing.vocabulary_bytes) == ("hash63", 0)


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="block must be 1 or more, got 0"):
        METHOD(block=0)
    with pytest.raises(OptionError, match="mix or linear"):
        METHOD(hash="md5")  # type: ignore[arg-type]
