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
from pocketrec.compress.methods.pep import METHOD
from pocketrec.compress.parts.pruned_rows import masks
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import IdSpace, TableSpec
from pocketrec.testing.cases import groups_of, learn, random_batch, zipf_stats
from pocketrec.testing.method_contract import MethodContract

TABLES = [TableSpec(name="a", rows=300, dim=16), TableSpec(name="b", rows=60, dim=16)]
NUMBERS = 360 * 16
GRANULARITIES = ("global", "dimension", "feature", "element")


class TestPEP(MethodContract):
    method = METHOD
    variants = ({}, {"threshold": "element", "start": -4.0, "retrain": "inherit"})

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
        """What is held is the nearest float16, all else is zero before and after."""
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        bank = self.bank(sizing, steps=2).eval()
        ids = random_batch(sizing, 5).ids
        assert torch.equal(freeze(bank)(ids), bank(ids).detach().half().float())


def sized(budget: str | int = "10x", tables: list[TableSpec] = TABLES, **options: Any) -> Sizing:
    optimizer = options.pop("optimizer", OptimizerSpec(name="sgd", lr=0.1))
    return size(tables, budget, "pep", optimizer=optimizer, **options)


def searching(budget: str = "10x", *, seed: int = 0, **options: Any) -> tuple[Bank, Group]:
    bank = build(stages(sized(budget, **options))[0][1], seed=seed)
    (group,) = groups_of(bank)
    return bank, group


def retraining(bank: Bank, budget: str = "10x", *, seed: int = 0, **options: Any) -> Bank:
    return build(settled(bank, stages(sized(budget, **options))[-1][1]), seed=seed, previous=bank)


def ids_of(step: int) -> Tensor:
    draw = torch.Generator().manual_seed(step)
    return torch.stack([(t.closed_rows * torch.rand(32, generator=draw) ** 3).long() for t in TABLES], dim=1)


def train(bank: Bank, steps: int, *, first: int = 0) -> None:
    for step in range(first, first + steps):
        ids = ids_of(step)
        learn(bank, SimpleNamespace(ids=ids, factors=0.01 * torch.randn(32, 2, 16, generator=_draw(step))))  # type: ignore[arg-type]  # what is asked of it


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def everything(bank: Bank) -> Tensor:
    with torch.no_grad():
        return torch.cat([bank.rows("a", 0, 300), bank.rows("b", 0, 60)])


def mask_of(bank: Bank) -> Tensor:
    return torch.cat([mask for _, mask in masks(bank.tensors()["0.kept"], 16)])


def thresholds(group: Group, rows: Tensor) -> Tensor:
    """s as a dense [360, 16] of the parameters, differentiable."""
    own = group.tensor("threshold") if rows.shape[1] == 16 else rows[:, 16:]
    return (group.method.speed * own).expand(360, 16)  # type: ignore[attr-defined]  # that of PEP


# -- the search ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", GRANULARITIES)
def test_the_gradient_is_that_of_a_dense_soft_threshold(threshold: str) -> None:
    """By autograd on whole tables, as the paper writes it; the loss of decay is of the thresholds that were read."""
    options = {"threshold": threshold, "start": -3.0, "decay": 0.01, "speed": 2.0, "init": 0.1}
    bank, group = searching(**options)
    with torch.no_grad():  # not all alike
        held = group.tensor("rows")[:, 16:] if threshold in ("feature", "element") else group.tensor("threshold")
        held += 0.3 * torch.randn(held.shape, generator=_draw(5))
    ids = ids_of(0) + torch.tensor([0, 0])
    factors = torch.randn(32, 2, 16, generator=_draw(1))
    rows = group.tensor("rows").detach().clone().requires_grad_()
    matrix = group.tensor("threshold").detach().clone().requires_grad_() if rows.shape[1] == 16 else None
    s = 2.0 * (matrix if matrix is not None else rows[:, 16:])
    dense = torch.sign(rows[:, :16]) * torch.relu(rows[:, :16].abs() - torch.sigmoid(s))
    places = ids + torch.tensor([0, 300])
    read = s if matrix is not None else s[places.unique()]
    ((dense[places] * factors).sum() + 0.005 * read.square().sum()).backward()

    found = bank(ids)
    torch.testing.assert_close(found, dense[places].detach())
    assert 0.1 < (found == 0).float().mean() < 0.9
    (found * factors).sum().backward()
    bank.collect()
    pairs = torch.zeros_like(rows)
    pairs[bank.pending[0].addresses] = bank.pending[0].grads
    torch.testing.assert_close(pairs, rows.grad)
    if matrix is not None:
        torch.testing.assert_close(bank.matrices()[0].grad, matrix.grad)
        assert matrix.grad is not None
        assert matrix.shape == ((1, 16) if threshold == "dimension" else (1, 1))


def test_what_is_below_its_threshold_has_no_gradient_and_raises_nothing() -> None:
    bank, group = searching(start=0.0, decay=0.0, init=0.4)  # sigmoid(0) is a half
    ids = ids_of(0)
    assert not bank(ids).any()
    bank(ids).sum().backward()
    bank.collect()
    assert not bank.pending[0].grads.any()
    assert group.tensor("threshold").grad == 0


@pytest.mark.parametrize("start", [-15.0, -150.0])
def test_decay_alone_moves_a_threshold_that_is_zero_in_float32(start: float) -> None:
    """Of -150 the sigmoid is 0 and so is its gradient; of -15 it is 3e-7."""
    bank, group = searching(start=start, decay=1e-5)
    (bank(ids_of(0)) * 0.01).sum().backward()
    (threshold,) = bank.matrices()
    assert threshold.grad is not None
    torch.testing.assert_close(threshold.grad, torch.tensor([[1e-5 * start]]), rtol=1e-2, atol=0)
    torch.testing.assert_close(
        bank(ids_of(0)).detach(), group.tensor("rows").detach()[ids_of(0) + torch.tensor([0, 300])], atol=1e-6, rtol=0
    )


def test_the_published_settings_are_the_defaults() -> None:
    method = METHOD()
    assert (method.start, method.decay, method.retrain, method.speed) == (-15.0, 1e-5, "initial", 1.0)
    (note,) = sized().notes
    assert "% of all numbers become zeros. A threshold that begins at -15 and moves by 0.001 a step" in note
    assert "is at a magnitude of 0.003 after 9,194 steps." in note
    assert sized("1x", tables=TABLES[:1]).notes == (), "nothing is pruned"


@pytest.mark.parametrize("threshold", GRANULARITIES)
def test_it_counts_what_is_left(threshold: str) -> None:
    bank, group = searching(threshold=threshold, start=-3.0, init=0.1)
    with torch.no_grad():
        group.tensor("rows")[:, 16:] += torch.randn(group.tensor("rows")[:, 16:].shape, generator=_draw(1))
    assert METHOD(threshold=threshold).left(group) == int((everything(bank) != 0).sum())  # type: ignore[arg-type]  # one of them


def test_it_stops_once_no_more_numbers_are_left_than_the_budget_holds() -> None:
    bank, group = searching("4x", start=-3.0, decay=1.0, init=0.1, every=2)
    target, counts = int(group.sizing.settings["nonzeros"]), []
    for step in range(40):
        bank.begin_step(step=step, rows=32 * step)
        if int(group.tensor("reached")):
            break
        counts.append(int((everything(bank) != 0).sum()))
        train(bank, 1, first=step)
    assert step % 2 == 0, "it looks at every second step"
    assert 4 < step < 40
    # counts[n] is before step n; the one that stopped it is of now
    assert all(count > target for count in counts[::2])
    assert int((everything(bank) != 0).sum()) <= target
    before = {name: t.clone() for name, t in bank.tensors().items()}
    found = bank(ids_of(3))
    assert not found.requires_grad, "from now on nothing moves"
    bank.step()
    assert all(torch.equal(t, bank.tensors()[name]) for name, t in before.items() if name != "steps")


# -- the mask --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", GRANULARITIES)
@pytest.mark.parametrize("start", [-15.0, -0.5], ids=["prunes too few", "prunes too many"])
def test_just_the_budgets_numbers_are_kept_those_farthest_above_their_thresholds(threshold: str, start: float) -> None:
    options = {"threshold": threshold, "start": start, "init": 0.4, "retrain": "inherit"}
    bank, group = searching(**options)
    with torch.no_grad():
        held = group.tensor("rows")[:, 16:] if threshold in ("feature", "element") else group.tensor("threshold")
        held += 0.1 * torch.randn(held.shape, generator=_draw(5))
    train(bank, 20)
    rows = group.tensor("rows").detach()
    margins = (rows[:, :16].abs() - torch.sigmoid(thresholds(group, rows))).detach()
    after, kept = retraining(bank, **options), int(sized(**options).groups[0].settings["nonzeros"])
    assert ((margins > 0).sum() < kept) == (start == -0.5)
    mask = mask_of(after)
    assert int(mask.sum()) == kept
    assert margins[mask].min() >= margins[~mask].max() - 1e-6
    soft = rows[:, :16].sign() * margins.clamp(min=0)
    assert torch.equal(everything(after), after.tensors()["0.rows"])
    torch.testing.assert_close(everything(after), soft * mask, rtol=1e-6, atol=1e-7)


def test_the_mask_is_one_in_training_eval_frozen_and_the_file(tmp_path: Path) -> None:
    bank, _ = searching()
    train(bank, 20)
    after = retraining(bank)
    mask = mask_of(after)
    for step in range(20, 40):
        train(after, 1, first=step)
        assert torch.equal(everything(after) != 0, mask)
    assert torch.equal(mask_of(after), mask)
    after.eval()
    assert torch.equal(everything(after) != 0, mask)
    served = freeze(after)
    assert torch.equal(everything(served) != 0, mask)
    assert torch.equal(everything(served), everything(after).half().float())
    assert served.held_bytes() == served.sizing.serve_bytes == sized().serve_bytes <= sized().budget_bytes
    safetensors.torch.save_file(served.tensors(), file := tmp_path / "tables.safetensors")
    again = attach(Sizing.from_json(served.sizing.to_json()), safetensors.torch.load_file(file))
    assert torch.equal(everything(again), everything(served))


@pytest.mark.parametrize("optimizer", ["sgd", "rowwise_adagrad", "adagrad", "adam"])
def test_neither_decay_nor_momentum_wakes_what_is_pruned(optimizer: Any) -> None:
    options = {"optimizer": OptimizerSpec(name=optimizer, lr=0.05, l2=0.1)}
    bank, _ = searching(**options)
    train(bank, 10)
    after = retraining(bank, **options)
    mask, before = mask_of(after), after.tensors()["0.rows"].clone()
    train(after, 10, first=10)
    rows = after.tensors()["0.rows"]
    assert not rows[~mask].any()
    assert (rows != before)[mask].float().mean() > 0.3


def test_training_bytes_are_those_of_thresholds_and_their_state_too() -> None:
    adam = OptimizerSpec(name="adam")
    numbers = {"global": NUMBERS, "dimension": NUMBERS, "feature": NUMBERS + 360, "element": 2 * NUMBERS}
    matrix = {"global": 4, "dimension": 64, "feature": 0, "element": 0}
    for threshold in GRANULARITIES:
        (_, search), (_, last) = stages(sized(threshold=threshold, optimizer=adam))
        assert search.train_bytes == 3 * 4 * numbers[threshold] + matrix[threshold] + 8
        assert build(search, seed=0).held_bytes() == search.train_bytes
        assert last.train_bytes == 3 * 4 * NUMBERS + 360 * 2, "rows, their state, and a bit per number"


# -- what the last stage begins with ---------------------------------------------------------------------------------


def test_the_stage_says_what_it_begins_with() -> None:
    for retrain, begin in (("initial", "initial"), ("fresh", "fresh"), ("inherit", "warm")):
        (search, _), (last, _) = stages(sized(retrain=retrain, search_epochs=3))
        assert (search.name, search.epochs, last.name, last.begin, last.optimizer) == (
            "search", 3, "retrain", begin, "reset",
        )  # fmt: skip


@pytest.mark.parametrize("threshold", GRANULARITIES)
def test_values_that_begin_anew_are_those_of_the_search_under_the_mask(threshold: str) -> None:
    """As the trainer does it: the run's seed again."""
    bank, group = searching(seed=3, threshold=threshold)
    initial = group.tensor("rows").detach()[:, :16].clone()
    train(bank, 30)
    after = retraining(bank, threshold=threshold)
    mask = mask_of(after)
    begin_anew(after, seed=3)
    assert torch.equal(mask_of(after), mask)
    assert torch.equal(after.tensors()["0.rows"], initial * mask)
    begin_anew(after, seed=4)
    assert torch.equal(mask_of(after), mask)
    assert (after.tensors()["0.rows"] != initial)[mask].all()


def test_without_a_search_every_dimension_has_as_many_numbers_and_frequent_ids_one_more() -> None:
    bank = build(sized("10x"), seed=0)
    kept, mask = int(bank.sizing.groups[0].settings["nonzeros"]), mask_of(bank)
    each, over = divmod(kept, 360)
    assert mask.sum(dim=1).tolist() == [each + 1] * over + [each] * (360 - over)
    assert mask.sum(dim=0).max() - mask.sum(dim=0).min() <= 1 + over
    assert torch.equal(everything(bank) != 0, mask)


def test_dense_tables_keep_their_largest_numbers() -> None:
    bank = build(sized(), seed=0)
    dense = {t.name: torch.randn(t.closed_rows, 16, generator=_draw(t.closed_rows)) for t in TABLES}
    (group,) = groups_of(bank)
    with torch.no_grad():
        METHOD().from_dense(group, dense)
    whole, kept = torch.cat(list(dense.values())), int(group.sizing.settings["nonzeros"])
    largest = whole.abs().flatten().topk(kept).values[-1]
    assert torch.equal(everything(bank), whole * (whole.abs() >= largest))
    for threshold in GRANULARITIES:
        bank, group = searching(threshold=threshold)
        with torch.no_grad():
            METHOD(threshold=threshold).from_dense(group, dense)  # type: ignore[arg-type]  # one of them
        torch.testing.assert_close(everything(bank), whole, atol=1e-6, rtol=0)


# -- going on --------------------------------------------------------------------------------------------------------


def test_what_was_settled_is_not_searched_again() -> None:
    bank, _ = searching()
    train(bank, 5)
    after = retraining(bank)
    assert after.sizing.groups[0].settings["settled"]
    again = Sizing.from_json(after.sizing.to_json())
    assert [(stage.name, stage.begin) for stage, _ in stages(again)] == [("retrain", "warm")]
    train(after, 5)
    tomorrow = build(again, seed=9, previous=after)
    assert all(torch.equal(t, tomorrow.tensors()[name]) for name, t in after.tensors().items())
    with pytest.raises(OptionError, match="pep cannot search again what was pruned"):
        build(bank.sizing, seed=0, previous=after)


def test_a_search_that_nobody_ended_is_frozen_to_what_it_found() -> None:
    bank, _ = searching()
    train(bank, 20)
    served = freeze(bank)
    kept = int(sized().groups[0].settings["nonzeros"])
    vectors = everything(bank.eval())
    largest = torch.zeros_like(vectors).flatten()
    places = vectors.flatten().abs().topk(kept).indices
    largest[places] = vectors.flatten()[places].half().float()
    assert torch.equal(everything(served).flatten(), largest)
    assert served.held_bytes() == served.sizing.serve_bytes == sized().serve_bytes


@pytest.mark.parametrize("stop", [3, 8, 15])
def test_a_search_resumes_exactly(stop: int) -> None:
    sizing = stages(sized("4x", start=-3.0, decay=1.0, init=0.1, every=2))[0][1]
    through, other = build(sizing, seed=0), build(sizing, seed=0)
    for bank, steps in ((through, range(20)), (other, range(stop))):
        _run(bank, steps)
    other = attach(sizing, {name: t.clone() for name, t in other.tensors().items()}, form="train")
    _run(other, range(stop, 20))
    assert int(through.tensors()["0.reached"])
    for name, tensor in through.tensors().items():
        assert torch.equal(tensor, other.tensors()[name]), name


def _run(bank: Bank, steps: range) -> None:
    for step in steps:
        bank.begin_step(step=step, rows=32 * step)
        if not int(bank.tensors()["0.reached"]):
            train(bank, 1, first=step)


def test_groups_of_equal_options_are_searched_as_one_within_their_bytes() -> None:
    one, other = sized("4x", TABLES[:1]), sized("20x", TABLES[1:])
    both = join([one, other], ["a", "b"], one.serve_bytes + other.serve_bytes)
    (_, search), (_, promised) = stages(both)
    assert len(search.groups) == 1
    bank = build(search, seed=0)
    exact = settled(bank, promised)
    assert len(exact.groups) == 1
    after = build(exact, seed=0, previous=bank)
    served = freeze(after)
    assert served.held_bytes() == exact.serve_bytes <= both.serve_bytes
    assert int(mask_of(after).sum()) == exact.groups[0].settings["nonzeros"]


def test_it_may_hold_the_rare_ids_of_another_method() -> None:
    tables = [replace(table, ids="rank") for table in TABLES]
    inside = {"start": -3.0, "speed": 5.0, "init": 0.1}
    sizing = size(tables, "8x", "offline_split", stats=zipf_stats(tables), cold="pep", cold_options=inside)
    bank: Bank | None = None
    for stage, planned in stages(sizing):
        held = planned if bank is None else settled(bank, planned)
        assert [group.joins for group in held.groups] == ["alone", "rest"], stage.name
        bank = build(held, seed=0, previous=bank)
        train(bank, 10)
    assert bank is not None
    assert "1.kept" in bank.tensors()
    frozen = freeze(bank)
    assert frozen.held_bytes() == sizing.serve_bytes <= sizing.budget_bytes
    ids = torch.stack([torch.arange(300), torch.arange(300) % 60], dim=1)
    torch.testing.assert_close(frozen(ids), bank.eval()(ids).detach(), rtol=2**-11, atol=1e-7)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"storage": "int8"}, "storage must be 'float16', got 'int8'"),
        ({"start": float("nan")}, "start must be finite"),
        ({"speed": 0.0}, "speed must be above 0"),
        ({"decay": -1.0}, "decay must be 0 or more"),
        ({"search_epochs": 0}, "search_epochs must be 1 or more"),
        ({"every": 0}, "every must be 1 or more"),
        ({"threshold": "row"}, "threshold"),
        ({"retrain": "never"}, "retrain"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        of("pep", options)


def test_a_row_of_more_numbers_than_a_place_can_name_is_refused() -> None:
    with pytest.raises(OptionError, match="pep takes vectors of at most 65,536 numbers, table 'wide' has 65,537"):
        sized("2x", [TableSpec(name="wide", rows=3, dim=65_537)])
