from __future__ import annotations

import copy
import math

import torch
from torch import nn

from pocketrec.models.parts.linear import Linear
from pocketrec.models.parts.masks import Masks
from pocketrec.models.parts.mlp import Mlp, mlp


def made(*widths: int, last_relu: bool = False, seed: int = 0) -> Mlp:
    return mlp(widths, last_relu=last_relu, generator=torch.Generator().manual_seed(seed))


def test_linear_layers_with_relu_between_them() -> None:
    assert [type(m) for m in made(4, 3, 2)] == [Linear, nn.ReLU, Linear]
    assert [type(m) for m in made(4, 3, 2, last_relu=True)] == [Linear, nn.ReLU, Linear, nn.ReLU]
    assert [tuple(p.shape) for p in made(4, 3, 2).parameters()] == [(3, 4), (3,), (2, 3), (2,)]


def test_it_computes_what_it_says() -> None:
    net, x = made(4, 3, 2), torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    first, _, second = net
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    expected = (x @ first.weight.T + first.bias).clamp(min=0) @ second.weight.T + second.bias
    torch.testing.assert_close(net(x), expected)


def test_values_are_those_of_the_published_model() -> None:
    (layer,) = made(400, 600)
    assert isinstance(layer, nn.Linear)
    assert abs(float(layer.weight.detach().std()) / math.sqrt(2 / 1000) - 1) < 0.01
    assert abs(float(layer.bias.detach().std()) / math.sqrt(1 / 600) - 1) < 0.1
    assert abs(float(layer.weight.detach().mean())) < 4 * math.sqrt(2 / 1000 / 240_000)


def test_values_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = made(4, 3), made(4, 3), made(4, 3, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one[0].weight, same[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


def test_masks_follow_every_relu_and_nothing_else() -> None:
    net, x = made(4, 3, 3, 2), torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    seen = []

    class Half(Masks):  # type: ignore[misc]  # final, but not for a test
        def __call__(self, numbers: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(numbers.shape))
            assert (numbers >= 0).all(), "after the ReLU"
            return numbers / 2

    halved = net(x, Half(0.5, seed=0, step=0))
    assert seen == [(5, 3), (5, 3)]
    second = net[2](net[1](net[0](x)) / 2)
    torch.testing.assert_close(halved, net[4](net[3](second) / 2))
    assert not torch.equal(halved, net(x))


def test_the_numbers_that_come_in_are_left_alone() -> None:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    before = x.clone()
    made(4, 3, 2)(x)
    Mlp(nn.ReLU(), nn.Linear(4, 2))(x)
    assert torch.equal(x, before)


def test_gradients_are_those_of_the_layers() -> None:
    net, x = made(4, 3, 3, 2, last_relu=True), torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    found = torch.autograd.grad(net(one).square().sum(), [one, *net.parameters()])
    plain = nn.Sequential(*net)
    expected = torch.autograd.grad(plain(other).square().sum(), [other, *net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_layers_in_bfloat16_compute_what_their_weights_are_in_float32() -> None:
    net, x = made(40, 30, 2), torch.randn(9, 40, generator=torch.Generator().manual_seed(1))
    low = copy.deepcopy(net).bfloat16()
    widened = copy.deepcopy(low).float()
    assert torch.equal(low(x), widened(x))
    assert not torch.equal(low(x), net(x))
    with torch.no_grad():
        for rows in range(1, 9):
            torch.testing.assert_close(low(x[:rows]), widened(x[:rows]), rtol=1e-6, atol=1e-6)
    low[0].register_forward_hook(lambda layer, args, out: None)
    assert torch.equal(low(x), widened(x)), "with a hook too"


def test_hooks_and_other_layers_are_called() -> None:
    net, x, seen = made(4, 3, 2), torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), []
    expected = net(x)
    handle = net[0].register_forward_hook(lambda layer, args, out: seen.append(out.clone()))
    assert torch.equal(net(x), expected)
    assert len(seen) == 1
    handle.remove()

    class Doubled(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    net[2].__class__ = Doubled
    assert torch.equal(net(x), 2 * expected)
