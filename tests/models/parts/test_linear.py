from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from pocketrec.models.parts.linear import linear, normal


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_starting_values_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = linear(5, 4, generator=draw()), linear(5, 4, generator=draw()), linear(5, 4, generator=draw(1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one.weight, same.weight)
    assert torch.equal(one.bias, same.bias)
    assert not torch.equal(one.weight, other.weight)


def test_starting_values_are_those_of_the_published_model() -> None:
    layer = linear(400, 600, generator=draw())
    assert abs(float(layer.weight.detach().std()) / math.sqrt(2 / 1000) - 1) < 0.01
    assert abs(float(layer.bias.detach().std()) / math.sqrt(1 / 600) - 1) < 0.1


def test_a_layer_without_bias() -> None:
    assert linear(5, 4, generator=draw(), bias=False).bias is None


def test_described_layers_take_no_memory() -> None:
    with torch.device("meta"):
        layer, numbers = (
            linear(1 << 20, 1 << 20, generator=draw()),
            normal(1 << 20, 1 << 20, deviation=1, generator=draw()),
        )
    assert layer.weight.is_meta
    assert layer.weight.shape == numbers.shape == (1 << 20, 1 << 20)
    assert numbers.is_meta


def test_normal_numbers() -> None:
    numbers = normal(300, 300, deviation=0.1, generator=draw())
    assert abs(float(numbers.std()) / 0.1 - 1) < 0.02
    assert torch.equal(numbers, normal(300, 300, deviation=0.1, generator=draw()))


@pytest.mark.parametrize("bias", [True, False])
def test_weights_held_in_bfloat16_are_widened_for_numbers_in_float32(bias: bool) -> None:
    layer, numbers = linear(40, 4, generator=draw(), bias=bias), torch.randn(7, 40, generator=draw(2))
    low = copy.deepcopy(layer).bfloat16()
    expected = copy.deepcopy(low).float()(numbers)
    assert torch.equal(low(numbers), expected)
    assert low(numbers).dtype is torch.float32
    assert not torch.equal(layer(numbers), expected)
    assert torch.equal(low(numbers.bfloat16()), nn.functional.linear(numbers.bfloat16(), low.weight, low.bias))
    with pytest.raises(RuntimeError):
        low(numbers.double())


@pytest.mark.parametrize("inputs", [13, 37, 64])
def test_many_rows_learn_the_same_whatever_their_width(inputs: int) -> None:
    """Inputs that are no multiple of 16 are filled up, of which gradients must show nothing."""
    draw = torch.Generator().manual_seed(inputs)
    layer, x = linear(inputs, 32, generator=draw), torch.randn(600, inputs, generator=draw)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    found = torch.autograd.grad(layer(one).square().mean(), [one, *layer.parameters()])
    plain = torch.nn.functional.linear(other, layer.weight, layer.bias)
    expected = torch.autograd.grad(plain.square().mean(), [other, *layer.parameters()])
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.is_contiguous()
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
