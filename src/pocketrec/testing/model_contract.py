"""ModelContract: everything that is true of every model, as tests that three lines inherit."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from pocketrec.artifact import Manifest, load_artifact, save_artifact
from pocketrec.compress import METHODS, Bank, attach, build, freeze, join, size
from pocketrec.compress.group import Group
from pocketrec.compress.in_float32 import in_float32
from pocketrec.compress.method import of
from pocketrec.compress.storage import STORAGES
from pocketrec.models import Model, ModelConfig
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import kept_in, refusal, zipf_stats
from pocketrec.testing.click_rows import TABLE_ROWS, planted
from pocketrec.testing.elsewhere import scores_elsewhere
from pocketrec.testing.sets import some_data

if TYPE_CHECKING:
    import pytest

__all__ = ["ModelContract"]

_DIM = 4
_FEATURES = {"dense": (3, False), "no_dense": (0, False), "bags": (0, True), "dense_and_bags": (3, True)}
# What a step of the storage may make of a logit that is a sum of some tens of products of numbers around 0.3.
_TOLERANCE = {"float32": 1e-5, "float16": 0.02, "bfloat16": 0.1, "int8": 0.1}


class ModelContract:
    """The contract of a model.

    ::

        class TestDcnV2(ModelContract):
            model = MODEL
            variants = ({}, {"cross": "parallel"}, {"cross_rank": 2})

    Attributes:
        model: the model under test; it need not be in the registry.
        variants: options of :class:`ModelConfig` under which everything is tried.
    """

    model: ClassVar[type[Model]]
    variants: ClassVar[Sequence[Mapping[str, Any]]] = ({},)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Called by pytest: which cases there are."""
        names = metafunc.fixturenames
        if "variant" in names:
            metafunc.parametrize("variant", self.variants, ids=_label)
        if "features" in names:
            metafunc.parametrize("features", _FEATURES)
        if "bags" in names:
            metafunc.parametrize("bags", [False, True], ids=["dense", "bags"])
        if "method" in names:
            metafunc.parametrize("method", METHODS.names())
        if "storage" in names:
            metafunc.parametrize("storage", STORAGES.names())

    # -- what is looked at -------------------------------------------------------------------------------------------

    def made(self, bank: Bank, variant: Mapping[str, Any], features: str, *, seed: int = 0) -> Model:
        """The model over a bank."""
        config = ModelConfig(**{"name": self.model.name, "bottom": (8,), "top": (8,), **variant})
        return self.model(bank, dense_features=_FEATURES[features][0], config=config, seed=seed)

    def sized(self, method: str, *, rows: int | None = None, storage: str = "float32") -> Sizing:
        """Three small tables (or large ones) at half their bytes, or at the method's floor."""
        chosen, dim = of(method, {"storage": kept_in(method, storage)}), self.model.vector_dim(_DIM)
        space = "rank" if "rank" in chosen.traits.ids else chosen.traits.ids[0]
        tables = [TableSpec(name=f"t{i}", rows=rows or n, dim=dim, ids=space) for i, n in enumerate(TABLE_ROWS)]
        budget_bytes = max(dense_float32_bytes(tables) // 2, chosen.least_bytes(tables))
        return chosen.size(tables, budget_bytes, stats=zipf_stats(tables), optimizer=OptimizerSpec(lr=0.1))

    def mixed(self) -> Bank:
        """A bank of two methods, whose columns are not in the order of its groups."""
        tables = [TableSpec(name=f"t{i}", rows=n, dim=self.model.vector_dim(_DIM)) for i, n in enumerate(TABLE_ROWS)]
        parts = [size([tables[1]], "1x", storage="int8"), size([tables[0], tables[2]], "2x", "robe")]
        return build(join(parts, [t.name for t in tables], "1x"), seed=0)

    def bank(self, method: str = "full", storage: str = "float32") -> Bank:
        """A bank with rows that differ clearly."""
        sizing = self.sized(method, storage=storage)
        bank = build(sizing, seed=0, data=some_data(sizing))
        draw = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for group in bank.groups:
                assert isinstance(group, Group)
                with in_float32(group) as plain:
                    for spec in plain.sizing.train:
                        if spec.role == "weights":
                            plain.tensor(spec.name).normal_(0, 0.3, generator=draw)
        return bank

    def logits(self, model: Model, features: str, count: int = 12) -> Tensor:
        """Logits of some planted rows."""
        dense, bags = _FEATURES[features]
        found: Tensor = model(*planted(count, dense_features=dense, bags=bags).inputs())
        return found

    # -- the contract ------------------------------------------------------------------------------------------------

    def test_has_a_card_and_a_name(self) -> None:
        module = inspect.getmodule(self.model)
        assert module is not None
        assert module.__name__.rsplit(".", 1)[-1] == self.model.name, "the file, the registry and the model: one name"
        assert any(line.startswith("Paper:") for line in (module.__doc__ or "").splitlines()), "where it comes from"

    def test_never_asks_which_method_is_inside(self) -> None:
        source = inspect.getsource(self.model)
        words = [f"{quote}{name}{quote}" for name in METHODS.names() for quote in ("'", '"')]
        asked = [word for word in (*words, ".method") if word in source]
        assert asked == [], f"asks for a method: {asked}"

    def test_takes_any_bank(self, variant: Mapping[str, Any], method: str, features: str) -> None:
        for bank in (self.bank(method), self.mixed()):
            logits = self.logits(self.made(bank, variant, features), features)
            assert logits.shape == (12,)
            assert logits.dtype == torch.float32
            assert torch.isfinite(logits).all()

    def test_no_rows_have_no_logits(self, variant: Mapping[str, Any], features: str) -> None:
        assert self.logits(self.made(self.bank(), variant, features), features, 0).shape == (0,)

    def test_loss_falls(self, variant: Mapping[str, Any], method: str, bags: bool) -> None:
        features = "bags" if bags else "dense"
        if bags and method == "ada_embed":
            return  # its vectors begin at zero and have no gradient where a model knows only products of them
        rows = planted(120, dense_features=_FEATURES[features][0], bags=bags)
        sizing = self.sized(method)
        model = self.made(build(sizing, seed=0, data=some_data(sizing)), variant, features)
        optimizer, losses = torch.optim.Adam(model.dense_parameters(), lr=0.02), []
        for _ in range(60):
            optimizer.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(*rows.inputs()), rows.label)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
            optimizer.step()
            model.bank.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.6 * losses[0], f"from {losses[0]:.3f} to {losses[-1]:.3f} nats"

    def test_gradients_reach_every_net_and_every_number_of_a_row(
        self, variant: Mapping[str, Any], features: str
    ) -> None:
        model = self.made(self.bank(), variant, features)
        self.logits(model, features, 40).square().sum().backward()  # type: ignore[no-untyped-call]
        idle = [name for name, p in model.nets().items() if p.requires_grad and (p.grad is None or not p.grad.any())]
        assert idle == [], "nets that nothing can teach"
        model.bank.collect()
        for pairs in model.bank.pending.values():
            assert pairs.grads.any(dim=0).all(), "numbers of a row that nothing can teach"

    def test_every_column_counts_for_its_row_alone(self, variant: Mapping[str, Any], features: str) -> None:
        dense, bags = _FEATURES[features]
        model, rows = self.made(self.bank(), variant, features).eval(), planted(6, dense_features=dense, bags=bags)
        before = model(*rows.inputs())
        for column in range(len(TABLE_ROWS)):
            moved = model(*rows.with_other_token(column, 2).inputs()) - before
            assert moved[2].abs() > 1e-4, f"column {column} is not read"
            assert moved[[0, 1, 3, 4, 5]].abs().max() < 1e-5, "rows see each other"

    def test_logits_do_not_depend_on_the_batch(self, variant: Mapping[str, Any], features: str) -> None:
        dense, bags = _FEATURES[features]
        model, rows = self.made(self.bank(), variant, features).eval(), planted(9, dense_features=dense, bags=bags)
        together, order = model(*rows.inputs()), [4, 8, 0, 3, 1, 7, 2, 6, 5]
        torch.testing.assert_close(model(*rows.rows(order).inputs()), together[order], rtol=1e-5, atol=1e-6)
        alone = torch.cat([model(*rows.rows([i]).inputs()) for i in range(9)])
        torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-6)

    def test_bags_of_one_are_ids(self, variant: Mapping[str, Any]) -> None:
        model, rows = self.made(self.mixed(), variant, "dense").eval(), planted(9, dense_features=3, bags=False)
        assert torch.equal(model(*rows.as_bags().inputs()), model(*rows.inputs()))

    def test_nets_do_not_grow_with_rows(self, variant: Mapping[str, Any], method: str) -> None:
        few, many = (
            self.made(build(self.sized(method, rows=rows), seed=0, device="meta"), variant, "dense")
            for rows in (60, 10**9)
        )
        found = [
            {n: t.shape for n, t in [*m.named_parameters(), *m.named_buffers()] if not n.startswith("bank.")}
            for m in (few, many)
        ]
        assert found[0] == found[1]
        assert few.dense_bytes() == many.dense_bytes()

    def test_values_come_from_the_seed_alone(self, variant: Mapping[str, Any]) -> None:
        before, bank = torch.get_rng_state(), self.bank()
        one, same, other = (self.made(bank, variant, "dense", seed=s).nets() for s in (1, 1, 2))
        assert torch.equal(before, torch.get_rng_state()), "drawn from the global generator"
        assert all(torch.equal(t, same[name]) for name, t in one.items())
        assert not all(torch.equal(t, other[name]) for name, t in one.items()), "whatever the seed"

    def test_is_described_without_memory(self, variant: Mapping[str, Any], features: str) -> None:
        bank = self.bank()
        with torch.device("meta"):
            described = self.made(bank, variant, features).nets()
        assert all(t.is_meta for t in described.values()), "takes memory before anybody could refuse"
        built = self.made(bank, variant, features).nets()
        assert {n: t.shape for n, t in built.items()} == {n: t.shape for n, t in described.items()}
        assert not any(t.is_meta for t in built.values())

    def test_dropout_depends_on_seed_and_step_alone(self, variant: Mapping[str, Any]) -> None:
        model = self.made(self.bank(), {**variant, "dropout": 0.5}, "dense")
        before, first = torch.get_rng_state(), self.logits(model, "dense")
        assert torch.equal(self.logits(model, "dense"), first), "a resumed step leaves out what the first one did"
        without = self.logits(self.made(model.bank, variant, "dense").eval(), "dense")
        model.bank.steps += 1
        another = self.logits(model, "dense")
        assert torch.equal(first, without) == torch.equal(another, first), "what is left out never changes"
        assert torch.equal(before, torch.get_rng_state()), "drawn from the global generator"
        assert torch.equal(self.logits(model.eval(), "dense"), without), "something is left out while serving"

    def test_bfloat16_nets_still_return_float32(self, variant: Mapping[str, Any], features: str) -> None:
        model = self.made(self.bank(), variant, features).eval()
        with torch.autocast("cpu", torch.bfloat16):
            low = self.logits(model, features)
        assert low.dtype == torch.float32
        torch.testing.assert_close(low, self.logits(model, features), rtol=0.05, atol=0.1)

    def test_nets_are_held_in_bfloat16(self, variant: Mapping[str, Any], features: str) -> None:
        model = self.made(self.bank(), variant, features).eval()
        before, bytes_before = self.logits(model, features), model.dense_bytes()
        low = model.with_nets_in(torch.bfloat16)
        rounded = {name: t.bfloat16() for name, t in model.nets().items()}
        assert all(t.dtype is torch.bfloat16 and torch.equal(t, rounded[name]) for name, t in low.nets().items())
        assert 2 * low.dense_bytes() == model.dense_bytes() == bytes_before
        assert low.bank is model.bank, "shared, not copied"
        assert low.with_nets_in(torch.bfloat16) is low
        widened = low.with_nets_in(torch.float32)
        dense, bags = _FEATURES[features]
        for count in (0, 1, 2, 12):
            inputs = planted(count, dense_features=dense, bags=bags).inputs()
            for plain in (False, True):
                low.plain = widened.plain = plain
                with torch.no_grad():
                    found = low(*inputs)
                    torch.testing.assert_close(found, widened(*inputs), rtol=1e-5, atol=1e-6)
                assert found.dtype == torch.float32
        torch.testing.assert_close(self.logits(low, features), before, rtol=0.05, atol=0.1)
        assert torch.equal(self.logits(model, features), before), "the model itself is left alone"
        if rounded:  # a model may have no nets
            refusal(OptionError, low.dense_parameters, "with_nets_in")
        assert len(widened.dense_parameters()) == len(model.dense_parameters())

    def test_freezing_stays_within_tolerance(self, variant: Mapping[str, Any], storage: str) -> None:
        features = "dense_and_bags"
        model = self.made(self.bank(storage=storage), variant, features).eval()
        served = model.with_bank(freeze(model.bank))
        limit = _TOLERANCE.get(storage, 0.1)
        torch.testing.assert_close(self.logits(served, features), self.logits(model, features), rtol=limit, atol=limit)
        assert model.bank.form == "train", "the model itself is left alone"
        assert all(served.nets()[name] is tensor for name, tensor in model.nets().items()), "shared, not copied"

    def test_state_round_trips_through_an_artifact(
        self, variant: Mapping[str, Any], storage: str, tmp_path: Path
    ) -> None:
        features = "dense_and_bags"
        model = self.made(self.bank(storage=storage), variant, features, seed=4).eval()
        served = model.with_bank(freeze(model.bank))
        if storage == "bfloat16":
            served = served.with_nets_in(torch.bfloat16)
        nets = {name: t.detach() for name, t in served.nets().items()}
        save_artifact(tmp_path / "m", Manifest(kind="model"), {"tables": served.bank.tensors(), "nets": nets})
        artifact = load_artifact(tmp_path / "m")
        bank = attach(served.bank.sizing, artifact.tensors("tables"))
        known: dict[str, Any] = {"dense_features": model.dense_features, "config": model.config}
        again = self.model.from_nets(bank, **known, nets=artifact.tensors("nets")).eval()
        assert all(t.dtype is nets[name].dtype and torch.equal(t, nets[name]) for name, t in again.nets().items())
        assert torch.equal(self.logits(again, features), self.logits(served, features))
        name, tensor = next(iter(nets.items()))
        for wrong in (
            {n: t for n, t in nets.items() if n != name},
            {**nets, name: tensor[:0]},
            {**nets, "more": tensor},
            {**nets, name: tensor.half()},
        ):
            refusal(OptionError, lambda: self.model.from_nets(bank, **known, nets=wrong), "nets of another model")  # noqa: B023

    def test_runs_where_only_torch_is(self, variant: Mapping[str, Any], tmp_path: Path) -> None:
        cases = []
        for bank, features in (
            (self.bank(), "dense"), (self.bank("robe", "int8"), "bags"), (self.mixed(), "dense_and_bags"),
        ):  # fmt: skip
            dense, bags = _FEATURES[features]
            model = self.made(freeze(bank), variant, features).eval()
            if features == "bags":
                model = model.with_nets_in(torch.bfloat16)
            batches = [planted(n, dense_features=dense, bags=bags, seed=n).inputs() for n in (7, 1)]
            cases.append((model, batches))
        for (model, batches), found in zip(cases, scores_elsewhere(cases, tmp_path), strict=True):
            for inputs, logits in zip(batches, found, strict=True):
                torch.testing.assert_close(logits, model(*inputs), rtol=1e-5, atol=1e-6, msg="another score elsewhere")


def _label(variant: object) -> str:
    """How a variant is called in the name of a test."""
    assert isinstance(variant, dict)
    return ",".join(f"{name}={value}" for name, value in variant.items()) or "default"
