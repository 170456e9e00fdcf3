from __future__ import annotations

import copy
import threading
from collections.abc import Iterator

import pytest
import torch

from pocketrec.models.parts import matmul
from pocketrec.models.parts.matmul import Matmul, bfloat16_cost, choose_matmul, decided, probed, serving
from pocketrec.models.parts.mlp import mlp
from pocketrec.spec.errors import OptionError

FLAG = torch.backends.mkldnn.matmul
WIDE = "AVX512" in torch.backends.cpu.get_cpu_capability()


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    before = FLAG.fp32_precision, torch.get_float32_matmul_precision()
    yield
    assert (FLAG.fp32_precision, torch.get_float32_matmul_precision()) == before


@pytest.mark.parametrize("shares", [{16: 1.0, 64: 0.5, 256: 0.5}, {16: 0.5, 64: 0.9, 256: 0.5}])
def test_onednn_from_the_rows_on_from_which_it_always_pays(shares: dict[int, float]) -> None:
    found = decided(4e-7, shares)
    assert found.onednn_rows == (64 if shares[16] == 1 else 256)


def test_near_equal_figures_and_rounded_products_leave_things_as_they_are() -> None:
    assert decided(4e-7, {16: 1.02, 64: 0.81, 256: 0.97}).onednn_rows is None
    assert decided(2e-6, {16: 0.3, 64: 0.3, 256: 0.3}).onednn_rows is None, "as AMX would do it"
    assert decided(4e-7, {16: 0.3, 64: 0.3, 256: 0.3}).onednn_rows == 16


def test_the_setting_of_torch_holds_inside_only() -> None:
    choice = Matmul(onednn_rows=64)
    before = FLAG.fp32_precision
    with choice.at(63):
        assert FLAG.fp32_precision == before
    with choice.at(64):
        assert FLAG.fp32_precision == "bf16"
        with choice.at(1000):
            assert FLAG.fp32_precision == "bf16"
        assert FLAG.fp32_precision == "bf16"
    assert FLAG.fp32_precision == before
    with pytest.raises(RuntimeError, match="of the caller"), choice.at(64):
        raise RuntimeError("of the caller")


def test_what_the_user_had_set_is_put_back() -> None:
    try:
        torch.set_float32_matmul_precision("high")
        before = FLAG.fp32_precision
        with Matmul(onednn_rows=1).at(1):
            pass
        assert FLAG.fp32_precision == before == "tf32"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
        FLAG.fp32_precision = "none"


def test_threads_that_overlap_leave_nothing_behind() -> None:
    choice, inside, leave = Matmul(onednn_rows=1), threading.Event(), threading.Event()
    before = FLAG.fp32_precision

    def other() -> None:
        with choice.at(1):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with choice.at(1):
        thread.start()
        assert inside.wait(10)
    assert FLAG.fp32_precision == "bf16", "the other is still inside"
    leave.set()
    thread.join()
    assert FLAG.fp32_precision == before


def test_what_is_chosen_here_is_as_exact_as_float32() -> None:
    draw = torch.Generator().manual_seed(1)
    rows, weight = torch.randn(300, 512, generator=draw), torch.randn(256, 512, generator=draw)
    exact = rows.double() @ weight.double().t()
    with probed().at(300):
        found = rows @ weight.t()
    assert (found.double() - exact).norm() <= 1e-6 * exact.norm()
    assert probed() is probed(), "once per process"
    assert WIDE or probed() == Matmul(), "torch knows the way with AVX-512 only"


@pytest.mark.parametrize("rows", [128, 2048])
@pytest.mark.parametrize(("inputs", "outputs"), [(13, 512), (512, 256), (256, 64), (64, 16), (367, 512), (256, 1)])
def test_the_products_of_a_training_step_are_as_exact_as_float32(rows: int, inputs: int, outputs: int) -> None:
    """Layers of a DLRM's nets over 26 tables: what goes forward, and both gradients, against float64."""
    draw = torch.Generator().manual_seed(rows + inputs + outputs)
    layer = mlp((inputs, outputs), last_relu=False, generator=draw)
    x, slope = torch.randn(rows, inputs, generator=draw, requires_grad=True), torch.randn(rows, outputs, generator=draw)
    with probed().at(rows):
        found = layer(x)
        gradients = torch.autograd.grad(found, [x, layer[0].weight, layer[0].bias], slope)
    exact_x, exact = x.detach().double().requires_grad_(), copy.deepcopy(layer).double()
    wanted = exact(exact_x)
    both = torch.autograd.grad(wanted, [exact_x, exact[0].weight, exact[0].bias], slope.double())
    for one, other in zip((found, *gradients), (wanted, *both), strict=True):
        assert one.dtype is torch.float32
        # a single column is no matrix product but a sum of 2048 numbers, one after the other on some machines
        assert (one.double() - other).norm() <= (1e-6 if outputs > 1 else 4e-6) * other.norm()


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "probed", lambda: Matmul(onednn_rows=64))
    monkeypatch.setattr(matmul, "onednn_error", lambda: 4e-7)
    assert choose_matmul("torch") == Matmul()
    assert choose_matmul("auto") == Matmul(onednn_rows=64)
    assert choose_matmul("onednn") == Matmul(onednn_rows=1)
    assert choose_matmul("auto", precision="bfloat16") == Matmul(), "they go there anyway"
    assert Matmul.from_json(Matmul(onednn_rows=64).to_json()) == Matmul(onednn_rows=64)
    monkeypatch.setattr(matmul, "onednn_error", lambda: 3e-3)
    with pytest.raises(OptionError, match=r"rounds to bfloat16: relative error 3\.0e-03, allowed is 1e-06"):
        choose_matmul("onednn")


def test_few_rows_are_served_without_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured() -> Matmul:
        raise AssertionError("measured")

    monkeypatch.setattr(matmul, "probed", measured)
    before = FLAG.fp32_precision
    with serving(1):
        assert FLAG.fp32_precision == before
    monkeypatch.setattr(matmul, "probed", lambda: Matmul(onednn_rows=64))
    with serving(63):
        assert FLAG.fp32_precision == before
    with serving(64):
        assert FLAG.fp32_precision == "bf16"


def test_the_measurements_measure() -> None:
    """Their figures are of the machine; here only that there are some, and that bfloat16 would be noticed."""
    assert 0 < matmul._time_share(16) < 100
    assert 0 < bfloat16_cost() < 1000
    rows, weight = matmul._matrices(64)
    exact = rows.double() @ weight.double().t()
    low = (rows.bfloat16() @ weight.bfloat16().t()).double()
    assert (low - exact).norm() > 1e3 * matmul.MOST_ERROR * exact.norm()
