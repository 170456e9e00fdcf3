from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.models import ModelConfig
from pocketrec.models.dlrm import MODEL, Dlrm
from pocketrec.native.binding import kernels, use_backend
from pocketrec.native.dlrm import DlrmCall
from pocketrec.native.interact import interact
from pocketrec.native.net import MOST_ROWS
from pocketrec.spec.errors import IdError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.model_contract import ModelContract

TABLES = [TableSpec(name=f"t{i}", rows=20, dim=4) for i in range(3)]
SMALL = ModelConfig(bottom=(8, 6), top=(7,))


def bank(**options: object) -> Bank:
    return build(size(TABLES, "1x", init=0.5, **options), seed=0)


def model(dense: int = 5, **options: object) -> Dlrm:
    return MODEL(bank(**options), dense_features=dense, config=SMALL, seed=0)


def inputs(dense: int = 5) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    return torch.randn(9, dense, generator=draw), torch.randint(20, (9, 3), generator=draw)


@pytest.mark.parametrize("dense", [5, 0])
def test_it_is_the_published_model(dense: int) -> None:
    """Figure 1, row by row: all dot products of different vectors once, after the dense vector."""
    made = model(dense)
    numbers, ids = inputs(dense)
    expected = []
    for row in range(9):
        vectors = [made.bank.rows(f"t{i}", int(ids[row, i]), int(ids[row, i]) + 1)[0] for i in range(3)]
        first: list[Tensor] = []
        if dense:
            assert made.bottom is not None
            first = [made.bottom(numbers[row])]
        vectors = [*first, *vectors]
        products = [vectors[i] @ vectors[j] for i in range(len(vectors)) for j in range(i)]
        expected.append(made.top(torch.cat([*first, torch.stack(products)]))[0])
    torch.testing.assert_close(made(numbers, ids), torch.stack(expected))


def test_every_pair_counts_once() -> None:
    assert model(5).top[0].in_features == 4 + 4 * 3 // 2
    assert model(0).top[0].in_features == 3 * 2 // 2
    assert model(0).bottom is None


def test_gradients_reach_nets_and_rows() -> None:
    made = model()
    made(*inputs()).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in made.dense_parameters() if p.dim() == 2)
    made.bank.collect()
    assert made.bank.pending[0].grads.any()


class TestTheContractOfDlrm(ModelContract):
    model = MODEL


def in_four_calls(made: Dlrm, dense: Tensor, ids: Tensor) -> Tensor:
    low = None if made.bottom is None else made.bottom(dense)
    logits: Tensor = made.top(interact(low, made.bank(ids)))[:, 0]
    return logits


CHANGES: dict[str, Callable[[Dlrm], object]] = {
    "numbers of a net": lambda made: made.top[0].weight.mul_(2),
    "numbers of a table": lambda made: made.bank.tensors()["0.rows"].mul_(2),
    "no bias": lambda made: setattr(made.top[0], "bias", None),
    "another weight": lambda made: setattr(made.bottom[0], "weight", nn.Parameter(torch.ones(8, 5))),
    "another layer": lambda made: made.top.__setitem__(2, nn.Linear(7, 1)),
    "a layer more": lambda made: made.top.append(nn.Tanh()),
    "another net": lambda made: setattr(made, "top", copy.deepcopy(made.top[:2]).append(nn.Linear(7, 1))),
    "another bank": lambda made: setattr(made, "bank", bank(storage="bfloat16_trained")),
}


@pytest.mark.skipif(kernels() is None, reason="pocketrec._native was not built, or POCKETREC_NATIVE=0")
class TestAFewRows:
    @pytest.fixture(autouse=True)
    def _no_gradients(self) -> Iterator[None]:
        with torch.no_grad():
            yield

    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """How many rows each call had that took the whole model."""
        seen: list[int] = []
        whole = DlrmCall.__call__

        def noted(call: DlrmCall, dense: Tensor, ids: Tensor) -> Tensor:
            seen.append(len(ids))
            return whole(call, dense, ids)

        monkeypatch.setattr(DlrmCall, "__call__", noted)
        return seen

    @pytest.mark.parametrize("dense", [5, 0])
    @pytest.mark.parametrize("method", ["full", "hash_rows", "quotient_remainder", "robe"])
    def test_they_take_one_call_that_gives_the_same_bits(self, calls: list[int], dense: int, method: str) -> None:
        trained = MODEL(
            build(size(TABLES, "2x" if method != "full" else "1x", method), seed=0), dense_features=dense,
            config=SMALL, seed=0,
        )  # fmt: skip
        numbers, ids = inputs(dense)
        for made in (trained, trained.with_bank(freeze(trained.bank)).eval()):
            for rows in range(1, MOST_ROWS + 2):
                some = numbers[:rows], ids[:rows]
                assert torch.equal(made(*some), in_four_calls(made, *some))
            assert calls == list(range(1, MOST_ROWS + 1))
            calls.clear()

    def test_nets_in_bfloat16_take_one_call_too(self, calls: list[int]) -> None:
        made, (numbers, ids) = model().with_nets_in(torch.bfloat16), inputs()
        for rows in range(1, MOST_ROWS + 1):
            some = numbers[:rows], ids[:rows]
            assert torch.equal(made(*some), in_four_calls(made, *some))
            torch.testing.assert_close(made(*some), made.with_nets_in(torch.float32)(*some), rtol=1e-6, atol=1e-6)
        assert calls == [rows for rows in range(1, MOST_ROWS + 1) for _ in range(3)]

    def test_vectors_that_are_widened_take_more(self, calls: list[int]) -> None:
        made = MODEL(build(size(TABLES, "2x", "narrow"), seed=0), dense_features=5, config=SMALL, seed=0)
        numbers, ids = inputs()
        assert torch.equal(made(numbers[:2], ids[:2]), in_four_calls(made, numbers[:2], ids[:2]))
        assert calls == []

    def test_other_dtypes_and_strides_go_the_long_way(self, calls: list[int]) -> None:
        made, (numbers, ids) = model(), inputs()
        expected = made(numbers[:2], ids[:2])
        assert torch.equal(made(numbers[:2], ids[:2].t().contiguous().t()), expected)
        torch.testing.assert_close(made(numbers[:4:2].clone()[:1], ids[:1]), expected[:1])
        with torch.autocast("cpu", torch.bfloat16):
            assert made(numbers[:2], ids[:2]).dtype is torch.float32
        assert calls == [2, 1]
        with pytest.raises(RuntimeError):
            made(numbers[:2].double(), ids[:2])
        with use_backend("reference"):
            torch.testing.assert_close(made(numbers[:2], ids[:2]), expected)
        assert calls == [2, 1]

    def test_an_id_that_is_refused_is_named_as_ever(self, calls: list[int]) -> None:
        tables = [TableSpec(name=f"t{i}", rows=20, dim=4, ids="plain") for i in range(3)]
        made = MODEL(build(size(tables, "1x"), seed=0), dense_features=5, config=SMALL, seed=0)
        numbers, ids = inputs()
        ids[1, 2] = 20
        with pytest.raises(IdError, match="t2"):
            made(numbers[:2], ids[:2])
        assert calls == [2]

    @pytest.mark.parametrize("change", CHANGES)
    def test_whatever_is_changed_is_seen(self, change: str) -> None:
        made, (numbers, ids) = model(), inputs()
        before = made(numbers[:2], ids[:2])
        CHANGES[change](made)
        after = made(numbers[:2], ids[:2])
        torch.testing.assert_close(after, made(numbers, ids)[:2])
        assert not torch.equal(after, before)

    def test_hooks_and_gradients_are_not_passed_by(self, calls: list[int]) -> None:
        made, (numbers, ids) = model(), inputs()
        made(numbers[:1], ids[:1])
        assert calls == [1]
        seen: list[Tensor] = []
        made.bank.register_forward_hook(lambda module, given, found: seen.append(found))
        made(numbers[:1], ids[:1])
        assert (len(seen), calls) == (1, [1])
        with torch.enable_grad():
            assert model()(numbers[:1], ids[:1]).requires_grad

    def test_copies_make_their_own(self, calls: list[int]) -> None:
        made, (numbers, ids) = model(), inputs()
        expected = made(numbers[:1], ids[:1])
        for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            made.top[0].weight.zero_()
            assert torch.equal(other(numbers[:1], ids[:1]), expected)
        assert calls == [1, 1, 1]
