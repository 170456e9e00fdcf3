"""Numbers in names of tests (24 to 32) are those of the fidelity list that was made from the paper and its code."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, size
from pocketrec.compress.methods.bloom import METHOD
from pocketrec.compress.parts.init import stream
from pocketrec.compress.plain import PlainBank
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract

D = 75_000  # rows of the published configuration


class TestBloom(MethodContract):
    method = METHOD
    variants = (
        {}, {"hashes": 3, "weight_hashes": 2}, {"weight_hashes": 0}, {"hashes": 2, "weight_hashes": 0},
        {"weight_rows": 5},
    )  # fmt: skip


def sized(rows: int, *, dim: int = 1, fields: int = 1, **options: Any) -> Sizing:
    """Open tables over exactly so many rows (and as many weights, unless the options say otherwise)."""
    tables = [TableSpec(name=f"t{i}", rows=None, dim=dim, ids="hash63") for i in range(fields)]
    per_row = 4 * dim + (4 if options.get("weight_hashes", 1) else 0)
    sizing = size(tables, rows * per_row, "bloom", **options)
    assert sizing.groups[0].settings["rows"] == rows
    return sizing


def bloom(rows: int, *, dim: int = 1, fields: int = 1, **options: Any) -> Bank:
    """A bank whose rows and weights are far from each other."""
    bank = build(sized(rows, dim=dim, fields=fields, **options), seed=0)
    draw = torch.Generator().manual_seed(1)
    for name, tensor in bank.tensors().items():
        if name in ("0.tokens", "1.weights"):
            tensor.normal_(generator=draw)
    return bank


def found(bank: Bank, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and weights of ids [n] or [n, fields]: int64 [n, fields, hashes] each."""
    tokens, weights = bank.addresses(ids if ids.dim() == 2 else ids[:, None])
    return tokens, weights


# ---------------------------------------------------------------- the hash, in plain integers

WORD = 2**64 - 1


def fin(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB & WORD
    return x ^ x >> 31


def mix(x: int, seed: int) -> int:
    return fin(fin(x + 0x9E3779B97F4A7C15 * (seed + 1) & WORD) ^ seed * 0xD6E8FEB86659FD93 & WORD)


def places(x: int, *, field: int, role: int, hashes: int, rows: int) -> list[int]:
    """Rows (role 0) or weights (role 1) of an id."""
    word = mix(x, stream(0, role, field))
    words = [word] if hashes == 1 else [mix(word, j) for j in range(hashes)]
    return [(w >> 1) * rows >> 63 for w in words]


# ---------------------------------------------------------------- 24: what is computed


@pytest.mark.parametrize(("hashes", "weight_hashes"), [(1, 1), (3, 1), (2, 4)])
def test_24_it_is_the_double_sum(hashes: int, weight_hashes: int) -> None:
    bank = bloom(50, dim=6, fields=4, hashes=hashes, weight_hashes=weight_hashes)
    rows, numbers = bank.tensors()["0.tokens"].double(), bank.tensors()["1.weights"].double()[:, 0]
    ids = torch.randint(2**63 - 1, (20, 4), generator=torch.Generator().manual_seed(2))
    for row, z in zip(ids.tolist(), bank.pooled(ids).double(), strict=True):
        vector, weight = torch.zeros(6).double(), torch.zeros(()).double()
        for field, x in enumerate(row):
            for place in places(x, field=field, role=0, hashes=hashes, rows=50):
                vector += rows[place]
            for place in places(x, field=field, role=1, hashes=weight_hashes, rows=50):
                weight += numbers[place]
        torch.testing.assert_close(z, weight * vector, rtol=1e-4, atol=1e-5)


def test_24_a_row_that_is_drawn_twice_counts_twice() -> None:
    bank = bloom(3, dim=2, hashes=4, weight_hashes=0)
    ids = torch.arange(50)[:, None]
    (rows,) = bank.addresses(ids)
    assert all(len(set(drawn)) < 4 for drawn in rows[:, 0].tolist())
    torch.testing.assert_close(bank(ids)[:, 0], bank.tensors()["0.tokens"][rows[:, 0]].sum(dim=1))


def test_24_the_order_of_fields_is_nothing_their_salts_are() -> None:
    bank = bloom(500, dim=3, fields=4, hashes=2)
    sizing, ids = bank.sizing, torch.randint(10**6, (30, 4), generator=torch.Generator().manual_seed(2))
    turned = tuple(replace(g, tables=g.tables[::-1]) for g in sizing.groups)
    back = attach(replace(sizing, groups=turned, order=sizing.order[::-1]), bank.tensors(), form="train")
    torch.testing.assert_close(back.pooled(ids.flip(1)), bank.pooled(ids))
    swapped = ids[:, [1, 0, 2, 3]]
    assert ((bank.pooled(swapped) - bank.pooled(ids)).abs().amax(dim=1) > 1e-3).all(), "a value knows its field"


def test_24_a_field_keeps_its_hashes_when_another_goes() -> None:
    bank = bloom(500, dim=3, fields=3)
    sizing, ids = bank.sizing, torch.randint(10**6, (30, 3), generator=torch.Generator().manual_seed(2))
    fewer = replace(
        sizing, groups=tuple(replace(g, tables=g.tables[1:]) for g in sizing.groups), order=sizing.order[1:]
    )
    left = attach(fewer, bank.tensors(), form="train")
    torch.testing.assert_close(left(ids[:, 1:]), bank(ids)[:, 1:])


# ---------------------------------------------------------------- 25 to 29: the hashes


@pytest.mark.parametrize("count", [1000, 75_000, 300_000, 1_000_000])
@pytest.mark.parametrize("step", [1, 65_536])
def test_25_as_many_rows_are_used_as_chance_says(count: int, step: int) -> None:
    rows, weights = found(bloom(D), torch.arange(count) * step)
    empty = (1 - 1 / D) ** count
    variance = D * empty + D * (D - 1) * (1 - 2 / D) ** count - (D * empty) ** 2
    for used in (rows.unique(), weights.unique()):
        assert abs(len(used) - D * (1 - empty)) <= 4 * math.sqrt(variance) + 0.5


def test_25_all_rows_are_used() -> None:
    rows, weights = found(bloom(D), torch.arange(2_000_000))
    assert len(rows.unique()) == len(weights.unique()) == D, "65,536 keys would leave 31,302 of them"


@pytest.mark.parametrize("apart", [65_536, 2**32, 2**48])
def test_26_all_bits_of_an_id_count(apart: int) -> None:
    ids, bank = torch.arange(1_000_000), bloom(D)
    for one, two in zip(found(bank, ids), found(bank, ids + apart), strict=True):
        assert_chance((one == two).float().mean(), 1 / D, 1_000_000)


def test_27_an_id_in_two_fields_is_two_tokens() -> None:
    for place in found(bloom(D, fields=2), torch.arange(1_000_000)[:, None].expand(-1, 2).contiguous()):
        assert_chance((place[:, 0] == place[:, 1]).float().mean(), 1 / D, 1_000_000)


def assert_chance(share: Tensor, expected: float, count: int) -> None:
    assert abs(float(share) - expected) < 4 * math.sqrt(expected * (1 - expected) / count)


def test_28_rows_and_weights_are_drawn_independently() -> None:
    columns = torch.cat([p[:, 0] for p in found(bloom(D), torch.arange(1_000_000))], dim=1).T
    assert_independent(*columns)


def test_28_so_is_every_hash() -> None:
    bank = bloom(D, hashes=3, weight_hashes=2)
    columns = torch.cat([p[:, 0] for p in found(bank, torch.arange(1_000_000))], dim=1).T
    assert len(columns) == 5
    for one, two in torch.combinations(torch.arange(5)).tolist():
        assert_independent(columns[one], columns[two])


def assert_independent(one: Tensor, two: Tensor) -> None:
    """Chi-square of the joint histogram, 50 x 50."""
    cells = torch.bincount((one * 50 // D) * 50 + two * 50 // D, minlength=2500).view(50, 50).double()
    expected = cells.sum(1, keepdim=True) * cells.sum(0, keepdim=True) / cells.sum()
    chi_square, free = float(((cells - expected) ** 2 / expected).sum()), 49 * 49
    assert abs(chi_square - free) < 4 * math.sqrt(2 * free)


@pytest.mark.parametrize("hashes", [2, 3, 9])
def test_29_two_tokens_share_k_squared_over_d_rows(hashes: int) -> None:
    rows = found_rows(1000, hashes, 400_000)
    shared = (rows[::2, :, None] == rows[1::2, None, :]).sum(dim=(1, 2)).double()
    error = float(shared.std()) / math.sqrt(len(shared))
    assert abs(float(shared.mean()) - hashes**2 / 1000) < 4 * error


def test_29_two_tokens_share_all_rows_as_rarely_as_chance_says() -> None:
    rows = found_rows(50, 2, 2_000_000).sort(dim=1).values
    same = (rows[::2] == rows[1::2]).all(dim=1)
    assert_chance(same.float().mean(), (2 - 1 / 50) / 50**2, len(same))  # 2! / D^2, but for a row that is drawn twice


def found_rows(rows: int, hashes: int, ids: int) -> Tensor:
    """Rows of ids 0 to ids - 1: int64 [ids, hashes]."""
    (tokens,) = bloom(rows, hashes=hashes, weight_hashes=0).addresses(torch.arange(ids)[:, None])
    return tokens[:, 0]


# ---------------------------------------------------------------- 30: weights and gradients


def test_30_without_weights_z_is_the_sum() -> None:
    bank = bloom(100, dim=5, fields=3, weight_hashes=0)
    ids = torch.randint(10**6, (20, 3), generator=torch.Generator().manual_seed(2))
    assert len(bank.groups) == 1
    torch.testing.assert_close(bank.pooled(ids), bank(ids).sum(dim=1))


@pytest.mark.parametrize("hashes", [1, 3])
def test_30_gradients_of_z(hashes: int) -> None:
    """z is linear in each number by itself, so a difference quotient of any width is its derivative."""
    bank = bloom(7, dim=3, fields=2, hashes=hashes, weight_hashes=hashes)
    ids = torch.randint(10**6, (4, 2), generator=torch.Generator().manual_seed(2))
    asked = torch.randn(4, 3, generator=torch.Generator().manual_seed(3))
    bank.gradient = "dense"
    (bank.pooled(ids) * asked).sum().backward()
    for index, name in enumerate(("tokens", "weights")):
        parameter = bank.groups[index].tensor(name)
        numbers, numeric = parameter.data.view(-1), torch.zeros(parameter.numel())
        for place in range(numbers.numel()):
            for sign in (1, -1):
                numbers[place] += 0.5 * sign
                numeric[place] += sign * float((bank.pooled(ids) * asked).sum().detach())
                numbers[place] -= 0.5 * sign
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad.view(-1), numeric, rtol=1e-3, atol=1e-3)


def test_30_a_weight_learns_by_the_vector_and_a_row_by_the_weight() -> None:
    bank = bloom(1000, dim=3, fields=2)
    ids, asked = torch.tensor([[5, 6]]), torch.tensor([[0.5, -1.0, 2.0]])
    (bank.pooled(ids) * asked).sum().backward()
    bank.collect()
    vector = bank.groups[0].lookup(ids, None, None, "none").sum(dim=1).detach()
    weight = bank.groups[1].lookup(ids, None, None, "none").sum().detach()
    torch.testing.assert_close(bank.pending[0].grads, (weight * asked).expand(2, 3))
    torch.testing.assert_close(bank.pending[1].grads, (asked * vector).sum().expand(2, 1))


def test_30_pairs_are_the_gradients_of_bags_too() -> None:
    ids, offsets = torch.tensor([4, 4, 9, 1, 7]), torch.tensor([0, 3, 3, 4, 5])
    weights, asked = torch.tensor([1.0, 2, 3, 4, 5]), torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(3))
    for call in ("forward", "pooled"):
        pairs, dense = bloom(30, dim=3, fields=2), bloom(30, dim=3, fields=2)
        dense.gradient = "dense"
        for bank in (pairs, dense):
            made = getattr(bank, call)(ids, offsets, weights)
            (made * (asked if call == "forward" else asked[0])).sum().backward()
        pairs.collect()
        for index, name in enumerate(("tokens", "weights")):
            parameter = dense.groups[index].tensor(name)
            spread = torch.zeros_like(parameter).index_copy(
                0, pairs.pending[index].addresses, pairs.pending[index].grads
            )
            assert parameter.grad is not None
            torch.testing.assert_close(spread, parameter.grad)


# ---------------------------------------------------------------- 31: bytes


def test_31_the_published_bytes() -> None:
    """D = d_w = 75,000, m = 128, K = k_w = 1, and nothing else: no seed, no vocabulary."""
    tables = [TableSpec(name=f"C{i}", rows=7_000_000, dim=128, ids="rank") for i in range(26)]
    sizing = size(tables, 38_700_000, "bloom")
    assert sizing.serve_bytes == (75_000 * 128 + 75_000) * 4 == 38_700_000
    assert (sizing.vocabulary_bytes, sizing.unused_bytes) == (0, 0)
    assert [(s.name, s.shape) for g in sizing.groups for s in g.serve] == [
        ("tokens", (75_000, 128)),
        ("weights", (75_000, 1)),
    ]
    assert size(tables, 38_700_000, "bloom", weight_rows=1000).groups[0].settings["rows"] == (38_700_000 - 4000) // 512


@pytest.mark.parametrize("storage", STORAGES.names())
def test_31_weights_stay_float32(storage: str) -> None:
    """A number with a scale of its own would take more bytes in int8 than as it is."""
    tables = [TableSpec(name="t", rows=None, dim=16, ids="hash63")]
    sizing = size(tables, 100_000, "bloom", storage=storage)
    per_row = STORAGES.get(storage).row_bytes(16) + 4
    assert sizing.serve_bytes == 100_000 // per_row * per_row
    assert [s.dtype for s in sizing.groups[1].serve] == ["float32"]
    assert freeze(build(sizing, seed=0)).held_bytes() == sizing.serve_bytes


def test_31_never_more_rows_than_ids() -> None:
    sizing = size([TableSpec(name=f"t{i}", rows=100, dim=4) for i in range(3)], 10**9, "bloom")
    assert sizing.serve_bytes == 300 * (16 + 4)


def test_31_the_floor_counts_the_weights() -> None:
    tables = [TableSpec(name="t", rows=None, dim=4, ids="hash63")]
    assert size(tables, 20, "bloom").serve_bytes == 20
    with pytest.raises(BudgetTooSmall) as refused:
        size(tables, 20, "bloom", weight_rows=2)
    assert refused.value.least_bytes == 24


# ---------------------------------------------------------------- 32: the same hash everywhere

GOLDEN_IDS = [
    0, 1, 2, 65_535, 65_536, 65_537, 10**6, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 10**12, 2**40, 2**53,
    2**53 + 1, 10**18, 2**62, 2**62 + 1, 2**63 - 1,
]  # fmt: skip
GOLDEN_ROWS = [
    23413, 72584, 62303, 44809, 13307, 49486, 6393, 10224, 48350, 7740, 28575, 72042, 20512, 11757, 52892, 6866,
    61833, 67508, 69854, 53857,
]  # fmt: skip
GOLDEN_WEIGHTS = [
    52738, 50948, 3600, 28648, 68531, 46818, 68399, 14172, 6141, 52468, 16564, 73871, 68638, 31436, 13229,
    32917, 15462, 41639, 15164, 74196,
]  # fmt: skip


def test_32_golden_rows_and_weights() -> None:
    """Of field 3; the seed of the build has no part in it."""
    ids = torch.tensor(GOLDEN_IDS)[:, None].expand(-1, 4).contiguous()
    sizing = sized(D, fields=4)
    for seed in (0, 1):
        rows, weights = build(sizing, seed=seed).addresses(ids)
        assert rows[:, 3, 0].tolist() == GOLDEN_ROWS
        assert weights[:, 3, 0].tolist() == GOLDEN_WEIGHTS
    assert [places(x, field=3, role=0, hashes=1, rows=D)[0] for x in GOLDEN_IDS] == GOLDEN_ROWS
    assert [places(x, field=3, role=1, hashes=1, rows=D)[0] for x in GOLDEN_IDS] == GOLDEN_WEIGHTS


def test_32_another_seed_of_the_hash_is_another_hash() -> None:
    ids = torch.arange(1000)
    for one, two in zip(found(bloom(D), ids), found(bloom(D, hash_seed=1), ids), strict=True):
        assert (one == two).float().mean() < 0.01


# ---------------------------------------------------------------- starting values


@pytest.mark.parametrize("start", ["one", "share"])
@pytest.mark.parametrize("weight_hashes", [1, 3])
def test_weights_start_at_one_each_or_in_sum(start: str, weight_hashes: int) -> None:
    sizing = sized(40, dim=4, fields=5, weight_start=start, weight_hashes=weight_hashes)
    bank, ids = build(sizing, seed=0), torch.randint(10**6, (9, 5), generator=torch.Generator().manual_seed(2))
    each = bank.groups[1].lookup(ids, None, None, "none")[:, :, 0]
    torch.testing.assert_close(each, torch.full((9, 5), 1.0 if start == "one" else 0.2))


def test_the_published_start_is_a_saddle() -> None:
    """Both factors within sqrt(1 / D): z starts near nothing, and so do the gradients of both."""
    bank = build(sized(D, dim=16, fields=26, weight_start="uniform"), seed=0)
    assert float(bank.tensors()["1.weights"].abs().max()) <= math.sqrt(1 / D)
    ids = torch.randint(10**6, (500, 26), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert abs(float(bank.groups[1].lookup(ids, None, None, "none").sum(dim=1).std()) / 0.0107 - 1) < 0.15
        assert float(bank.pooled(ids).std()) < 2e-4


def test_rows_start_within_the_root_of_their_number() -> None:
    for hashes in (1, 4):
        rows = build(sized(400, dim=64, hashes=hashes), seed=0).tensors()["0.tokens"]
        assert 0.95 / 20 < float(rows.abs().max()) * math.sqrt(hashes) <= 1 / 20


# ---------------------------------------------------------------- bags

BAGS = [[1, 2], [], [3], [4, 4, 9], [5], []]  # of two fields and three rows
OFFSETS = torch.tensor([0, *[len(bag) for bag in BAGS]]).cumsum(0)
IDS = torch.tensor([i for bag in BAGS for i in bag])
FACTORS = torch.tensor([0.5, -1, 2, 3, 0.25, 1, 1.5])


def vector(bank: Bank, field: int, x: int) -> Tensor:
    """The vector of one id, weight included."""
    found: Tensor = bank(torch.full((1, 2), x))[0, field].detach()
    return found


def test_a_bag_is_made_of_the_vectors_of_its_ids() -> None:
    bank = bloom(200, dim=3, fields=2, hashes=2).eval()
    factors = torch.split(FACTORS, OFFSETS.diff().tolist())
    for place, (bag, of) in enumerate(zip(BAGS, factors, strict=True)):
        vectors = torch.stack([vector(bank, place // 3, x) for x in bag]) if bag else torch.zeros(0, 3)
        for found, expected in (
            (bank(IDS, OFFSETS), vectors.sum(0)),
            (bank(IDS, OFFSETS, FACTORS), (vectors * of[:, None]).sum(0)),
            (bank(IDS, OFFSETS, None, "mean"), vectors.sum(0) / max(1, len(bag))),
        ):
            torch.testing.assert_close(found[place % 3, place // 3].detach(), expected)
    torch.testing.assert_close(bank(IDS, OFFSETS, None, "none")[3].detach(), vector(bank, 1, 4))
    with pytest.raises(OptionError, match="max"):
        bank(IDS, OFFSETS, None, "max")
    with pytest.raises(ValueError, match="by sum"):
        bank(IDS, OFFSETS, FACTORS, "mean")


def test_z_of_bags_is_the_product_of_the_sums_over_all_values() -> None:
    bank = bloom(200, dim=3, fields=2).eval()
    tokens, weights = (g.lookup(IDS, OFFSETS, FACTORS, "sum").sum(dim=1).detach() for g in bank.groups)
    torch.testing.assert_close(bank.pooled(IDS, OFFSETS, FACTORS).detach(), tokens * weights)


def test_padding_has_no_vector_and_no_weight() -> None:
    sizing = sized(200, dim=3, fields=2)
    bank = build(sizing, seed=0, padding={"t1": 4}).eval()
    left = torch.tensor([i for i in IDS.tolist() if i != 4])
    fewer = torch.tensor([0, 2, 2, 3, 4, 5, 5])
    for call in (bank, bank.pooled):
        torch.testing.assert_close(call(IDS, OFFSETS), call(left, fewer))
    torch.testing.assert_close(bank(IDS, OFFSETS, None, "mean"), bank(left, fewer, None, "mean"))


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_in_plain_torch_it_is_the_same(storage: str) -> None:
    tables = [TableSpec(name=f"t{i}", rows=None, dim=3, ids="hash63") for i in range(2)]
    served = freeze(build(size(tables, 9000, "bloom", storage=storage, hashes=2), seed=0))
    plain, ids = PlainBank(served), torch.tensor([[3, 4], [5, 6]])
    with torch.no_grad():
        assert torch.equal(plain.pooled(ids), served.pooled(ids))
        assert torch.equal(plain(ids), served(ids))
        for weights in (None, FACTORS):
            assert torch.equal(plain.pooled(IDS, OFFSETS, weights), served.pooled(IDS, OFFSETS, weights))
            assert torch.equal(plain(IDS, OFFSETS, weights), served(IDS, OFFSETS, weights))


# ---------------------------------------------------------------- the rest


def test_weights_learn_by_the_optimizer_of_the_tables() -> None:
    tables = [TableSpec(name="t", rows=None, dim=3, ids="hash63")]
    bank = build(METHOD().size(tables, 800, optimizer=OptimizerSpec(name="sgd", lr=0.5)), seed=0)
    ids, before = torch.tensor([[7]]), bank.tensors()["1.weights"].clone()
    vector = bank.groups[0].lookup(ids, None, None, "none").detach()[0, 0]
    bank.pooled(ids).sum().backward()
    bank.step()
    (rows,) = bank.groups[1].addresses(ids).tolist()
    expected = before.clone()
    expected[rows[0]] -= 0.5 * vector.sum()
    torch.testing.assert_close(bank.tensors()["1.weights"], expected)


def test_ranks_are_read_as_hashes_of_their_tokens() -> None:
    sizing = size([TableSpec(name="t", rows=1000, dim=8, ids="rank")], "10x", "bloom")
    assert (sizing.of("t").ids, sizing.vocabulary_bytes) == ("hash63", 0)


def test_options_are_checked() -> None:
    for options, said in (
        ({"hashes": 0}, "hashes must be 1 or more, got 0"),
        ({"weight_hashes": -1}, "weight_hashes must be 0 or more, got -1"),
        ({"weight_rows": 0}, "weight_rows must be 1 or more"),
        ({"hash_seed": -1}, "hash_seed must be 0 or more"),
        ({"weight_start": "two"}, "share, one, uniform"),
        ({"weight_hashes": 0, "weight_rows": 5}, "no meaning"),
    ):
        with pytest.raises(OptionError, match=said):
            METHOD(**options)
