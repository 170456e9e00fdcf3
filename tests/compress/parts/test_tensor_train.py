from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.compress.parts.tensor_train import core_rows, decompose, dim_factors, row_factors, start_values


@given(st.integers(1, 2**48), st.integers(2, 4))
def test_row_factors_hold_all_rows_and_hardly_more(rows: int, cores: int) -> None:
    factors = row_factors(rows, cores)
    assert len(factors) == cores
    assert math.prod(factors) >= rows
    assert math.prod(n - 1 for n in factors) < rows, "each is at most one above what would do"


@given(st.integers(1, 512), st.integers(2, 4))
def test_dim_factors_make_the_dim(dim: int, cores: int) -> None:
    factors = dim_factors(dim, cores)
    assert math.prod(factors) == dim
    assert list(factors) == sorted(factors)


@pytest.mark.parametrize(
    ("dim", "cores", "factors"), [(16, 3, (2, 2, 4)), (64, 3, (4, 4, 4)), (6, 3, (1, 2, 3)), (7, 2, (1, 7))]
)
def test_dim_factors_are_as_even_as_can_be(dim: int, cores: int, factors: tuple[int, ...]) -> None:
    assert dim_factors(dim, cores) == factors


def test_rows_of_cores() -> None:
    assert core_rows((200, 220, 250), (2, 2, 4), 32) == [400, 220 * 2 * 32, 1000]
    assert core_rows((200, 220, 250), (2, 2, 4), 32, outer=3) == [3 * 400, 220 * 2 * 32, 3 * 1000]


@pytest.mark.parametrize("cores", [2, 3, 4])
def test_numbers_of_a_core_get_narrower_with_the_paths(cores: int) -> None:
    """Their variance to the power of the cores is one over the outer rank x rank^(cores - 1)."""
    rows = torch.empty(20_000, 8)
    start_values(rows, "normal", 1.0, rank=8, cores=cores, outer=5, seed=0)
    assert abs(float(rows.var()) ** cores * 5 * 8 ** (cores - 1) - 1) < 0.03


def test_tails_leave_the_middle_out() -> None:
    rows = torch.empty(2000, 8)
    start_values(rows, "tail_normal", 1.0, rank=1, cores=2, seed=0)
    scaled = rows / rows.abs().min() * 2
    assert scaled.abs().min() >= 2
    assert abs(float(scaled.square().mean()) - 5.7464) < 0.15, "E[x^2 | |x| > 2] of a standard normal x"
    assert abs(float((rows > 0).float().mean()) - 0.5) < 0.02


def test_starting_values_come_from_the_seed() -> None:
    made = []
    for seed in (1, 1, 2):
        rows = torch.empty(20, 8)
        start_values(rows, "tail_normal", 0.1, rank=8, cores=3, seed=seed)
        made.append(rows)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_rank_beyond_what_a_table_has_is_zeros() -> None:
    dense = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    into = torch.full((sum(core_rows((3, 4), (2, 2), 20)), 20), 9.0)
    decompose(dense, (3, 4), (2, 2), into=into)
    first, last = into[:6].view(3, 2, 20), into[6:].view(4, 2, 20)
    torch.testing.assert_close(torch.einsum("iar,kbr->ikab", first, last).reshape(12, 4), dense)
    assert not into[:, 6:].any()
