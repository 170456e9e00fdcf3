from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, join, of, settled, size, stages
from pocketrec.compress.build import begin_anew
from pocketrec.compress.group import Group
from pocketrec.compress.methods.autosrh import METHOD
from pocketrec.compress.moves import move_matrices
from pocketrec.compress.parts.pruned_rows import masks
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import IdSpace, TableSpec
from pocketrec.testing.cases import groups_of, learn, random_batch, zipf_stats
from pocketrec.testing.method_contract import MethodContract

TABLES = [TableSpec(name="a", rows=300, dim=16, ids="rank"), TableSpec(name="b", rows=60, dim=16, ids="rank")]
NUMBERS = 360 * 16
ORDERS = ("prune", "retrain")


class TestAutoSrh(MethodContract):
    method = METHOD
    variants = ({}, {"order": "retrain", "warm_epochs": 0, "bands": 3})

    def test_values_come_from_the_seed_alone(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        """Those of the numbers that are kept: all others are zero, whatever the seed."""
        sizing = self.sized(variant, space)
        torch.manual_seed(1)
        first = self.bank(sizing, seed=5).tensors()
        torch.manual_seed(2)
        second, other = self.bank(sizing, seed=5).tensors(), self.bank(sizing, seed=6).tensors()
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
        either = (first["0.rows"] != 0) | (other["0.rows"] != 0)
        assert (first["0.rows"] != other["0.rows"])[either].float().mean() > 0.9

    def test_freezing_stays_within_a_step(self, variant: Mapping[str, Any], storage: str) -> None:
        """What is held is the nearest float16, all else is zero, and nothing of larger magnitude."""
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        bank = self.bank(sizing, steps=2).eval()
        served, ids = freeze(bank), random_batch(sizing, 5).ids
        exact, near = bank(ids).detach(), served(ids)
        held = near != 0
        assert torch.equal(near[held], exact[held].half().float())
        assert exact[~held].abs().max() <= exact[held].abs().min()
        assert bool(exact[~held].any()) == (variant.get("order") == "retrain")


def sized(budget: str | int = "10x", tables: list[TableSpec] = TABLES, **options: Any) -> Sizing:
    optimizer = options.pop("optimizer", OptimizerSpec(name="sgd", lr=0.1))
    stats = options.pop("stats", zipf_stats(tables))
    return size(tables, budget, "autosrh", stats=stats, optimizer=optimizer, **options)


def searching(budget: str = "10x", **options: Any) -> tuple[Bank, Group]:
    bank = build(stages(sized(budget, **options))[0][1], seed=0)
    (group,) = groups_of(bank)
    return bank, group


def retraining(bank: Bank, budget: str = "10x", **options: Any) -> Bank:
    return build(settled(bank, stages(sized(budget, **options))[-1][1]), seed=0, previous=bank)


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ids_of(step: int) -> Tensor:
    draw = _draw(step)
    return torch.stack([(t.closed_rows * torch.rand(32, generator=draw) ** 3).long() for t in TABLES], dim=1)


def train(bank: Bank, steps: int, *, first: int = 0) -> None:
    for step in range(first, first + steps):
        factors = 0.01 * torch.randn(32, 2, 16, generator=_draw(step))
        learn(bank, SimpleNamespace(ids=ids_of(step), factors=factors))  # type: ignore[arg-type]  # what is asked of it


def everything(bank: Bank) -> Tensor:
    with torch.no_grad():
        return torch.cat([bank.rows("a", 0, 300), bank.rows("b", 0, 60)])


def every_band(group: Group) -> Tensor:
    """Of all rows, int64 [360]."""
    return torch.cat(
        [
            METHOD().bands_of(group, torch.arange(t.closed_rows), torch.full((t.closed_rows,), number))
            for number, t in enumerate(TABLES)
        ]
    )


def choose(group: Group) -> Tensor:
    """Alphas as a search would leave them, of all rows: float32 [360, 16]."""
    alpha = torch.rand(group.tensor("alpha").shape, generator=_draw(3))
    group.tensor("alpha").data.copy_(alpha)
    return alpha[every_band(group)]


# -- bands -----------------------------------------------------------------------------------------------------------


def test_bands_have_equal_shares_and_ids_of_one_count_stay_together() -> None:
    """Of 12 ids in three bands, 4 each: but five occur once, and two three times."""
    tables = [replace(TABLES[0], name="t", rows=13)]
    counts = [9, 8, 7, 3, 3, 2, 2, 1, 1, 1, 1, 1]
    sizing = sized("2x", tables, stats={"t": TableStats.of_counts("t", counts)}, bands=3)
    assert sizing.groups[0].tables[0].settings["ends"] == [7, 3]
    bank = build(stages(sizing)[0][1], seed=0)
    (group,) = groups_of(bank)
    found = METHOD().bands_of(group, torch.arange(13), torch.zeros(13, dtype=torch.int64))
    # 13 with id 0, whose count is 0: the rarest take 5 or more, and so many end with those that occur once
    assert found.tolist() == [0, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_bands_are_of_all_tables_together() -> None:
    """A table of frequent ids alone is in the upper bands."""
    tables = [replace(TABLES[0], rows=101), replace(TABLES[1], rows=51)]
    stats = {"a": TableStats.of_counts("a", range(1, 101)), "b": TableStats.of_counts("b", range(1001, 1051))}
    sizing = sized("4x", tables, stats=stats)
    a, b = (t.settings["ends"] for t in sizing.groups[0].tables)
    assert sizing.groups[0].settings["bands"] == 6
    sizes = [152 - (a[0] + b[0]), *((a[i] + b[i]) - (a[i + 1] + b[i + 1]) for i in range(4)), a[4] + b[4]]
    assert sizes == [26, 26, 25, 25, 25, 25]
    assert b == [50, 50, 50, 50, 25]


@pytest.mark.parametrize(("counts", "bands"), [([1] * 50, 1), ([5] * 30 + [1] * 20, 2), (list(range(100, 50, -1)), 6)])
def test_there_are_fewer_bands_where_counts_are_alike(counts: list[int], bands: int) -> None:
    tables = [replace(TABLES[0], name="t", rows=51)]
    sizing = sized("4x", tables, stats={"t": TableStats.of_counts("t", counts)})
    assert sizing.groups[0].settings["bands"] == bands
    bank = build(stages(sizing)[0][1], seed=0)
    (group,) = groups_of(bank)
    found = METHOD().bands_of(group, torch.arange(51), torch.zeros(51, dtype=torch.int64))
    assert found.unique().tolist() == list(range(bands))
    by_count = {c: set(found[1:][torch.tensor(counts) == c].tolist()) for c in counts}
    assert all(len(seen) == 1 for seen in by_count.values()), "ids of one count are in one band"
    assert found[0] == 0
    assert (found[1:].diff() <= 0).all(), "ranks fall in frequency"
    assert group.tensor("alpha").shape == (bands, 16)


# -- the search ------------------------------------------------------------------------------------------------------


def test_the_gradient_is_that_of_dense_tables_times_alpha() -> None:
    bank, group = searching(l1=0.01)
    choose(group)
    bands = every_band(group)
    assert bands.unique().tolist() == list(range(6))
    rows, alpha = (group.tensor(n).detach().clone().requires_grad_() for n in ("rows", "alpha"))
    places, factors = ids_of(0) + torch.tensor([0, 300]), torch.randn(32, 2, 16, generator=_draw(1))
    dense = rows * alpha[bands]
    ((dense[places] * factors).sum() + 0.01 * alpha.abs().sum()).backward()
    found = bank(ids_of(0))
    assert torch.equal(found, dense[places].detach())
    (found * factors).sum().backward()
    bank.collect()
    pairs = torch.zeros_like(rows)
    pairs[bank.pending[0].addresses] = bank.pending[0].grads
    torch.testing.assert_close(pairs, rows.grad)
    torch.testing.assert_close(bank.matrices()[0].grad, alpha.grad)


def test_alpha_moves_by_the_gradient_over_its_bands_mean_and_stays_within_0_and_1() -> None:
    bank, group = searching(rate=0.05)
    choose(group)
    alpha = group.tensor("alpha")
    for step in range(40):
        before = alpha.detach().clone()
        (bank(ids_of(step)) * torch.randn(32, 2, 16, generator=_draw(step))).sum().backward()
        assert alpha.grad is not None
        gradient = alpha.grad.clone()
        move_matrices(bank, held_out=True)
        bank.discard()
        assert alpha.grad is None, "an optimizer that comes behind passes it by"
        wanted = before - 0.05 * gradient / (gradient.abs().mean(dim=1, keepdim=True) + 1e-8)
        torch.testing.assert_close(alpha.detach(), wanted.clamp(0, 1))
        # a band that no row asks for has the gradient of L1 alone, next to which 1e-8 counts
        assert ((wanted - before).abs().mean(dim=1) - 0.05).abs().max() < 1e-4, "every band moves as far in the mean"
    assert (alpha == 0).any()
    assert (alpha == 1).any()


def test_l1_alone_draws_alpha_to_zero_and_no_further() -> None:
    bank, group = searching(rate=0.3)
    for _ in range(5):
        (bank(ids_of(0)) * 0.0).sum().backward()
        move_matrices(bank, held_out=True)
        bank.discard()
    assert not group.tensor("alpha").any()


def test_it_rests_in_the_warm_up() -> None:
    bank, group = searching()
    (bank(ids_of(0)) * 1.0).sum().backward()
    move_matrices(bank, held_out=False)
    assert torch.equal(group.tensor("alpha"), torch.ones(6, 16))
    assert group.tensor("alpha").grad is None


def test_stages_are_a_warm_up_the_search_with_nets_at_rest_and_the_retraining() -> None:
    (warm, one), (search, two), (last, three) = stages(sized(warm_epochs=2, search_epochs=3))
    assert [(s.name, s.epochs, s.dense, s.held_out) for s in (warm, search, last)] == [
        ("warm", 2, True, ()), ("search", 3, False, ("alpha",)), ("retrain", None, True, ()),
    ]  # fmt: skip
    assert {s.optimizer for s in (warm, search, last)} == {"reset"}
    assert {s.begin for s in (warm, search, last)} == {"warm"}
    assert one == two
    assert one.train_bytes == NUMBERS * 4 + 6 * 16 * 4
    assert three.train_bytes == NUMBERS * 4 + 360 * 2, "rows, and a bit per number"
    assert [stage.name for stage, _ in stages(sized(warm_epochs=0))] == ["search", "retrain"]
    _, (_, code) = stages(sized(warm_epochs=0, order="retrain"))
    assert code.train_bytes == NUMBERS * 4 + 6 * 16 * 4


@pytest.mark.parametrize("order", ORDERS)
def test_the_last_stage_may_begin_with_the_runs_first_values_under_what_was_chosen(order: str) -> None:
    """As the trainer does it: the run's seed again."""
    for retrain, begin in (("inherit", "warm"), ("initial", "initial"), ("fresh", "fresh")):
        *_, (last, _) = stages(sized(order=order, retrain=retrain))
        assert last.begin == begin
    bank, group = searching(order=order, retrain="initial")
    initial = group.tensor("rows").detach().clone()
    train(bank, 5)
    alphas = choose(group)
    after = retraining(bank, order=order, retrain="initial")
    begin_anew(after, seed=0)
    chosen = alphas if order == "retrain" else torch.cat([m for _, m in masks(after.tensors()["0.kept"], 16)])
    assert torch.equal(everything(after), initial * chosen)


def test_the_warm_up_settles_nothing() -> None:
    plan = stages(sized())
    bank = build(plan[0][1], seed=0)
    train(bank, 5)
    assert settled(bank, plan[1][1]) == plan[1][1]
    after = build(settled(bank, plan[1][1]), seed=1, previous=bank)
    assert torch.equal(after.tensors()["0.rows"], bank.tensors()["0.rows"])
    assert settled(after, plan[2][1]).groups[0].settings["settled"]


# -- pruning ---------------------------------------------------------------------------------------------------------


def test_the_papers_order_prunes_the_products_and_retrains_what_is_left(tmp_path: Path) -> None:
    bank, group = searching()
    train(bank, 10)
    products = group.tensor("rows").detach() * choose(group)
    after, kept = retraining(bank), int(sized().groups[0].settings["nonzeros"])
    mask = torch.cat([part for _, part in masks(after.tensors()["0.kept"], 16)])
    assert int(mask.sum()) == kept
    assert products.abs()[mask].min() >= products.abs()[~mask].max()
    assert torch.equal(after.tensors()["0.rows"], products * mask)
    for step in range(10):
        train(after, 1, first=step)
        assert torch.equal(everything(after) != 0, mask), "in training"
    assert (everything(after) != products * mask).any()
    assert torch.equal(everything(after.eval()) != 0, mask)
    served = freeze(after)
    assert torch.equal(everything(served), everything(after).half().float())
    assert torch.equal(everything(served) != 0, mask)
    assert served.held_bytes() == served.sizing.serve_bytes == sized().serve_bytes <= sized().budget_bytes
    safetensors.torch.save_file(served.tensors(), file := tmp_path / "tables.safetensors")
    again = attach(Sizing.from_json(served.sizing.to_json()), safetensors.torch.load_file(file))
    assert torch.equal(everything(again), everything(served))


def test_the_programs_order_retrains_all_and_prunes_when_it_is_frozen() -> None:
    bank, group = searching(order="retrain")
    train(bank, 10)
    alphas = choose(group)
    after = retraining(bank, order="retrain")
    assert torch.equal(after.tensors()["0.alpha"], group.tensor("alpha"))
    assert after.matrices() == [], "alpha stays as it is"
    assert torch.equal(everything(after), group.tensor("rows").detach() * alphas)
    train(after, 10, first=10)
    assert torch.equal(after.tensors()["0.alpha"], group.tensor("alpha"))
    products, kept = after.tensors()["0.rows"] * alphas, int(sized().groups[0].settings["nonzeros"])
    found, wanted = everything(freeze(after)).flatten(), torch.zeros(NUMBERS)
    largest = products.abs().flatten().topk(kept).indices
    wanted[largest] = products.flatten()[largest].half().float()
    assert torch.equal(found, wanted)
    assert freeze(after).held_bytes() == sized(order="retrain").serve_bytes


@pytest.mark.parametrize("order", ORDERS)
def test_a_search_that_nobody_ended_is_frozen_to_the_largest_products(order: str) -> None:
    bank, group = searching(order=order)
    train(bank, 5)
    products = group.tensor("rows").detach() * choose(group)
    kept = int(sized().groups[0].settings["nonzeros"])
    served = freeze(bank)
    wanted = torch.zeros(NUMBERS)
    largest = products.abs().flatten().topk(kept).indices
    wanted[largest] = products.flatten()[largest].half().float()
    assert torch.equal(everything(served).flatten(), wanted)
    assert served.held_bytes() == served.sizing.serve_bytes == sized(order=order).serve_bytes


def test_dense_tables_keep_their_largest_numbers() -> None:
    dense = {t.name: torch.randn(t.closed_rows, 16, generator=_draw(t.closed_rows)) for t in TABLES}
    whole = torch.cat(list(dense.values()))
    for order in ORDERS:
        bank = build(sized(order=order), seed=0)
        (group,) = groups_of(bank)
        with torch.no_grad():
            group.method.from_dense(group, dense)
        kept = int(group.sizing.settings["nonzeros"])
        wanted = whole * (whole.abs() >= whole.abs().flatten().topk(kept).values[-1])
        assert torch.equal(everything(freeze(bank)), wanted.half().float())
    bank, group = searching()
    with torch.no_grad():
        METHOD().from_dense(group, dense)
    assert torch.equal(everything(bank), whole)


# -- going on --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_what_was_settled_is_not_searched_again(order: str) -> None:
    bank, group = searching(order=order)
    choose(group)
    after = retraining(bank, order=order)
    again = Sizing.from_json(after.sizing.to_json())
    assert [stage.name for stage, _ in stages(again)] == ["retrain"]
    train(after, 3)
    tomorrow = build(again, seed=9, previous=after)
    assert all(torch.equal(t, tomorrow.tensors()[name]) for name, t in after.tensors().items())
    with pytest.raises(OptionError, match="autosrh cannot search again what was pruned"):
        build(bank.sizing, seed=0, previous=after)


def test_groups_that_were_decided_on_apart_are_searched_as_one() -> None:
    """Each with bands of its own; one has fewer of them."""
    alike = {"b": TableStats.of_counts("b", [3] * 59)}
    one, other = sized("4x", TABLES[:1]), sized("20x", TABLES[1:], stats=alike)
    assert [s.groups[0].settings["bands"] for s in (one, other)] == [6, 1]
    both = join([one, other], ["a", "b"], one.serve_bytes + other.serve_bytes)
    plan = stages(both)
    assert [len(s.groups) for _, s in plan] == [1, 1, 2]
    bank = build(plan[0][1], seed=0)
    (group,) = groups_of(bank)
    assert not every_band(group)[300:].any()
    exact = settled(bank, plan[2][1])
    assert freeze(build(exact, seed=0, previous=bank)).held_bytes() == exact.serve_bytes <= both.serve_bytes


def test_it_may_hold_the_rare_ids_of_another_method() -> None:
    sizing = size(TABLES, "8x", "offline_split", stats=zipf_stats(TABLES), cold="autosrh")
    bank: Bank | None = None
    for stage, planned in stages(sizing):
        held = planned if bank is None else settled(bank, planned)
        assert [group.joins for group in held.groups] == ["alone", "rest"], stage.name
        bank = build(held, seed=0, previous=bank)
        train(bank, 5)
    assert bank is not None
    frozen = freeze(bank)
    assert frozen.held_bytes() == sizing.serve_bytes <= sizing.budget_bytes
    ids = torch.stack([torch.arange(300), torch.arange(300) % 60], dim=1)
    torch.testing.assert_close(frozen(ids), bank.eval()(ids).detach(), rtol=2**-11, atol=1e-7)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"storage": "int8"}, "storage must be 'float16', got 'int8'"),
        ({"bands": 0}, "bands must be 1 or more"),
        ({"warm_epochs": -1}, "warm_epochs must be 0 or more"),
        ({"search_epochs": 0}, "search_epochs must be 1 or more"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"l1": -1.0}, "l1 must be 0 or more"),
        ({"order": "both"}, "order"),
        ({"retrain": "never"}, "retrain"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        of("autosrh", options)
