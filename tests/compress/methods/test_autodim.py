from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from pocketrec.compress import Bank, build, freeze, join, of, settled, size, stages
from pocketrec.compress.group import Group
from pocketrec.compress.methods.autodim import METHOD
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of, learn, public_tables, random_batch
from pocketrec.testing.method_contract import MethodContract

TABLES = [TableSpec(name=n, rows=rows, dim=16) for n, rows in (("a", 500), ("b", 60), ("c", 1000))]
WIDTHS = (2, 4, 8, 16)
ADAM = OptimizerSpec(name="adam", lr=0.01)


class TestAutoDim(MethodContract):
    method = METHOD
    variants = ({}, {"candidates": (1, 3), "search_epochs": 2})


def sized(budget: str = "60%", **options: object) -> Sizing:
    return size(TABLES, budget, "autodim", **options)


def searching(sizing: Sizing | None = None) -> tuple[Bank, Group]:
    bank = build(stages(sizing or sized())[0][1], seed=0)
    (group,) = groups_of(bank)
    return bank, group


def prefer(group: Group, **widths: int) -> None:
    """Set logits as a search would leave them."""
    names = [t.table.name for t in group.sizing.tables]
    with torch.no_grad():
        for name, width in widths.items():
            group.tensor("alpha")[names.index(name), WIDTHS.index(width)] = 5.0


def widths_of(sizing: Sizing) -> dict[str, int]:
    return {t.table.name: int(t.settings["width"]) for g in sizing.groups for t in g.tables}


# -- bytes ---------------------------------------------------------------------------------------------------------


def test_the_search_trains_the_bytes_that_the_benchmark_prints() -> None:
    """187.5 % of the table before the optimizer, 562.5 % with Adam (VLDB 2024 benchmark, table 5), at dim 16."""
    tables = public_tables("rank", scale="1", dim=16)
    sizing = size(tables, "50%", "autodim", optimizer=ADAM)
    (_, search), _ = stages(sizing)
    (group,) = search.groups
    dense = sum(t.closed_rows for t in tables) * 16 * 4
    rows = next(t.nbytes for t in group.train if t.name == "rows")
    assert rows / dense == 1.875
    assert (rows + sum(t.nbytes for t in group.state)) / dense == 5.625
    maps = 26 * (30 * 16 * 4 + 4 * 4) + 3 * 8  # maps and logits of each table, and the moment
    assert search.train_bytes == 5.625 * dense + maps


def test_before_the_search_small_tables_are_wide() -> None:
    assert widths_of(sized("100%")) == {"a": 16, "b": 16, "c": 16}
    assert widths_of(sized("37%")) == {"b": 16, "a": 8, "c": 4}
    assert widths_of(sized("21%")) == {"b": 16, "a": 4, "c": 2}
    least = of("autodim").least_bytes(TABLES)
    assert least == 4 * 2 * 1560 + 3 * 4 * 2 * 16
    with pytest.raises(BudgetTooSmall):
        size(TABLES, least - 1, "autodim")


# -- the search ----------------------------------------------------------------------------------------------------


def test_the_temperature_falls_as_in_the_benchmark() -> None:
    """max(0.01, 1 - 5e-5 / 2000 x batch x step)."""
    method = METHOD()
    for batch, step in ((2000, 1), (2000, 10_000), (128, 100_000), (4096, 10**9)):
        assert math.isclose(method.temperature(batch * step), max(0.01, 1 - 5e-5 / 2000 * batch * step))


def test_a_vector_is_the_mixture_of_its_candidates() -> None:
    bank, group = searching()
    prefer(group, a=4)
    ids = torch.tensor([[3, 7, 11], [499, 59, 999], [3, 0, 0]])
    bank.begin_step(step=7, rows=1000)
    found, parts = bank(ids).detach(), METHOD().mixture(group).detach()
    order = [t.table.name for t in group.sizing.tables]
    for column, name in enumerate(bank.sizing.order):
        place = order.index(name)
        first = sum(t.table.closed_rows for t in group.sizing.tables[:place])
        rows = group.tensor("rows").detach()[first + ids[:, column]].split(WIDTHS, dim=1)
        maps = group.tensor("widen").detach()[place].split(WIDTHS)
        wanted = sum(p * (r @ m) for p, r, m in zip(parts[place], rows, maps, strict=True))
        torch.testing.assert_close(found[:, column], wanted)


def test_noise_is_a_function_of_seed_and_step_and_absent_where_nobody_learns() -> None:
    bank, group = searching()
    method = METHOD()

    def at(step: int, held_out: bool = False, rows: int = 0) -> torch.Tensor:
        bank.begin_step(step=step, rows=rows, held_out=held_out)
        return method.mixture(group).detach()

    assert torch.equal(at(5), at(5))
    assert not torch.equal(at(5), at(6))
    assert not torch.equal(at(5), at(5, held_out=True)), "the step on validation rows draws its own"
    assert not torch.equal(at(5, held_out=True), at(6))
    other = build(bank.sizing, seed=1)
    other.begin_step(step=5, rows=0)
    assert not torch.equal(method.mixture(groups_of(other)[0]), at(5))
    assert (at(5, rows=10**9).max(dim=1).values > at(5).max(dim=1).values).all(), "the colder, the closer to one"
    assert at(5, rows=10**9).max(dim=1).values.min() > 0.99
    bank.eval()
    assert torch.equal(at(5), torch.full((3, 4), 0.25))


def test_noise_chooses_as_often_as_the_probabilities_say() -> None:
    """Gumbel-max: the largest of logits and noise is a draw from their softmax."""
    bank, group = searching()
    with torch.no_grad():
        group.tensor("alpha").copy_(torch.tensor([0.5, 0.25, 0.125, 0.125]).log().expand(3, 4))
    counts = torch.zeros(4)
    for step in range(1500):
        bank.begin_step(step=step, rows=0)
        counts += torch.bincount(METHOD().mixture(group).argmax(dim=1), minlength=4)
    assert ((counts / counts.sum() - torch.tensor([0.5, 0.25, 0.125, 0.125])).abs() < 0.03).all()


# -- what the search ends with -------------------------------------------------------------------------------------


def test_every_table_gets_its_most_probable_width_where_all_fit() -> None:
    bank, group = searching()
    prefer(group, a=4, b=2, c=8)
    promised = stages(sized())[1][1]
    exact = settled(bank, promised)
    assert widths_of(exact) == {"a": 4, "b": 2, "c": 8}
    assert [g.settings["width"] for g in exact.groups] == [8, 4, 2], "one group per width, the widest first"
    assert exact.serve_bytes < promised.serve_bytes
    assert (exact.order, exact.budget_bytes) == (promised.order, promised.budget_bytes)


def test_what_does_not_fit_the_promise_is_not_chosen() -> None:
    promised = sized("20%")
    bank, group = searching(promised)
    prefer(group, a=16, b=16, c=16)
    exact = settled(bank, promised)
    assert widths_of(exact)["b"] == 16
    assert 16 not in (widths_of(exact)["a"], widths_of(exact)["c"])
    assert exact.serve_bytes <= promised.serve_bytes <= promised.budget_bytes


@pytest.mark.parametrize("storage", ["float32", "int8", "bfloat16_trained"])
def test_the_chosen_rows_and_maps_are_inherited(storage: str) -> None:
    promised = sized(storage=storage, init=0.3)
    bank, group = searching(promised)
    for step in range(3):
        learn(bank, random_batch(promised, step))
    prefer(group, a=4, b=16, c=2)
    with torch.no_grad():  # the search takes these candidates alone
        group.tensor("alpha").mul_(1000)
    exact = settled(bank, stages(promised)[1][1])
    after = build(exact, seed=9, previous=bank)
    ids = torch.tensor([[3, 7, 11], [499, 59, 999], [3, 0, 0]])
    near = {"rtol": 0.02, "atol": 0.02} if storage == "bfloat16_trained" else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(after(ids), bank.eval()(ids), **near)
    assert "alpha" not in {s.name for g in exact.groups for s in g.train}
    assert freeze(after).held_bytes() == exact.serve_bytes


def test_a_search_that_nobody_ended_is_frozen_to_its_choice() -> None:
    bank, group = searching()
    prefer(group, a=4, b=2, c=8)
    served = freeze(bank)
    assert widths_of(served.sizing) == {"a": 4, "b": 2, "c": 8}
    assert served.held_bytes() == served.sizing.serve_bytes < bank.sizing.serve_bytes


def test_what_was_settled_is_not_searched_again_and_survives_json() -> None:
    bank, group = searching()
    prefer(group, a=4, b=2, c=8)
    exact = settled(bank, stages(sized())[1][1])
    again = Sizing.from_json(json.loads(json.dumps(exact.to_json())))
    assert again == exact
    assert [stage.name for stage, _ in stages(again)] == ["retrain"]
    before = build(exact, seed=0, previous=bank)
    after = build(again, seed=1, previous=before)
    assert all(torch.equal(t, after.tensors()[name]) for name, t in before.tensors().items())
    with pytest.raises(OptionError, match="cannot search widths again"):
        build(bank.sizing, seed=0, previous=before)


def test_it_works_beside_another_method() -> None:
    other = [TableSpec(name=n, rows=50, dim=16) for n in "xy"]
    parts = [size(other[:1], "2x", "hash_rows"), sized(), size(other[1:], "2x", "robe")]
    mixed = join(parts, ["b", "x", "a", "y", "c"], sum(p.serve_bytes for p in parts))
    (first, search), (last, promised) = stages(mixed)
    assert ([first.name, last.name], first.held_out) == (["search", "retrain"], ("alpha",))
    assert [g.method for g in search.groups] == ["hash_rows", "autodim", "robe"]
    bank = build(search, seed=0)
    prefer(groups_of(bank)[1], a=2, b=8, c=4)
    exact = settled(bank, promised)
    assert [g.method for g in exact.groups] == ["hash_rows", *["autodim"] * 3, "robe"]
    after, ids = build(exact, seed=5, previous=bank), torch.randint(50, (8, 5))
    for column in (1, 3):
        assert torch.equal(after(ids)[:, column], bank(ids)[:, column]), "others go on where they were"
    assert freeze(after).held_bytes() == exact.serve_bytes


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"candidates": (4, 2)}, "rise"), ({"candidates": ()}, "rise"), ({"candidates": (0, 2)}, "rise"),
        ({"search_epochs": 0}, "search_epochs"), ({"cooling": -1.0}, "cooling"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        of("autodim", options)


def test_candidates_above_dim_are_left_out() -> None:
    narrow = [dataclasses.replace(t, dim=4) for t in TABLES]
    (_, search), _ = stages(size(narrow, "100%", "autodim"))
    assert search.groups[0].tables[0].table.dim == 4
    assert next(s.shape for s in search.groups[0].train if s.name == "widen") == (3, 6, 4)
    assert widths_of(size([dataclasses.replace(t, dim=1) for t in TABLES], "100%", "autodim")) == dict.fromkeys(
        "abc", 1
    )
