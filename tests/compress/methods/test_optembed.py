from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, join, of, settled, size, stages
from pocketrec.compress.candidates import best, propose, scored
from pocketrec.compress.group import Group
from pocketrec.compress.methods.optembed import METHOD
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of, learn, public_tables, random_batch
from pocketrec.testing.method_contract import MethodContract

TABLES = [TableSpec(name=n, rows=rows, dim=16) for n, rows in (("a", 500), ("b", 60), ("c", 1000))]
ADAM = OptimizerSpec(name="adam", lr=0.01)
ALL_IDS = torch.stack([torch.arange(1000) % t.closed_rows for t in TABLES], dim=1)


class TestOptEmbed(MethodContract):
    method = METHOD
    variants = ({}, {"generations": 2, "mutations": 1, "crossovers": 2, "alpha": 1e-3})


def sized(budget: str = "60%", **options: object) -> Sizing:
    return size(TABLES, budget, "optembed", **options)


def searching(sizing: Sizing | None = None, *, seed: int = 0) -> tuple[Bank, Group]:
    bank = build(stages(sizing or sized())[0][1], seed=seed)
    (group,) = groups_of(bank)
    return bank, group


def place(group: Group, name: str) -> int:
    return [t.table.name for t in group.sizing.tables].index(name)


def rows_of(group: Group, name: str) -> Tensor:
    sizes = [t.table.closed_rows for t in group.sizing.tables]
    return group.tensor("rows").data.split(sizes)[place(group, name)]


def shorten(group: Group, name: str, share: float) -> Tensor:
    """Let this share of a table's rows be at or under its threshold; bool [rows], which."""
    rows = rows_of(group, name)
    lost = torch.rand(len(rows), generator=torch.Generator().manual_seed(len(rows))) < share
    rows[lost] *= 1e-3
    with torch.no_grad():
        group.tensor("thresholds")[place(group, name)] = rows[lost].abs().sum(dim=1).max() * 1.01
    return lost


def planted(group: Group, widths: Sequence[int]) -> float:
    """An AUC that likes table a at 5, b at 3 and c at 9 numbers."""
    wanted = {"a": 5, "b": 3, "c": 9}
    names = [t.table.name for t in group.sizing.tables]
    return 0.8 - sum(abs(w - wanted[n]) for n, w in zip(names, widths, strict=True)) / 100


def evolve(bank: Bank, group: Group, most: int = 10**6) -> list[list[int]]:
    """Score so many candidates by the planted AUC; which ones."""
    asked = []
    while len(asked) < most and propose(bank):
        asked.append(group.tensor("log")[int(group.tensor("moment")[2]) - 1].tolist())
        scored(bank, planted(group, asked[-1]))
    return asked


def widths_of(sizing: Sizing) -> dict[str, int]:
    return {t.table.name: int(t.settings["width"]) for g in sizing.groups for t in g.tables}


def mapped_of(sizing: Sizing) -> dict[str, bool]:
    return {t.table.name: bool(g.settings["mapped"]) for g in sizing.groups for t in g.tables}


# -- bytes ---------------------------------------------------------------------------------------------------------


def test_the_search_trains_the_bytes_that_the_benchmark_prints() -> None:
    """300 % of the tables with Adam (VLDB 2024 benchmark, table 5), and what the evolution notes besides."""
    tables = public_tables("rank", scale="1", dim=16)
    sizing = size(tables, "50%", "optembed", optimizer=ADAM)
    (_, supernet), (_, evolution), _ = stages(sizing)
    dense = sum(t.closed_rows for t in tables) * 16 * 4
    notes = 26 * (4 + 8) + 601 * (26 * 4 + 8) + 3 * 8
    assert supernet.train_bytes == evolution.train_bytes == 3 * dense + notes
    assert notes < dense / 10_000


def test_before_the_search_small_tables_are_wide_and_all_rows_stay() -> None:
    assert widths_of(sized("100%")) == {"a": 16, "b": 16, "c": 16}
    assert widths_of(sized("37%")) == {"b": 16, "a": 8, "c": 4}
    assert not any(mapped_of(sized("37%")).values())
    least = of("optembed").least_bytes(TABLES)
    assert least == 4 * 1560
    with pytest.raises(BudgetTooSmall):
        size(TABLES, least - 1, "optembed")


def test_a_table_loses_rows_only_where_a_map_costs_less_than_they_do() -> None:
    method = METHOD()
    for width, kept, mapped in ((1, 0, False), (2, 499, True), (2, 500, False), (2, 400, True), (16, 937, True),
                                (16, 938, False)):  # fmt: skip
        assert method._is_mapped(TABLES[2], width, kept) is mapped, (width, kept)
        least = min(4000 * width, 4 * kept * width + 4000)
        assert method._by_width(TABLES[2], kept)[width - 1] == least


# -- the supernet --------------------------------------------------------------------------------------------------


def test_a_vector_is_a_prefix_of_its_row_and_all_lengths_are_alike() -> None:
    bank, group = searching()
    counts = torch.zeros(16)
    for step in range(40):
        bank.begin_step(step=step, rows=0)
        found = bank(ALL_IDS).detach()
        for column, name in enumerate(bank.sizing.order):
            row = rows_of(group, name)[ALL_IDS[:, column]]
            length = (found[:, column] != 0).sum(dim=1)
            prefix = torch.arange(16) < length[:, None]
            assert torch.equal(found[:, column], row * prefix)
            if name == "c":  # whose ids are distinct
                counts += torch.bincount(length - 1, minlength=16)
    assert counts.sum() == 40_000
    assert ((counts / 40_000 - 1 / 16).abs() < 4 * math.sqrt(1 / 16 / 40_000)).all()


def test_a_width_is_a_function_of_seed_step_table_and_id() -> None:
    bank, _ = searching()
    ids = torch.tensor([[3, 7, 11], [499, 59, 999], [3, 0, 0]])

    def at(step: int, of: Bank = bank, ids: Tensor = ids) -> Tensor:
        of.begin_step(step=step, rows=0)
        return (of(ids) != 0).sum(dim=2)

    assert torch.equal(at(5), at(5))
    assert torch.equal(at(5, ids=ids[1:2]), at(5)[1:2]), "whoever stands beside it"
    assert at(5)[0, 0] == at(5)[2, 0], "equal ids of a batch share it"
    everything = [at(step, ids=ALL_IDS) for step in (5, 6)]
    assert (everything[0] != everything[1]).float().mean() > 0.9
    assert (at(5, searching(seed=1)[0], ALL_IDS) != everything[0]).float().mean() > 0.9
    same_ids = torch.arange(60)[:, None].expand(60, 3)
    assert (at(5, ids=same_ids)[:, 0] != at(5, ids=same_ids)[:, 2]).float().mean() > 0.8


def test_where_nobody_learns_vectors_are_whole() -> None:
    bank, group = searching()
    lost = shorten(group, "c", 0.3)
    bank.begin_step(step=3, rows=0)
    bank.eval()
    found = bank(ALL_IDS)[:, 2]
    assert torch.equal(found[~lost], rows_of(group, "c")[~lost])
    assert not found[lost].any()


def test_the_gradient_is_the_straight_through_one_and_that_of_the_loss() -> None:
    bank, group = searching(sized(init=0.1, alpha=0.01))
    shorten(group, "c", 0.3)
    with torch.no_grad():
        group.tensor("thresholds")[place(group, "a")] = rows_of(group, "a").abs().sum(dim=1).median()
    ids = torch.tensor([[3, 7, 11], [499, 59, 999], [3, 0, 0], [5, 6, 7]])
    factors = torch.randn(4, 3, 16, generator=torch.Generator().manual_seed(0))
    bank.begin_step(step=2, rows=0)
    found = bank(ids)
    (found * factors).sum().backward()
    bank.collect()
    limits = group.tensor("thresholds").detach().clone()
    with torch.no_grad():  # prefixes are seen where no row is short
        group.tensor("thresholds").zero_()
        prefixes = bank(ids) != 0
        group.tensor("thresholds").copy_(limits)
    expected = torch.zeros(3)
    wanted_rows = {name: torch.zeros_like(rows_of(group, name)) for name in "abc"}
    for column, name in enumerate(bank.sizing.order):
        limit = limits[place(group, name)]
        for at, number in enumerate(ids[:, column].tolist()):
            row = rows_of(group, name)[number]
            x = row.abs().sum() - limit
            far = float(x.abs())
            slope = 2 - 4 * far if far <= 0.4 else 0.4 if far <= 1 else 0.0
            alive, prefix, factor = float(x > 0), prefixes[at, column], factors[at, column]
            through = (factor * row * prefix).sum() * slope
            expected[place(group, name)] -= through
            wanted_rows[name][number] += factor * prefix * alive + row.sign() * through
    expected -= 0.01 * (-limits).exp()
    torch.testing.assert_close(group.tensor("thresholds").grad, expected, rtol=1e-4, atol=1e-5)
    pairs = bank.pending[0]
    dense = torch.zeros_like(group.tensor("rows")).index_copy(0, pairs.addresses, pairs.grads)
    sizes = [t.table.closed_rows for t in group.sizing.tables]
    for name, own in zip([t.table.name for t in group.sizing.tables], dense.split(sizes), strict=True):
        torch.testing.assert_close(own, wanted_rows[name], rtol=1e-4, atol=1e-5)


def test_thresholds_of_tables_that_nobody_asked_for_rest() -> None:
    bank, group = searching(sized(alpha=0.5))
    bank.begin_step(step=0, rows=0)
    ids, offsets = torch.tensor([4, 4, 9]), torch.tensor([0, 2, 2, 3])  # none of table b
    (bank(ids, offsets) * 0).sum().backward()
    grad = group.tensor("thresholds").grad
    assert grad is not None
    assert grad[place(group, "b")] == 0
    torch.testing.assert_close(grad[[place(group, "a"), place(group, "c")]], torch.tensor([-0.5, -0.5]))


# -- the evolution -------------------------------------------------------------------------------------------------


def test_the_incumbent_is_immutable_and_the_best_so_far_rises_over_thirty_generations() -> None:
    bank, group = searching(sized("50%"))
    shorten(group, "a", 0.5)
    bests, widths, before = [], [], None
    for _ in range(601):
        if not propose(bank):
            break
        log, number = group.tensor("log"), int(group.tensor("moment")[2]) - 1
        if before is not None:
            assert torch.equal(log[: len(before)], before), "what was scored is never written again"
        before = log[: number + 1].clone()
        scored(bank, planted(group, log[number].tolist()))
        bests.append(best(bank))
        fitness = METHOD()._fitness(group)
        widths.append(log[fitness.index(max(fitness))].tolist())
    assert bests == sorted(bests)
    for (one, first), (other, second) in itertools.pairwise(zip(bests, widths, strict=True)):
        assert (first == second) == (one == other), "only a better one takes its place"
    assert len(bests) > 50
    assert bests[-1] >= 0.78
    assert not torch.isnan(group.tensor("fitness").view(torch.float64)).any()


def test_a_search_goes_on_at_any_candidate_as_if_it_had_not_stopped() -> None:
    few = {"generations": 4, "mutations": 3, "crossovers": 3}
    bank, group = searching(sized("50%", **few))
    whole = evolve(bank, group)
    assert len(whole) > 10
    for stop in (0, 1, 2, 7, len(whole) - 1, len(whole)):
        first, held = searching(sized("50%", **few))
        asked = evolve(first, held, stop)
        again, now = searching(sized("50%", **few), seed=9)
        for name, tensor in again.tensors().items():
            tensor.copy_(first.tensors()[name])
        assert asked + evolve(again, now) == whole, stop
        assert all(torch.equal(t, bank.tensors()[name]) for name, t in again.tensors().items())


def test_every_candidate_fits_and_none_is_scored_twice() -> None:
    promised = sized("30%")
    bank, group = searching(promised)
    shorten(group, "c", 0.7)
    asked = evolve(bank, group)
    assert len({tuple(widths) for widths in asked}) == len(asked)
    kept = group.tensor("kept").tolist()
    assert kept[place(group, "c")] < 400
    for widths in asked:
        tables = zip(group.sizing.tables, widths, kept, strict=True)
        assert sum(METHOD()._by_width(t.table, k)[w - 1] for t, w, k in tables) <= promised.serve_bytes
    exact = settled(bank, stages(promised)[-1][1])
    assert exact.serve_bytes <= promised.serve_bytes
    assert [widths_of(exact)[t.table.name] for t in group.sizing.tables] in asked


def test_the_first_candidate_gives_freed_bytes_to_all_alike() -> None:
    bank, group = searching(sized("30%"))
    shorten(group, "c", 0.9)
    (first,) = evolve(bank, group, 1)
    before = widths_of(sized("30%"))
    assert all(w >= before[t.table.name] for t, w in zip(group.sizing.tables, first, strict=True))
    assert sum(first) > sum(before.values())


# -- what the search ends with -------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["float32", "int8", "bfloat16_trained"])
def test_the_same_rows_read_zeros_from_the_supernet_to_the_file(storage: str) -> None:
    promised = sized("80%", storage=storage, init=0.3)
    bank, group = searching(promised)
    for step in range(3):
        bank.begin_step(step=step, rows=0)
        learn(bank, random_batch(promised, step))
    lengths = group.method._alive(group)  # before: all
    assert all(bool(alive.all()) for alive in lengths)
    with torch.no_grad():
        for name in "ac":
            group.tensor("thresholds")[place(group, name)] = 2.4  # 16 numbers of .15 on average
    lost = [~group.method._alive(group)[place(group, name)] for name in "abc"]
    assert 0.2 < lost[0].float().mean() < 0.8
    bank.begin_step(step=3, rows=0)
    for column, own in enumerate(lost):
        assert not bank(ALL_IDS)[own[ALL_IDS[:, column]], column].any(), "while training"
    evolve(bank, group, 1)
    found = bank.eval()(ALL_IDS).detach()
    exact = settled(bank, stages(promised)[-1][1])
    assert mapped_of(exact) == {"a": True, "b": False, "c": True}
    after = build(exact, seed=9, previous=bank)
    assert torch.equal(after(ALL_IDS), found), "vectors are inherited"
    for step in range(3):
        learn(after, random_batch(promised, 10 + step))
    served = freeze(after)
    assert served.held_bytes() == exact.serve_bytes <= promised.serve_bytes
    for column, own in enumerate(lost):
        gone = own[ALL_IDS[:, column]]
        for stage, vectors in (("eval", found), ("retrain", after(ALL_IDS)), ("file", served(ALL_IDS))):
            assert not vectors[gone, column].any(), stage
            assert vectors[~gone, column].any(dim=1).all(), stage


def test_a_table_that_loses_all_rows_is_a_map_alone() -> None:
    promised = sized("80%")
    bank, group = searching(promised)
    with torch.no_grad():
        group.tensor("thresholds")[place(group, "c")] = 100.0
    exact = settled(bank, stages(promised)[-1][1])
    (held,) = [g for g in exact.groups if g.tables[0].table.name == "c"]
    assert held.serve_bytes == 4000
    after = build(exact, seed=0, previous=bank)
    learn(after, random_batch(promised, 0))
    served = freeze(after)
    assert not served(ALL_IDS)[:, 2].any()
    assert served.held_bytes() == exact.serve_bytes


def test_a_search_that_nobody_ended_is_frozen_to_its_choice() -> None:
    bank, group = searching(sized("80%"))
    shorten(group, "c", 0.5)
    before = freeze(bank)
    assert mapped_of(before.sizing) == {"a": False, "b": False, "c": True}
    evolve(bank, group, 30)
    served = freeze(bank)
    fitness = METHOD()._fitness(group)
    widths = group.tensor("log")[fitness.index(max(fitness))].tolist()
    assert [widths_of(served.sizing)[t.table.name] for t in group.sizing.tables] == widths
    assert served.held_bytes() == served.sizing.serve_bytes <= bank.sizing.serve_bytes


def test_what_was_settled_is_not_searched_again_and_survives_json() -> None:
    bank, group = searching(sized("80%"))
    shorten(group, "c", 0.5)
    exact = settled(bank, stages(sized("80%"))[-1][1])
    again = Sizing.from_json(json.loads(json.dumps(exact.to_json())))
    assert again == exact
    assert [stage.name for stage, _ in stages(again)] == ["retrain"]
    before = build(exact, seed=0, previous=bank)
    after = build(again, seed=1, previous=before)
    assert all(torch.equal(t, after.tensors()[name]) for name, t in before.tensors().items())
    with pytest.raises(OptionError, match="cannot search again"):
        build(bank.sizing, seed=0, previous=before)


def test_it_works_beside_methods_of_one_stage() -> None:
    other = [TableSpec(name=n, rows=50, dim=16) for n in "xy"]
    parts = [size(other[:1], "2x", "hash_rows"), sized(), size(other[1:], "2x", "robe")]
    mixed = join(parts, ["b", "x", "a", "y", "c"], sum(p.serve_bytes for p in parts))
    assert [stage.name for stage, _ in stages(mixed)] == ["supernet", "evolve", "retrain"]
    (_, supernet), (evolving, held), (_, promised) = stages(mixed)
    assert evolving.scores == 601
    bank = build(supernet, seed=0)
    assert settled(bank, held) == held, "the search goes on"
    shorten(groups_of(bank)[1], "c", 0.5)
    evolve(bank, groups_of(bank)[1], 5)
    exact = settled(bank, promised)
    assert [g.method for g in exact.groups][0 :: len(exact.groups) - 1] == ["hash_rows", "robe"]
    after, ids = build(exact, seed=5, previous=bank), torch.randint(50, (8, 5))
    assert torch.equal(after(ids), bank.eval()(ids))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"supernet_epochs": 0}, "supernet_epochs"), ({"generations": 0}, "generations"), ({"parents": 0}, "parents"),
        ({"mutations": -1}, "mutations"), ({"mutations": 0, "crossovers": 0}, "where there are no crossovers"),
        ({"alpha": -1.0}, "alpha"), ({"alpha": math.inf}, "alpha"), ({"mutation_rate": 0.0}, "mutation_rate"),
        ({"mutation_rate": 1.5}, "mutation_rate"), ({"score_rows": 0}, "score_rows"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        of("optembed", options)
