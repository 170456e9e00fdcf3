"""Units that are looked up by one native call, against the same groups one after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, join, size
from pocketrec.compress.lookups import Lookups
from pocketrec.compress.units import looked_up
from pocketrec.native import use_backend
from pocketrec.native.binding import kernels
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec

TABLES = [TableSpec(name=f"t{i}", rows=40, dim=4, ids="rank") for i in range(3)]
needs_kernels = pytest.mark.skipif(kernels() is None, reason="pocketrec._native was not built, or POCKETREC_NATIVE=0")


def split(cold: str = "hash_rows", storage: str = "float32") -> Sizing:
    return size(TABLES, 1200, "offline_split", cold=cold, storage=storage, optimizer=OptimizerSpec(name="adagrad"))


def units_of_two_kinds() -> Sizing:
    parts = [size(TABLES[1:], "4x", "offline_split"), size(TABLES[:1], "1x")]
    return join(parts, [t.name for t in TABLES], "1x")


CASES = {
    "hash_rows": split, "robe": lambda: split("robe"), "int8": lambda: split(storage="int8"),
    "columns of others": units_of_two_kinds, "factor": lambda: size(TABLES, 4000, "bloom"),
    "factor of sums": lambda: size(TABLES, 4000, "bloom", hashes=3, weight_hashes=2),
    "factor of codes": lambda: size(TABLES, 4000, "bloom", storage="int4"),
}  # fmt: skip


def one_by_one(bank: Bank, ids: Tensor) -> list[Tensor]:
    lookups = Lookups([], form=bank.form, gradient=bank.gradient, learns=False)
    pairs = [looked_up(unit, lookups.one, ids, None, None, "sum", by_value=True) for unit in bank.units]
    return [vectors if factors is None else vectors * factors for vectors, factors in pairs]


@needs_kernels
@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("form", ["train", "serve"])
def test_together_gives_the_bits_of_one_by_one(make: Callable[[], Sizing], form: str) -> None:
    bank = build(make(), seed=0, padding={"t1": 2}).eval()
    bank = freeze(bank) if form == "serve" else bank
    ids = torch.randint(1, 40, (50, 3), generator=torch.Generator().manual_seed(0))
    ids[::4, 1] = 2
    lookups = Lookups([], form=bank.form, gradient="pairs", learns=False)
    with torch.no_grad():
        for unit, expected in zip(bank.units, one_by_one(bank, ids), strict=True):
            found = lookups.together(unit, ids, by_value=True)
            assert (found is None) == (len(unit.groups) == 1)
            if found is not None:
                assert torch.equal(found[0], expected)
        whole = bank(ids)
        with use_backend("reference"):
            assert torch.equal(bank(ids), whole)


@needs_kernels
@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_they_learn_the_same(make: Callable[[], Sizing], monkeypatch: pytest.MonkeyPatch) -> None:
    banks = [build(make(), seed=0, padding={"t1": 2}).train() for _ in range(2)]
    ids = torch.randint(1, 40, (50, 3), generator=torch.Generator().manual_seed(0))
    ids[::4, 1] = 2
    factors = torch.randn(50, 3, 4, generator=torch.Generator().manual_seed(1))
    for number, bank in enumerate(banks):
        if number:
            monkeypatch.setattr(Lookups, "together", lambda *_, **__: None)
        (bank(ids) * factors).sum().backward()
        (bank(ids[:9]) * factors[:9]).sum().backward()
        bank.step()
    for name, tensor in banks[0].tensors().items():
        assert torch.equal(tensor, banks[1].tensors()[name]), name


@needs_kernels
def test_when_they_are_looked_up_one_by_one() -> None:
    ids = torch.ones(2, 3, dtype=torch.int64)

    def together(bank: Bank, *, by_value: bool = True) -> object:
        how = Lookups([], form=bank.form, gradient=bank.gradient, learns=bank.training)
        return how.together(bank.units[0], ids, by_value=by_value)

    bank, multiplied = build(split(), seed=0), build(size(TABLES, 4000, "bloom"), seed=0)
    assert together(bank) is not None
    with use_backend("reference"):
        assert together(bank) is None
    with torch.profiler.profile():
        assert together(bank) is None, "somebody looks on"
    assert together(freeze(multiplied), by_value=False) is None, "its factors are wanted apart"
    bank.gradient = "sparse"
    assert together(bank) is None, "torch finds the gradients"
    with torch.no_grad():
        assert together(bank) is not None


@needs_kernels
def test_a_unit_sees_what_is_written_to_it_and_copies_are_their_own() -> None:
    bank, other = (build(split(), seed=seed).eval() for seed in (0, 1))
    ids = torch.randint(1, 40, (50, 3), generator=torch.Generator().manual_seed(0))
    first, twin = bank(ids), copy.deepcopy(bank)
    bank.load_state_dict(other.state_dict())
    assert torch.equal(bank(ids), other(ids))
    assert torch.equal(twin(ids), first)
    bank.load_state_dict({name: tensor.clone() for name, tensor in twin.state_dict().items()}, assign=True)
    assert torch.equal(bank(ids), first)


def test_weights_that_train_are_refused() -> None:
    bank = build(size(TABLES, "1x"), seed=0)
    with pytest.raises(OptionError, match="Weights of values that train"):
        bank(torch.ones(3, dtype=torch.int64), torch.tensor([0, 1, 2, 3]), torch.ones(3, requires_grad=True))
