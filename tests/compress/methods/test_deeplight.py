from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, size, stages
from pocketrec.compress.methods.deeplight import METHOD
from pocketrec.compress.parts.magnitude import SAMPLE
from pocketrec.compress.plain import PlainBank
from pocketrec.native import use_backend
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import IdSpace, TableSpec
from pocketrec.testing.cases import random_batch, zipf_stats
from pocketrec.testing.method_contract import MethodContract

TABLES = [TableSpec(name="a", rows=300, dim=16), TableSpec(name="b", rows=60, dim=16)]
NUMBERS = 360 * 16


class TestDeepLight(MethodContract):
    method = METHOD
    variants = ({}, {"warm_epochs": 0, "prune_epochs": 0, "every": 2, "period": 3})

    def test_values_come_from_the_seed_alone(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        """Before any stage begins with zeros."""
        super().test_values_come_from_the_seed_alone({**variant, "prune_epochs": 0}, space)

    def test_freezing_stays_within_a_step(self, variant: Mapping[str, Any], storage: str) -> None:
        """What is held is the nearest float16, all else is zero, and nothing of larger magnitude."""
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        bank = self.bank(sizing, steps=2).eval()
        served, ids = freeze(bank), random_batch(sizing, 5).ids
        exact, near = bank(ids).detach(), served(ids)
        held = near != 0
        assert torch.equal(near[held], exact[held].half().float())
        assert held.any()
        assert exact[~held].abs().max() <= exact[held].abs().min()


def sized(budget: str | int = "4x", tables: list[TableSpec] = TABLES, **options: Any) -> Sizing:
    chosen = {"warm_epochs": 0, "prune_epochs": 0, **options}
    return size(tables, budget, "deeplight", optimizer=OptimizerSpec(name="sgd", lr=0.1), **chosen)


def rows_of(bank: Bank) -> Tensor:
    return bank.tensors()["0.rows"]


def train(bank: Bank, steps: int, *, first: int = 0, factor: float = 0.01) -> None:
    """Steps with small gradients for ids of every frequency."""
    for step in range(first, first + steps):
        draw = torch.Generator().manual_seed(step)
        ids = torch.stack([(t.closed_rows * torch.rand(32, generator=draw) ** 3).long() for t in TABLES], dim=1)
        (bank(ids) * factor * torch.randn(32, 2, 16, generator=draw)).sum().backward()
        bank.step()


# -- the schedule ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", ["4x", "20x", "100x"])
def test_after_t_steps_a_share_of_r_times_1_minus_d_to_the_t_over_100_is_zero(budget: str) -> None:
    sizing = sized(budget)
    target = 1 - sizing.groups[0].settings["nonzeros"] / NUMBERS
    bank = build(sizing, seed=0)
    for done in range(10, 401, 10):
        train(bank, 10, first=done - 10)
        share = float((rows_of(bank) == 0).float().mean())
        assert abs(share - target * (1 - 0.99 ** (done / 100))) < 1e-3, f"after {done} steps"


def test_the_papers_figures_are_the_defaults() -> None:
    method = METHOD()
    assert (method.warm_epochs, method.prune_epochs, method.damping, method.period, method.every) == (
        2, 8, 0.99, 100, 10,
    )  # fmt: skip
    assert method._steps == 68_732
    assert 0.99 ** (method._steps / 100) <= 1e-3 < 0.99 ** ((method._steps - 1) / 100)
    (note,) = sized().notes
    assert "67.22% of all numbers become zeros, all but a thousandth of these within 68,732 steps" in note
    assert sized("1x", tables=[TableSpec(name="a", rows=300, dim=16)]).notes == (), "nothing is pruned"


def test_one_threshold_is_for_all_tables() -> None:
    bank = build(sized("4x", period=1, every=1, init=None), seed=0)
    rows = rows_of(bank)
    rows[:300] = 0.001 * torch.randn(300, 16)
    rows[300:] = torch.randn(60, 16)
    train(bank, 400, factor=0.0)
    assert (rows[:300] == 0).float().mean() > 0.6
    assert (rows[300:] != 0).float().mean() > 0.95


def test_numbers_that_were_pruned_may_grow_again() -> None:
    bank = build(sized("4x", damping=0.5, period=20), seed=0)
    train(bank, 100)
    rows = rows_of(bank)
    row = int((rows[1:300] == 0).sum(dim=1).argmax()) + 1
    pruned = rows[row] == 0
    assert pruned.sum() > 3
    for _ in range(30):
        (bank(torch.tensor([[row, 0]]))[0, 0] * -1.0).sum().backward()
        bank.step()
    assert (rows[row, pruned] != 0).all()
    assert (rows[row, pruned] > float(bank.tensors()["0.threshold"])).all()


def test_a_row_is_pruned_once_in_every_ten_steps() -> None:
    """Between, what was pruned adds its updates up."""
    bank = build(sized("4x", damping=0.5, period=20), seed=0)
    train(bank, 100)
    rows, row = rows_of(bank), 7
    pruned = rows[row] == 0
    assert pruned.any()
    seen = []
    for _ in range(20):  # far below the threshold, even ten of them together
        (bank(torch.tensor([[row, 0]]))[0, 0] * 1e-5).sum().backward()
        bank.step()
        seen.append(int((rows[row, pruned] != 0).sum()) > 0)
    assert seen[1:] == [True] * 8 + [False] + [True] * 9 + [False], "steps 110 and 120 prune"


# -- what a step costs -----------------------------------------------------------------------------------------------


def test_a_step_moves_what_it_touched_and_what_has_its_turn() -> None:
    table = [TableSpec(name="a", rows=3 * SAMPLE // 16 + 5, dim=16)]
    bank = build(sized("10x", table, damping=0.1, period=1, every=3), seed=0)
    rows, turn = rows_of(bank), SAMPLE // 16
    for step in range(1, 19):
        before = rows.clone()
        ids = torch.tensor([[step], [5 * step], [len(rows) - step]])
        (bank(ids) * 1e-9).sum().backward()
        bank.step()
        moved = (before != rows).any(dim=1)
        moved[ids[:, 0]] = False
        if step % 3:
            assert not moved.any()
            continue
        begin = (step // 3 - 1) % 4 * turn
        assert not moved[:begin].any()
        assert not moved[begin + turn :].any()
        assert moved[begin : begin + turn].float().mean() > 0.5 or step >= 12
    share = 1 - bank.sizing.groups[0].settings["nonzeros"] / rows.numel()
    assert abs(float((rows == 0).float().mean()) - share) < 0.02


def test_rows_that_are_touched_do_not_wait_for_their_turn() -> None:
    table = [TableSpec(name="a", rows=5 * SAMPLE // 16, dim=16)]
    bank = build(sized("10x", table, damping=0.1, period=1, every=2), seed=0)
    last = 4 * SAMPLE // 16
    for row in (last, last, last + 1):
        (bank(torch.tensor([[row]])) * 1e-9).sum().backward()
        bank.step()
    zeros = (rows_of(bank)[last : last + 3] == 0).sum(dim=1)
    assert (zeros[:2] > 8).all(), "at the step that found the threshold, and at the next one"
    assert zeros[2] == 0


# -- stages ----------------------------------------------------------------------------------------------------------


def test_it_warms_up_prunes_by_the_schedule_and_finishes() -> None:
    plan = stages(sized(warm_epochs=3, prune_epochs=4))
    found = [(stage.name, stage.epochs, stage.optimizer) for stage, _ in plan]
    assert found == [("warm", 3, "keep"), ("prune", 4, "keep"), ("finish", None, "keep")]
    (_, warm), (_, prune), (_, last) = plan
    assert warm.train_bytes == NUMBERS * 4
    assert prune.train_bytes == last.train_bytes == NUMBERS * 4 + 360 + 8 + 4
    assert warm.serve_bytes == prune.serve_bytes == last.serve_bytes
    kept = last.groups[0].settings["nonzeros"]

    bank = build(warm, seed=0)
    train(bank, 50)
    assert (rows_of(bank) != 0).all()

    before, bank = bank, build(prune, seed=0, previous=bank)
    assert torch.equal(rows_of(bank), rows_of(before))
    assert int(bank.steps) == 50
    train(bank, 10, first=50)
    share = float((rows_of(bank) == 0).float().mean())
    assert abs(share - (1 - kept / NUMBERS) * (1 - 0.99**0.1)) < 1e-3, "counted from the end of the warm-up"

    before, bank = bank, build(last, seed=0, previous=bank)
    largest = rows_of(before).abs().flatten().topk(kept).indices
    assert torch.equal(rows_of(bank).flatten().nonzero()[:, 0], largest.sort().values), "what is missing, at once"
    assert torch.equal(rows_of(bank).flatten()[largest], rows_of(before).flatten()[largest])
    for step in range(60, 100, 10):
        train(bank, 10, first=step)
        assert int((rows_of(bank) != 0).sum()) == kept, "and it stays so, after every tenth step"


@pytest.mark.parametrize(
    ("warm", "prune", "names"), [(0, 0, ["prune"]), (1, 0, ["warm", "prune"]), (0, 1, ["prune", "finish"])]
)
def test_stages_may_be_left_out(warm: int, prune: int, names: list[str]) -> None:
    sizing = sized(warm_epochs=warm, prune_epochs=prune)
    assert [stage.name for stage, _ in stages(sizing)] == names
    assert METHOD(warm_epochs=warm, prune_epochs=prune).traits.staged == (len(names) > 1)
    assert stages(sizing)[0][0].optimizer == ("reset" if len(names) == 1 else "keep")
    bank = build(stages(sizing)[-1][1], seed=0)
    train(bank, 10)
    assert (rows_of(bank) == 0).float().mean() < 1e-3, "who begins with the last stage has the schedule in it"


@pytest.mark.parametrize("options", [{}, {"warm_epochs": 1}, {"prune_epochs": 1}])
def test_what_is_frozen_holds_exactly_the_largest(options: dict[str, int]) -> None:
    sizing = sized("10x", **options)
    first = stages(sizing)[0][1]
    bank = build(first, seed=0)
    train(bank, 25)
    frozen = freeze(bank)
    kept = sizing.groups[0].settings["nonzeros"]
    table = torch.cat([frozen.rows("a", 0, 300), frozen.rows("b", 0, 60)])
    magnitudes = rows_of(bank).abs().flatten()
    expected = torch.zeros(NUMBERS)
    largest = magnitudes.topk(kept).indices
    expected[largest] = rows_of(bank).flatten()[largest].half().float()
    assert torch.equal(table.flatten(), expected)
    assert frozen.held_bytes() == frozen.sizing.serve_bytes == sizing.serve_bytes <= sizing.budget_bytes
    assert frozen.tensors()["0.entries"].shape[0] == kept
    assert frozen.sizing.groups[0].settings == sizing.groups[0].settings


@pytest.mark.parametrize("stop", [3, 10, 17, 20, 33])
def test_it_resumes_exactly(stop: int) -> None:
    sizing = replace(sized("10x", period=10))
    through, other = build(sizing, seed=0), build(sizing, seed=0)
    train(through, 40)
    train(other, stop)
    other = attach(sizing, {name: t.clone() for name, t in other.tensors().items()}, form="train")
    train(other, 40 - stop, first=stop)
    for name, tensor in through.tensors().items():
        assert torch.equal(tensor, other.tensors()[name]), name


def test_it_may_hold_the_rare_ids_of_another_method() -> None:
    """Which is asked for the rest, so a store is read beside rows; who prunes is told of its own ids only."""
    tables = [replace(table, ids="rank") for table in TABLES]
    inside = {"warm_epochs": 1, "prune_epochs": 0, "damping": 0.1, "period": 1, "every": 1}
    options = {"cold": "deeplight", "cold_options": inside}
    sizing = size(tables, "8x", "offline_split", stats=zipf_stats(tables), **options)
    bank: Bank | None = None
    for stage, held in stages(sizing):
        bank = build(held, seed=0, previous=bank)
        train(bank, 20)
        assert ((bank.tensors()["1.rows"] == 0).float().mean() > 0.5) == (stage.name == "prune")
    assert bank is not None
    frozen = freeze(bank)
    assert frozen.held_bytes() == sizing.serve_bytes <= sizing.budget_bytes
    ids = torch.stack([torch.arange(300), torch.arange(300) % 60], dim=1)
    found = frozen(ids)
    near = bank.eval()(ids).detach()
    held = found != 0
    assert 0.1 < held.float().mean() < 0.9
    torch.testing.assert_close(found[held], near[held], rtol=2**-11, atol=1e-7)
    with use_backend("reference"):
        assert torch.equal(frozen(ids), found)
    assert torch.equal(PlainBank(frozen)(ids), found)


# -- sizes and refusals ----------------------------------------------------------------------------------------------


def test_numbers_cost_three_bytes_or_four() -> None:
    """Of 22 million rows of 16 at a tenth: 2.1 of 16 numbers of a row, against .53 as coordinates of 12 bytes."""
    tables = [TableSpec(name="a", rows=22_000_000, dim=16)]
    near, far = (sized(budget, tables).groups[0].settings for budget in ("10x", "1000x"))
    assert (near["place_bytes"], far["place_bytes"]) == (1, 2)
    assert near["nonzeros"] == (64 * 2_200_000 - 4 * (22_000_000 // 16 + 1)) // 3
    assert far["nonzeros"] == (64 * 22_000 - 4 * (-(-22_000_000 // 4096) + 1)) // 4


def test_options_are_refused_by_name() -> None:
    for option, value, text in (
        ("storage", "int8", "storage must be 'float16', got 'int8'"),
        ("warm_epochs", -1, "warm_epochs must be 0 or more"),
        ("prune_epochs", -1, "prune_epochs must be 0 or more"),
        ("damping", 1.0, "damping must be above 0 and below 1"),
        ("period", 0, "period must be 1 or more"),
        ("every", 0, "every must be 1 or more"),
    ):
        with pytest.raises(OptionError, match=text):
            METHOD(**{option: value})
    with pytest.raises(OptionError, match="at most 65,536 numbers, table 'wide' has 65,537"):
        sized("2x", [TableSpec(name="wide", rows=3, dim=65_537)])
