from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.in_float32 import in_float32
from pocketrec.compress.method import of
from pocketrec.compress.methods.tt_rec import METHOD
from pocketrec.spec.cardinalities import CARDINALITIES
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of
from pocketrec.testing.method_contract import MethodContract

# Published cardinalities without an unknown row, as the VLDB 2024 benchmark counts them.
KAGGLE = [TableSpec(name=f"C{i}", rows=n, dim=16) for i, n in enumerate(CARDINALITIES["kaggle"])]
AVAZU_ROWS = (
    240, 7, 7, 4737, 7745, 26, 8552, 559, 36, 2686408, 6729486, 8251, 5, 4, 2626, 8, 9, 435, 4, 68, 172, 60,
)  # fmt: skip
AVAZU = [TableSpec(name=f"A{i}", rows=n, dim=16) for i, n in enumerate(AVAZU_ROWS)]


class TestTTRec(MethodContract):
    method = METHOD
    variants = ({}, {"cores": 2}, {"cores": 4}, {"start": "normal"})


def train(rows: int = 1000, dim: int = 16, budget: str = "4x", **options: object) -> Bank:
    return build(size([TableSpec(name="t", rows=rows, dim=dim)], budget, "tt_rec", **options), seed=0)


# The rank that a bisection over all tables finds, and of how many of them cores are smaller than rows.
@pytest.mark.parametrize(
    ("tables", "percent", "rank", "trained"),
    [
        (KAGGLE, "50%", 376, 4), (KAGGLE, "10%", 157, 6), (KAGGLE, "1%", 46, 12), (KAGGLE, "0.1%", 13, 18),
        (AVAZU, "50%", 336, 2), (AVAZU, "10%", 147, 2), (AVAZU, "1%", 40, 6), (AVAZU, "0.1%", 11, 11),
    ],
)  # fmt: skip
def test_ranks_are_those_of_the_benchmark(tables: list[TableSpec], percent: str, rank: int, trained: int) -> None:
    exact, cores = size(tables, percent, "tt_rec", fill=False).groups
    assert cores.settings["rank"] == rank
    assert size(tables, percent, "tt_rec").groups[-1].settings["rank"] == rank
    assert sum(bool(t.settings["rows"]) for t in cores.tables) == trained
    assert sum(bool(t.settings["rows"]) for t in exact.tables) == len(tables) - trained


def test_cores_have_the_numbers_that_the_benchmark_counts() -> None:
    """(n3 x 2 + n2 x 2 x R + n1 x 4) x R, with n1 the largest of the three factors."""
    (cores,) = size([KAGGLE[2]], "1%", "tt_rec", rank=46).groups
    n3, n2, n1 = 216, 217, 217
    assert cores.tables[0].settings["factors"] == [n3, n2, n1]
    assert cores.serve_bytes == 4 * (n3 * 2 + n2 * 2 * 46 + n1 * 4) * 46


# Table sizes and rank of FBTT-Embedding's example, a share of 4118 to 22 of the dense table (numbers counted by hand).
@pytest.mark.parametrize(
    ("rank", "numbers"), [(8, 39_360), (16, 135_040), (32, 495_360), (64, 1_891_840), (128, 7_388_160)]
)
def test_the_published_shape_has_as_many_numbers(rank: int, numbers: int) -> None:
    from pocketrec.compress.parts.tensor_train import core_rows

    assert sum(core_rows((200, 220, 250), (2, 2, 4), rank)) * rank == numbers


@pytest.mark.parametrize("cores", [2, 3, 4])
@pytest.mark.parametrize("rank", [2, 8, 32])
@pytest.mark.parametrize("start", ["tail_normal", "normal"])
def test_starting_values_have_their_variance_at_every_rank(start: str, rank: int, cores: int) -> None:
    """TT-Rec's target is N(0, 1 / (3 n)), the variance of DLRM's U(-sqrt(1 / n), sqrt(1 / n))."""
    rows, found = 3000, []
    for seed in range(6):
        bank = build(
            size([TableSpec(name="t", rows=rows, dim=16)], "1x", "tt_rec", rank=rank, cores=cores, start=start),
            seed=seed,
        )
        found.append(bank.rows("t", 0, rows).detach())
    numbers = torch.stack(found)
    assert abs(float(numbers.std()) / math.sqrt(1 / (3 * rows)) - 1) < 0.12
    assert abs(float(numbers.mean())) < 0.05 * math.sqrt(1 / (3 * rows))


def kurtosis(start: str, rank: int) -> float:
    made = [
        build(size([TableSpec(name="t", rows=3000, dim=16)], "1x", "tt_rec", rank=rank, start=start), seed=seed)
        for seed in range(6)
    ]
    numbers = torch.stack([bank.rows("t", 0, 3000).detach() for bank in made]).double()
    return float(numbers.pow(4).mean() / numbers.square().mean() ** 2)


def test_tails_keep_products_from_piling_up_at_zero() -> None:
    """Kurtosis of the numbers of a vector at small ranks: near 3, where plain normal cores have 12 at rank 2."""
    assert kurtosis("normal", 2) > 8
    assert 2 < kurtosis("tail_normal", 2) < 4.5
    assert 2.5 < kurtosis("tail_normal", 32) < 3.5


@pytest.mark.parametrize("rank", [2, 8, 32])
def test_published_starting_values_are_too_wide(rank: int) -> None:
    """FBTT-Embedding's: 13.8 x the rank of the target at three cores (113 at rank 8, 439 at 32)."""
    rows, found = 11_000, []
    for seed in range(4):
        spec = TableSpec(name="t", rows=rows, dim=16)
        bank = build(size([spec], "1x", "tt_rec", rank=rank, start="published"), seed=seed)
        found.append(bank.rows("t", 0, rows).detach())
    assert abs(float(torch.stack(found).std()) / math.sqrt(1 / (3 * rows)) / (13.8 * rank) - 1) < 0.15


def filled(dense: torch.Tensor, **options: object) -> torch.Tensor:
    """The rows of a table after it was filled with these."""
    rows, dim = dense.shape
    sizing = of("tt_rec", options).size([TableSpec(name="t", rows=rows, dim=dim)], "1x")
    bank = build(sizing, seed=0)
    (group,) = groups_of(bank)
    assert group.sizing.settings["part"] == "cores"
    with torch.no_grad(), in_float32(group) as plain:
        group.method.from_dense(plain, {"t": dense})
    return bank.rows("t", 0, rows)


@pytest.mark.parametrize(("cores", "rows"), [(2, 28**2), (3, 9**3), (4, 5**4)])
def test_a_train_is_found_again(cores: int, rows: int) -> None:
    """Of as many ids as the factors make: rows of zeros behind the last id would raise the rank."""
    bank = build(size([TableSpec(name="t", rows=rows, dim=16)], "1x", "tt_rec", rank=3, cores=cores), seed=3)
    dense = bank.rows("t", 0, rows).detach()
    torch.testing.assert_close(filled(dense, rank=3, cores=cores), dense, rtol=1e-3, atol=1e-5)


def test_more_rank_loses_less_of_a_dense_table() -> None:
    dense = torch.randn(500, 16, generator=torch.Generator().manual_seed(0))
    lost = [float((filled(dense, rank=rank) - dense).square().mean()) for rank in (1, 4, 8, 12)]
    assert all(later < before for before, later in pairwise(lost))
    assert lost[-1] < 0.75


def test_every_id_has_a_vector_of_its_own() -> None:
    assert len(train().rows("t", 0, 1000).unique(dim=0)) == 1000


def test_small_tables_stay_exact_and_learn_by_themselves() -> None:
    tables = [TableSpec(name="large", rows=50_000, dim=16), TableSpec(name="small", rows=20, dim=16)]
    bank = build(size(tables, "100x", "tt_rec"), seed=0)
    before = {name: bank.rows(name, 0, 20).detach().clone() for name in ("large", "small")}
    bank(torch.tensor([[3, 5]])).square().sum().backward()
    bank.step()
    moved = {n: (bank.rows(n, 0, 20) != v).any(dim=1).nonzero()[:, 0].tolist() for n, v in before.items()}
    assert moved["small"] == [5]
    assert len(moved["large"]) > 1, "ids that share slices move together"


def test_it_can_be_the_cold_part_of_another_method() -> None:
    """Rows of frequent ids beside the cores, which nobody starts anew: TT-Rec's cache, without its fault."""
    tables = [TableSpec(name="t", rows=20_000, dim=16, ids="rank")]
    bank = build(size(tables, "20x", "offline_split", cold="tt_rec"), seed=0)
    hot, *_, cores = groups_of(bank)
    assert int(hot.sizing.tables[0].settings["rows"]) > 0
    assert (cores.sizing.method, cores.sizing.joins) == ("tt_rec", "rest")
    ids = torch.tensor([[1], [2], [19_999]])
    bank(ids).square().sum().backward()
    bank.step()
    torch.testing.assert_close(freeze(bank)(ids), bank.eval()(ids))


def test_more_numbers_than_rows_are_refused() -> None:
    with pytest.raises(OptionError, match=r"cores must lie in 2\.\.4, got 5"):
        METHOD(cores=5)
    with pytest.raises(OptionError, match=r"rank must lie in 1\.\.4096, got 0"):
        METHOD(rank=0)
    with pytest.raises(OptionError, match="start must be one of tail_normal, normal, published"):
        METHOD(start="uniform")  # type: ignore[arg-type]
