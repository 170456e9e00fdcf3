"""What a model does that is not in the suite that all models pass (`pocketrec.testing.model_contract`)."""

from __future__ import annotations

import pytest
import torch

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.models import MODELS, Model, ModelConfig
from pocketrec.models.dlrm import Dlrm
from pocketrec.spec.errors import OptionError, UnknownName
from pocketrec.spec.table import TableSpec

SMALL = ModelConfig(bottom=(8, 8), top=(8,))


def bank(method: str = "full", fields: int = 3, **options: object) -> Bank:
    tables = [TableSpec(name=f"t{i}", rows=20, dim=4) for i in range(fields)]
    return build(size(tables, "2x" if method == "narrow" else "1x", method, **options), seed=0)


def model(given: Bank, config: ModelConfig = SMALL, dense: int = 5, seed: int = 0) -> Model:
    return MODELS.get("dlrm")(given, dense_features=dense, config=config, seed=seed)


def test_models_are_found_by_their_file() -> None:
    assert MODELS.names() == ["dcn_v2", "deepfm", "dlrm", "memrec", "wide_deep"]
    for name in MODELS.names():
        assert MODELS.get(name).name == name
    with pytest.raises(UnknownName, match="Did you mean 'dlrm'"):
        MODELS.get("dlmr")


def test_dense_parameters_are_the_nets_and_the_small_matrices() -> None:
    plain, widened = (model(bank("narrow", widen=widen)) for widen in (False, True))
    assert len(widened.dense_parameters()) == len(plain.dense_parameters()) + 1
    assert any(p is widened.bank.matrices()[0] for p in widened.dense_parameters())
    tables_of = {id(p) for p in plain.bank.parameters()}
    assert not any(id(p) in tables_of for p in plain.dense_parameters())


def test_dense_bytes_are_those_of_the_nets() -> None:
    weights = (5 * 8 + 8) + (8 * 8 + 8) + (8 * 4 + 4) + (10 * 8 + 8) + (8 + 1)
    assert model(bank()).dense_bytes() == 4 * weights


def test_masks_are_there_while_training_with_dropout_and_only_then() -> None:
    with_, without = model(bank(), ModelConfig(dropout=0.1)), model(bank())
    assert with_.masks() is not None
    assert with_.eval().masks() is None
    assert without.masks() is None


def test_masks_come_from_the_seed_and_the_steps_of_the_bank() -> None:
    ones, config = torch.ones(100, 5), ModelConfig(dropout=0.5)

    def mask(seed: int, steps: int) -> torch.Tensor:
        made = model(bank(), config, seed=seed)
        made.bank.steps += steps
        masks = made.masks()
        assert masks is not None
        return masks(ones)

    assert torch.equal(mask(1, 2), mask(1, 2))
    assert not torch.equal(mask(1, 2), mask(1, 3))
    assert not torch.equal(mask(1, 2), mask(2, 2))


# ---------------------------------------------------------------- nets that somebody wrote down


def test_from_nets_copies_and_shares_nothing() -> None:
    one = model(bank(), seed=1)
    nets = {name: t.detach() for name, t in one.nets().items()}
    again = Dlrm.from_nets(bank(), dense_features=5, config=SMALL, nets=nets)
    for name, tensor in again.nets().items():
        assert torch.equal(tensor, nets[name])
        assert tensor.data_ptr() != nets[name].data_ptr()
        assert tensor.requires_grad


def test_nets_are_copied_in_the_dtype_that_they_are_held_in() -> None:
    one = model(bank(), seed=1)
    low = one.with_nets_in(torch.bfloat16)
    again = Dlrm.from_nets(bank(), dense_features=5, config=SMALL, nets=low.nets())
    assert all(t.dtype is torch.bfloat16 for t in again.nets().values())
    said = r"'bottom.0.bias' is torch.bfloat16 in them and torch.float32 in this one"
    with pytest.raises(OptionError, match=said):
        one.copy_nets(low.nets())
    with pytest.raises(OptionError, match=r"not in torch.float16"):
        Dlrm.from_nets(bank(), dense_features=5, config=SMALL, nets={n: t.half() for n, t in one.nets().items()})


def test_nets_in_bfloat16_are_rounded_to_the_nearest_and_not_trained() -> None:
    one = model(bank())
    low = one.with_nets_in(torch.bfloat16)
    for name, tensor in low.nets().items():
        assert torch.equal(tensor, one.nets()[name].bfloat16())
        assert tensor.data_ptr() != one.nets()[name].data_ptr()
    with pytest.raises(OptionError, match="held in bfloat16, which is for serving"):
        low.dense_parameters()
    with pytest.raises(OptionError, match=r"float32 or bfloat16, not in torch.float16"):
        one.with_nets_in(torch.float16)


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        (3, ModelConfig(bottom=(8, 8), top=(1 << 20,) * 60)),  # 240 TB of layers
        (3, ModelConfig(name="dcn_v2", cross_rank=1 << 20, cross_layers=64)),
        (100_000, SMALL),  # DLRM's list of pairs alone would take 80 GB
    ],
    ids=["wide layers", "a high rank", "many fields"],
)
def test_nets_that_the_file_does_not_hold_take_no_memory(fields: int, config: ModelConfig) -> None:
    nets = model(bank()).nets()
    served = bank(fields=3)
    if fields > 3:
        served.sizing = Wide(served, fields)  # type: ignore[assignment]
    with pytest.raises(OptionError, match="These are the nets of another model"):
        MODELS.get(config.name).from_nets(served, dense_features=5, config=config, nets=nets)


class Wide:
    """A sizing of many columns, without the bank that would belong to it."""

    def __init__(self, given: Bank, fields: int) -> None:
        self.order, self.groups = ("t0",) * fields, given.sizing.groups


def test_the_same_nets_over_a_frozen_bank() -> None:
    made = model(bank()).eval()
    served = made.with_bank(freeze(made.bank))
    dense, ids = torch.randn(6, 5), torch.randint(20, (6, 3))
    assert torch.equal(served(dense, ids), made(dense, ids))
    assert made.bank.form == "train", "the model itself is left alone"
    assert all(served.nets()[name] is tensor for name, tensor in made.nets().items()), "shared, not copied"
