from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pocketrec.compress import attach, build, freeze, join, layout, settled, size, stages
from pocketrec.compress.build import ALIGNMENT, begin_anew
from pocketrec.spec.errors import ArtifactError, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec
from pocketrec.testing.methods.masked_rows import METHOD as MASKED_ROWS
from pocketrec.testing.registered import registered

TABLES = [TableSpec(name="a", rows=50, dim=3), TableSpec(name="b", rows=20, dim=3)]


def test_layout_names_every_tensor_of_every_group() -> None:
    sizing = join([size(TABLES[:1], "2x", "hash_rows"), size(TABLES[1:], "2x", "robe")], ["a", "b"], "2x")
    assert [p.name for p in layout(sizing)] == ["0.rows", "0.seed", "1.array", "1.seed"]
    assert [p.name for p in layout(sizing, "train")] == [
        "0.rows", "0.seed", "0.rows.sum", "1.array", "1.seed", "1.array.sum",
    ]  # fmt: skip
    offsets = [p.offset_bytes for p in layout(sizing)]
    assert offsets == [0, 320, 384, 512], "each begins at the next multiple of 64"
    assert ALIGNMENT == 64


def test_equal_seeds_build_equal_groups_and_groups_differ() -> None:
    sizing = join([size(TABLES[:1], "1x"), size([TableSpec(name="b", rows=50, dim=3)], "1x")], ["a", "b"], "1x")
    bank = build(sizing, seed=3)
    assert torch.equal(bank.rows("a", 0, 50), build(sizing, seed=3).rows("a", 0, 50))
    assert not torch.equal(bank.rows("a", 0, 50), bank.rows("b", 0, 50))


def test_attach_shares_memory_in_both_forms() -> None:
    sizing = size(TABLES, "2x", "hash_rows")
    bank = build(sizing, seed=0)
    other = attach(sizing, bank.tensors(), form="train")
    other.group_of("a").tensor("rows").data.zero_()
    assert not bank.rows("a", 0, 50).any()
    served = freeze(bank)
    served.tensors()["0.rows"].fill_(1)
    assert attach(sizing, served.tensors())(torch.tensor([[0, 0]])).eq(1).all()


def test_attach_says_what_is_wrong() -> None:
    sizing = size(TABLES, "2x", "hash_rows")
    tensors = freeze(build(sizing, seed=0)).tensors()
    with pytest.raises(ArtifactError, match=r"'0.seed' is missing; there are 1: \['0.rows'\]"):
        attach(sizing, {"0.rows": tensors["0.rows"]})
    with pytest.raises(ArtifactError, match=r"'rows' is \(34, 3\) torch.float64, the sizing says \(34, 3\) float32"):
        attach(sizing, {**tensors, "0.rows": tensors["0.rows"].double()})


def test_the_seed_of_the_bank_before_goes_on() -> None:
    sizing = size(TABLES, "2x", "robe")
    before, ids = build(sizing, seed=1), torch.tensor([[7, 8]])
    after = build(sizing, seed=2, previous=before)
    assert torch.equal(after(ids), before(ids))
    assert torch.equal(freeze(after)(ids), freeze(before)(ids))
    assert not torch.equal(build(sizing, seed=2)(ids), before(ids))


def test_another_number_of_groups_is_no_previous_bank() -> None:
    one = size(TABLES, "2x", "robe")
    two = join([size(TABLES[:1], "2x", "robe"), size(TABLES[1:], "2x", "robe")], ["a", "b"], "2x")
    with pytest.raises(OptionError, match="2 groups cannot go on from one of 1"):
        build(two, seed=0, previous=build(one, seed=0))


def test_stages_of_a_mixed_sizing_wait_for_the_longest() -> None:
    with registered(MASKED_ROWS):
        staged, other = size(TABLES[:1], "1x", "masked_rows"), size(TABLES[1:], "2x", "robe")
        joined = join([other, staged], ["a", "b"], "1x")
        plan = stages(joined)
        assert [stage.name for stage, _ in plan] == ["search", "retrain"]
        assert plan[1][1] == joined
        search = plan[0][1]
        assert search.groups[0] == joined.groups[0], "a method of one stage is in it all the time"
        assert search.groups[1].settings["search"]
        assert search.serve_bytes == joined.serve_bytes, "what it will be frozen to"
        assert search.order == joined.order


def test_methods_that_settle_say_what_is_held_and_all_others_are_held_as_planned() -> None:
    other, searched = size(TABLES[:1], "2x", "robe"), size(TABLES[1:], "1x", "autodim")
    joined = join([other, searched], ["a", "b"], "1x")
    (_, search), (_, planned) = stages(joined)
    bank = build(search, seed=0)
    exact = settled(bank, planned)
    assert exact.groups[0] == planned.groups[0] == joined.groups[0]
    assert [g.settings.get("settled") for g in exact.groups[1:]] == [True]
    assert settled(build(exact, seed=0, previous=bank), planned) == exact, "what was chosen stays"
    plain = build(other, seed=0)
    assert settled(plain, other) is other


def test_what_joins_another_group_settles_in_its_place() -> None:
    tables = [replace(table, ids="rank") for table in TABLES]
    sizing = size(tables, "2x", "offline_split", cold="pep")
    (_, search), (_, planned) = stages(sizing)
    bank = build(search, seed=0)
    exact = settled(bank, planned)
    assert [(g.method, g.joins, bool(g.settings.get("settled"))) for g in exact.groups] == [
        ("offline_split", "alone", False), ("pep", "rest", True),
    ]  # fmt: skip
    after = build(exact, seed=1, previous=bank)
    assert torch.equal(after.tensors()["0.rows"], bank.tensors()["0.rows"])
    assert after.tensors()["1.kept"].any()
    with pytest.raises(OptionError, match="Table 'a' is not held by a method that settles in the bank"):
        build(size(tables[:1], "4x", "pep"), seed=0, previous=build(size(tables[1:], "4x", "pep"), seed=0))


def test_stages_hold_state_for_the_optimizer_of_the_sizing() -> None:
    with registered(MASKED_ROWS):
        for name, tensors in (("sgd", 0), ("adam", 2)):
            sizing = size(TABLES, "1x", "masked_rows", optimizer=OptimizerSpec(name=name))  # type: ignore[arg-type]
            assert [len(s.groups[0].state) for _, s in stages(sizing)] == [tensors, tensors]


def test_tables_of_other_rows_are_not_taken_over_in_silence() -> None:
    grown = [TableSpec(name="a", rows=60, dim=3), TABLES[1]]
    with pytest.raises(OptionError, match="rows per table were"):
        build(size(grown, "2x", "hash_rows"), seed=0, previous=build(size(TABLES, "2x", "hash_rows"), seed=0))


def test_a_search_that_is_planned_to_go_on_is_not_settled_before_it_ends() -> None:
    sizing = size(TABLES, "1x", "optembed")
    (_, supernet), (_, evolve), (_, retrain) = stages(sizing)
    bank = build(supernet, seed=0)
    assert settled(bank, evolve) == evolve
    assert settled(bank, retrain).groups != evolve.groups
    assert settled(bank, evolve, ends=True).groups == settled(bank, retrain).groups
    after = build(settled(bank, evolve), seed=1, previous=bank)
    assert all(torch.equal(t, after.tensors()[name]) for name, t in bank.tensors().items())


def test_what_was_settled_begins_anew_and_all_others_go_on() -> None:
    other, searched = size(TABLES[:1], "2x", "robe"), size(TABLES[1:], "1x", "optembed")
    joined = join([other, searched], ["a", "b"], "1x")
    (_, supernet), _, (_, retrain) = stages(joined)
    bank = build(supernet, seed=0)
    group = bank.group_of("b")
    with torch.no_grad():
        rows = group.tensor("rows")
        group.tensor("thresholds").fill_(float(rows.abs().sum(dim=1).median()))
    exact = settled(bank, retrain)
    after = build(exact, seed=1, previous=bank)
    before = {name: t.clone() for name, t in after.tensors().items()}
    assert "1.map" in before
    ids = torch.zeros(1, 2, dtype=torch.int64)
    after(ids).sum().backward()
    after.step()
    kept = {name: t.clone() for name, t in after.tensors().items()}
    begin_anew(after, seed=7)
    fresh = build(exact, seed=7).tensors()
    for name, tensor in after.tensors().items():
        wanted = fresh[name] if name.startswith("1.") and name != "1.map" else kept[name]
        assert torch.equal(tensor, wanted), name
    assert torch.equal(kept["1.map"], before["1.map"])
    assert not torch.equal(fresh["1.map"], before["1.map"])


@pytest.mark.parametrize(("old", "new"), [("int8_trained", "alpt"), ("alpt", "int8_trained")])
def test_scales_that_learn_and_scales_that_are_fitted_are_not_taken_for_each_other(old: str, new: str) -> None:
    """Their rows have one shape, and another meaning of the bias."""
    tables = [TableSpec(name="t", rows=20, dim=4)]
    before = build(size(tables, "1x", storage=old), seed=0)
    with pytest.raises(OptionError, match=f"Rows of storage {new} cannot be taken over from rows of {old}"):
        build(size(tables, "1x", storage=new), seed=0, previous=before)
    again = build(size(tables, "1x", storage=old), seed=1, previous=before)
    assert torch.equal(again.tensors()["0.rows"], before.tensors()["0.rows"])
