from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pocketrec.native.learned_scale import (
    GREATEST,
    LEAST,
    codes_on_scale,
    scale_gradient,
    scale_of,
    scale_within,
)
from pocketrec.native.program import Storage
from pocketrec.native.regions import stored_rows


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def back(stored: Tensor, unit: int) -> Tensor:
    return stored_rows(stored, Storage.INT8, torch.arange(len(stored)), unit)


def read_on(values: Tensor, scale: Tensor) -> Tensor:
    """Numbers as they are read on scales, rounding counted as the identity: LSQ's equation 1."""
    codes = (values / scale[:, None]).clamp(LEAST, GREATEST)
    return (codes + (codes.round() - codes).detach()) * scale[:, None]


@pytest.mark.parametrize("size", [0.1, 1.0, 20.0])  # within the range, about its end, beyond it
def test_the_gradient_is_that_of_rounding_straight_through(size: float) -> None:
    values, grads = randn(50, 16) * size, randn(50, 16, seed=1)
    scale = (0.01 * torch.rand(50, generator=torch.Generator().manual_seed(2)) + 0.005).requires_grad_()
    (wanted,) = torch.autograd.grad(read_on(values, scale), scale, grads)
    found = scale_gradient(values, grads, scale.detach(), batch=1) * math.sqrt(16 * 127)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_gradient_against_finite_differences() -> None:
    """A number beyond the range follows its end; one within it that stays on its code moves by the code's share."""
    values, grads, scale = torch.tensor([[5.0, -9.0]]), torch.tensor([[2.0, -3.0]]), torch.tensor([0.02])
    steps = torch.tensor([0.01, 0.03])

    def loss(at: float) -> float:
        codes = (values / at).clamp(LEAST, GREATEST).round()
        return float((grads * codes * at).sum())

    found = float(scale_gradient(values, grads, scale, batch=4)) * math.sqrt(4 * 2 * 127)
    low, high = steps.tolist()
    assert found == pytest.approx((loss(high) - loss(low)) / (high - low), rel=1e-5)  # 2 x 127 + 3 x 128
    within = torch.tensor(
        [[0.013]]
    )  # 0.65 scales: the code 1, whose value grows with the scale, less the number itself
    assert float(scale_gradient(within, torch.ones(1, 1), scale, batch=1)) * math.sqrt(127) == pytest.approx(0.35)


def test_the_gradient_falls_with_the_root_of_the_data_rows() -> None:
    values, grads, scale = randn(3, 8), randn(3, 8, seed=1), torch.full((3,), 0.02)
    one = scale_gradient(values, grads, scale, batch=1)
    torch.testing.assert_close(scale_gradient(values, grads, scale, batch=256), one / 16)


def test_halves_go_to_the_even_code() -> None:
    values = torch.tensor([[0.5, 1.5, 2.5, -0.5]])
    found = [scale_gradient(v, torch.ones(1, 1), torch.ones(1), batch=1) for v in values.t()[:, None]]
    assert [round(float(f) * math.sqrt(127), 6) for f in found] == [-0.5, 0.5, -0.5, 0.5]


def test_writing_has_no_bias_and_stays_within_a_scale() -> None:
    values = torch.tensor([[-1.0, -0.123, 0.0, 0.0049, 0.5, 1.2]])
    random = torch.arange(65536)[:, None].expand(-1, 6)
    found = back(codes_on_scale(values.expand(65536, -1), random, torch.full((65536,), 0.01)), 6).double()
    assert float((found - values).abs().max()) < 0.01 + 1e-6
    # 2^-17 of a scale is what 16 random bits cannot tell, and float32 as much above code 128
    torch.testing.assert_close(found.mean(dim=0), values[0].double(), rtol=0, atol=0.01 * 2.0**-15)


def test_what_does_not_fit_is_cut() -> None:
    values = torch.tensor([[-7.0, 7.0, math.inf, -math.inf, 0.0]])
    for random in (0, 65535):
        stored = codes_on_scale(values, torch.full(values.shape, random), torch.tensor([0.01]))
        torch.testing.assert_close(back(stored, 5), torch.tensor([[-1.28, 1.27, 1.27, -1.28, 0.0]]), atol=0.011, rtol=0)
        assert stored[0, :4].tolist() == [0, 255, 255, 0]


def test_a_scale_is_found_again_and_its_bias_is_128_of_it() -> None:
    scale = torch.tensor([0.01, 3.0, 2.0**-20])
    stored = codes_on_scale(randn(3, 5), torch.zeros(3, 5, dtype=torch.int64), scale)
    assert torch.equal(scale_of(stored, 5), scale)
    assert torch.equal(stored[:, 9:].clone().view(torch.float32)[:, 0], -128 * scale)


def test_scales_stay_above_zero() -> None:
    found = scale_within(torch.tensor([-1.0, 0.0, 0.5, math.inf, math.nan]))
    assert found[:4].tolist() == [2.0**-20, 2.0**-20, 0.5, 2.0**118]
    assert math.isnan(found[4])
