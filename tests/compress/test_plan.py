from __future__ import annotations

from dataclasses import replace

import pytest

from pocketrec.compress import size
from pocketrec.compress.plan import most_train_bytes, plan
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.methods.masked_rows import METHOD as MASKED_ROWS
from pocketrec.testing.registered import registered

TABLES = [TableSpec(name=n, rows=rows, dim=8) for n, rows in (("a", 100), ("b", 3000))]


def test_a_method_of_one_stage_is_held_as_it_is() -> None:
    sizing = size(TABLES, "4x", "multi_hash")
    ((stage, groups),) = plan(sizing.groups, sizing.optimizer)
    assert (stage.name, groups) == ("train", sizing.groups)
    assert most_train_bytes(sizing.groups, sizing.optimizer) == sizing.train_bytes


def test_groups_of_a_method_that_settles_are_searched_as_one_and_held_apart() -> None:
    sizing = size(TABLES, "50%", "autodim")
    assert len(sizing.groups) == 2
    search, retrain = plan(sizing.groups, sizing.optimizer)
    assert (search.stage.name, retrain.stage.name) == ("search", "retrain")
    (together,) = search.groups
    assert [t.table.name for t in together.tables] == ["a", "b"]
    assert together.serve_bytes == sizing.serve_bytes
    assert retrain.groups == sizing.groups
    assert most_train_bytes(sizing.groups, sizing.optimizer) == together.train_bytes > sizing.train_bytes


def test_groups_of_other_options_are_searched_apart() -> None:
    one, other = size(TABLES[:1], "50%", "autodim"), size(TABLES[1:], "50%", "autodim", search_epochs=2)
    search, retrain = plan((*one.groups, *other.groups), one.optimizer)
    assert len(search.groups) == len(retrain.groups) == 2
    assert search.stage.epochs == 1, "one stage for all: the first of those that search speaks"


def test_if_one_of_them_begins_anew_all_do() -> None:
    with registered(MASKED_ROWS):
        masked, pruned = size(TABLES[:1], "1x", "masked_rows"), size(TABLES[1:], "10x", "pep")
        for groups in ((*masked.groups, *pruned.groups), (*pruned.groups, *masked.groups)):
            search, retrain = plan(groups, masked.optimizer)
            assert (search.stage.begin, search.stage.optimizer) == ("warm", "reset")
            assert (retrain.stage.begin, retrain.stage.optimizer) == ("initial", "reset"), "masked_rows would keep it"


def test_a_part_of_another_method_is_searched_apart_from_tables_of_its_own() -> None:
    tables = [replace(table, ids="rank") for table in TABLES]
    parted = size(tables[:1], "4x", "offline_split", cold="pep", cold_options={"storage": "float16"})
    alone = size(tables[1:], "10x", "pep")
    assert parted.groups[1].options == alone.groups[0].options
    search, _ = plan((*parted.groups, *alone.groups), parted.optimizer)
    assert [(g.method, g.joins) for g in search.groups] == [
        ("offline_split", "alone"), ("pep", "rest"), ("pep", "alone"),
    ]  # fmt: skip


def test_what_one_of_them_holds_out_is_held_out_of_the_stage_of_all() -> None:
    with registered(MASKED_ROWS):
        masked, searched = size(TABLES[:1], "1x", "masked_rows"), size(TABLES[1:], "50%", "autodim")
        search, retrain = plan((*masked.groups, *searched.groups), masked.optimizer)
        assert (search.stage.held_out, retrain.stage.held_out) == (("alpha",), ())


def test_a_search_by_scores_has_other_methods_wait_in_their_last_stage() -> None:
    one, other = size(TABLES[:1], "1x", "autodim"), size(TABLES[1:], "1x", "optembed")
    supernet, evolve, retrain = plan((*one.groups, *other.groups), one.optimizer)
    assert [p.stage.name for p in (supernet, evolve, retrain)] == ["supernet", "evolve", "retrain"]
    assert supernet.stage.held_out == ("alpha",)
    assert (supernet.stage.scores, evolve.stage.scores, retrain.stage.scores) == (0, 601, 0)
    assert evolve.groups[0] == retrain.groups[0] == one.groups[0]
    assert evolve.groups[1:] == supernet.groups[1:] != retrain.groups[1:]


def test_candidates_are_not_judged_while_something_else_changes() -> None:
    one, other = size(TABLES[:1], "1x", "optembed"), size(TABLES[1:], "1x", "optembed", generations=2)
    with pytest.raises(OptionError, match="optembed scores candidates in its stage 'evolve', while optembed is in its"):
        plan((*one.groups, *other.groups), one.optimizer)
    pruned = size(TABLES[1:], "2x", "deeplight")
    for groups in ((*one.groups, *pruned.groups), (*pruned.groups, *one.groups)):
        with pytest.raises(OptionError, match="while deeplight is in its stage 'prune': they would be judged together"):
            plan(groups, one.optimizer)
    early = size(TABLES[1:], "2x", "deeplight", warm_epochs=0)
    assert len(plan((*one.groups, *early.groups), one.optimizer)) == 3
