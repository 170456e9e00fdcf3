from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from pocketrec.models.parts.mlp import mlp
from pocketrec.native.binding import kernels, use_backend
from pocketrec.native.net import MOST_ROWS, Layer, Net, plain_net

needs_kernels = pytest.mark.skipif(kernels() is None, reason="pocketrec._native was not built, or POCKETREC_NATIVE=0")


def layers(widths: tuple[int, ...], dtype: torch.dtype = torch.float32, *, bias: bool = True) -> list[Layer]:
    draw = torch.Generator().manual_seed(sum(widths))
    made = []
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        weight = torch.randn(outputs, inputs, generator=draw).div(inputs**0.5).to(dtype)
        added = torch.randn(outputs, generator=draw).to(dtype) if bias else None
        made.append(Layer(weight, added, place < len(widths) - 2))
    return made


def rows_of(count: int, width: int) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(count))


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("widths", [(13, 512, 256, 64, 16), (367, 33, 1), (1, 1), (16, 5, 17, 31, 32, 2), (15, 16, 3)])
def test_the_kernel_gives_the_bits_of_the_reference(dtype: torch.dtype, widths: tuple[int, ...]) -> None:
    for bias in (True, False):
        made, rows = layers(widths, dtype, bias=bias), rows_of(3, widths[0])
        found = Net(made)(kernels(), rows)
        assert torch.equal(found, plain_net(made, rows))
        assert torch.equal(rows, rows_of(3, widths[0])), "the rows that come in are left alone"
        for row in range(3):
            assert torch.equal(Net(made)(kernels(), rows[row : row + 1])[0], found[row]), "rows know nothing of others"


def test_the_reference_is_a_net_to_the_rounding_of_float32() -> None:
    made, rows = layers((367, 512, 256, 1)), rows_of(4, 367).double()
    exact = rows
    for weight, bias, relu in made:
        assert bias is not None
        exact = exact @ weight.double().t() + bias.double()
        exact = exact.relu() if relu else exact
    torch.testing.assert_close(plain_net(made, rows.float()).double(), exact, rtol=1e-6, atol=1e-6)


@needs_kernels
def test_what_is_not_finite_goes_through() -> None:
    rows = torch.ones(3, 20)
    rows[0, 18], rows[1, 3], rows[2, 0] = torch.nan, torch.inf, -torch.inf
    for dtype in (torch.float32, torch.bfloat16):
        found = Net([Layer(torch.ones(2, 20, dtype=dtype), None, True)])(kernels(), rows)
        assert bool(found[0].isnan().all())
        assert found[1:].tolist() == [[torch.inf] * 2, [0.0] * 2]


@needs_kernels
@pytest.mark.parametrize("inputs", [1, 2, 7, 15])
def test_a_weight_that_is_not_finite_stays_in_its_row(inputs: int) -> None:
    """Rows of fewer than sixteen weights are read with the beginning of the next ones."""
    for dtype in (torch.float32, torch.bfloat16):
        weight = torch.ones(20, inputs, dtype=dtype)
        weight[1::2] = torch.inf
        found = Net([Layer(weight, None, False)])(kernels(), torch.ones(1, inputs))
        assert found.tolist() == [[float(inputs), torch.inf] * 10]


@needs_kernels
def test_every_weight_meets_its_own_input() -> None:
    """In numbers that are exact in any order."""
    for inputs in (13, 16, 17, 40, 63):
        weight = torch.randint(-8, 9, (9, inputs), generator=torch.Generator().manual_seed(inputs))
        rows = torch.randint(-99, 100, (2, inputs), generator=torch.Generator().manual_seed(1))
        found = Net([Layer(weight.bfloat16(), None, False)])(kernels(), rows.float())
        assert torch.equal(found.long(), rows @ weight.t())


@needs_kernels
def test_layers_that_do_not_follow_one_another_are_refused() -> None:
    made = [*layers((8, 4)), *layers((5, 2))]
    with pytest.raises(ValueError, match="layer 1 reads 5 numbers, the one before it gives 4"):
        Net(made)(kernels(), rows_of(1, 8))
    with pytest.raises(ValueError, match=r"rows must be float32 \[rows, 8\], got torch.float32 \[1, 7\]"):
        Net(layers((8, 4)))(kernels(), rows_of(1, 7))


def test_what_the_kernel_cannot_compute_is_known() -> None:
    fitting = layers((8, 4))[0]
    assert Net([fitting]).fits
    for other in (
        fitting._replace(weight=fitting.weight.half(), bias=None), fitting._replace(weight=torch.ones(8, 4).t()),
        fitting._replace(bias=torch.ones(4).bfloat16()),
    ):  # fmt: skip
        assert not Net([other]).fits
    assert not Net([]).fits


class TestMlp:
    @pytest.fixture
    def net(self) -> nn.Module:
        return mlp((13, 32, 7), last_relu=True, generator=torch.Generator().manual_seed(0))

    def test_a_few_rows_score_as_many_do(self, net: nn.Module) -> None:
        rows = rows_of(MOST_ROWS + 1, 13)
        with torch.no_grad():
            many, few = net(rows), net(rows[:MOST_ROWS])
        torch.testing.assert_close(few, many[:MOST_ROWS], rtol=1e-6, atol=1e-6)

    @needs_kernels
    def test_it_is_our_kernel_that_computes_them(self, net: nn.Module) -> None:
        rows = rows_of(2, 13)
        with torch.no_grad():
            expected = plain_net(
                [Layer(net[0].weight, net[0].bias, True), Layer(net[2].weight, net[2].bias, True)], rows
            )
            assert torch.equal(net(rows), expected)
            with use_backend("reference"):
                torch.testing.assert_close(net(rows), expected, rtol=1e-6, atol=1e-6)

    def test_new_weights_and_changed_ones_are_seen(self, net: nn.Module) -> None:
        rows = rows_of(1, 13)
        with torch.no_grad():
            net(rows)
            for change in (
                lambda: net[0].weight.mul_(2),
                lambda: setattr(net[2], "weight", nn.Parameter(torch.ones(7, 32))),
                lambda: setattr(net[0].weight, "data", torch.randn(32, 13)),
            ):
                change()
                torch.testing.assert_close(net(rows), net(rows.repeat(9, 1))[:1], rtol=1e-5, atol=1e-6)

    def test_gradients_and_hooks_are_not_passed_by(self, net: nn.Module) -> None:
        rows = rows_of(1, 13)
        assert net(rows).requires_grad
        seen: list[Tensor] = []
        net[0].register_forward_hook(lambda layer, inputs, output: seen.append(output))
        with torch.no_grad():
            net(rows)
        assert len(seen) == 1

    def test_layers_that_come_later_are_seen(self, net: nn.Module) -> None:
        rows = torch.full((1, 13), 100.0)
        with torch.no_grad():
            before = net(rows)
            net.append(nn.Tanh())
            assert torch.equal(net(rows), before.tanh())

    def test_other_layers_are_computed_as_before(self) -> None:
        net = mlp((4, 3), last_relu=False, generator=torch.Generator().manual_seed(0))
        net.append(nn.Tanh())
        with torch.no_grad():
            assert float(net(torch.full((1, 4), 100.0)).abs().max()) <= 1
