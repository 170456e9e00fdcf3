"""What a model does that is not in the suite that all models pass (`pocketrec.testing.model_contract`)."""

from __future__ import annotations

import pytest
import torch

from pocketrec.compress import METHODS, Bank, build, freeze, join, size
from pocketrec.compress.method import of
from pocketrec.models import MODELS, Model, ModelConfig
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.spec.errors import UnknownName
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec

SMALL = ModelConfig(bottom=(8, 8), top=(8,))


def tables(rows: int, ids: str = "plain") -> list[TableSpec]:
    return [TableSpec(name=f"t{i}", rows=rows + i, dim=4, ids=ids) for i in range(3)]  # type: ignore[arg-type]


def sized(method: str, rows: int = 60, **options: object) -> Sizing:
    chosen = of(method, options)
    specs = tables(rows, "plain" if "plain" in chosen.traits.ids else "rank")
    budget_bytes = max(dense_float32_bytes(specs) // 2, chosen.least_bytes(specs))
    return size(specs, budget_bytes, chosen, optimizer=OptimizerSpec(lr=0.1))


def model(bank: Bank, name: str = "dlrm", dense: int = 5, seed: int = 0) -> Model:
    return MODELS.get(name)(bank, dense_features=dense, config=SMALL, seed=seed)


def inputs(batch: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(batch, 5, generator=draw), torch.randint(60, (batch, 3), generator=draw)


def test_models_are_found_by_their_file() -> None:
    assert MODELS.names() == ["dcn_v2", "deepfm", "dlrm", "wide_deep"]
    for name in MODELS.names():
        assert MODELS.get(name).name == name
    with pytest.raises(UnknownName, match="Did you mean 'dlrm'"):
        MODELS.get("dlmr")


@pytest.mark.parametrize("name", MODELS.names())
@pytest.mark.parametrize("method", METHODS.names())
def test_a_model_takes_any_bank_and_learns(name: str, method: str) -> None:
    made = model(build(sized(method), seed=0), name)
    dense, ids = inputs()
    labels = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    optimizer = torch.optim.SGD(made.dense_parameters(), lr=0.1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        logits = made(dense, ids)
        assert logits.shape == (6,)
        assert logits.dtype == torch.float32
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        made.bank.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", MODELS.names())
@pytest.mark.parametrize("method", METHODS.names())
def test_nothing_outside_the_bank_grows_with_rows(name: str, method: str) -> None:
    few, many = (model(build(sized(method, rows), seed=0), name) for rows in (60, 6000))
    assert {n: t.shape for n, t in few.nets().items()} == {n: t.shape for n, t in many.nets().items()}
    assert few.dense_bytes() == many.dense_bytes()
    rest = {n: t.shape for n, t in few.state_dict().items() if not n.startswith("bank.")}
    assert rest == {n: t.shape for n, t in few.nets().items()}, "and there is nothing else"
    small = 10 * max(t.numel() for t in few.nets().values())
    outside = [t for n, t in [*many.named_parameters(), *many.named_buffers()] if not n.startswith("bank.")]
    assert all(t.numel() < small for t in outside)


@pytest.mark.parametrize("name", MODELS.names())
def test_a_model_never_asks_which_method_is_inside(name: str) -> None:
    import inspect

    source = inspect.getsource(MODELS.get(name))
    assert not [word for word in (*METHODS.names(), "isinstance", "hasattr", ".method") if word in source]


def test_dense_parameters_are_the_nets_and_the_small_matrices() -> None:
    plain, widened = (model(build(sized("narrow", widen=widen), seed=0)) for widen in (False, True))
    assert len(widened.dense_parameters()) == len(plain.dense_parameters()) + 1
    assert any(p is widened.bank.matrices()[0] for p in widened.dense_parameters())
    tables_of = {id(p) for p in plain.bank.parameters()}
    assert not any(id(p) in tables_of for p in plain.dense_parameters())


def test_nets_come_from_the_seed_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (model(build(sized("full"), seed=0), seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    for name, tensor in one.nets().items():
        assert torch.equal(tensor, same.nets()[name])
    assert not torch.equal(one.nets()["top.0.weight"], other.nets()["top.0.weight"])


def test_dense_bytes_are_those_of_the_nets() -> None:
    made = model(build(sized("full"), seed=0))
    weights = (5 * 8 + 8) + (8 * 8 + 8) + (8 * 4 + 4) + (10 * 8 + 8) + (8 + 1)
    assert made.dense_bytes() == 4 * weights


def test_the_same_nets_over_a_frozen_bank() -> None:
    made = model(build(sized("hash_rows"), seed=0)).eval()
    served = made.with_bank(freeze(made.bank))
    dense, ids = inputs()
    torch.testing.assert_close(served(dense, ids), made(dense, ids))
    assert made.bank.form == "train", "the model itself is left alone"
    assert all(served.nets()[name] is tensor for name, tensor in made.nets().items()), "shared, not copied"


def test_a_mixed_bank_is_a_bank() -> None:
    specs = tables(60)
    parts = [size(specs[:1], "1x"), size(specs[1:], "4x", "robe")]
    made = model(build(join(parts, ["t2", "t0", "t1"], "1x"), seed=0))
    dense, ids = inputs()
    made(dense, ids).sum().backward()
    made.bank.collect()
    assert set(made.bank.pending) == {0, 1}
