"""What probing tries."""

from __future__ import annotations

from pocketrec.bench.recipes import methods_tried, recipes, variants
from pocketrec.compress import METHODS
from pocketrec.pipeline.config import RunConfig

CONFIG = RunConfig(data=("x",), budget=20_236, method="robe", options={"block": 4})
PARTS = [{"tables": ["C1"], "method": "min_count", "options": {"storage": "int8"}, "bytes": [400]}]


def test_methods_that_train_in_one_stage_are_tried() -> None:
    found = methods_tried(CONFIG, {"rank"}, None)
    assert {"min_count", "hash_rows", "robe", "tt_rec", "cafe"} <= set(found)
    assert not any(METHODS.get(name).traits.staged or METHODS.get(name).traits.settles for name in found)
    assert "mixed" not in found
    assert "min_count" not in methods_tried(CONFIG, {"rank", "hash63"}, None)
    assert methods_tried(CONFIG, {"rank"}, ["dedup", "robe"]) == ["dedup", "robe"], "who asks gets stages, too"
    assert methods_tried(RunConfig(data=("x",), refit=True), {"rank"}, ["autodim"]) == []


def test_the_first_candidates_are_the_run_the_mixtures_and_a_storage_of_each_method() -> None:
    found = recipes(CONFIG, {"per table": PARTS}, ["min_count", "robe", "deeplight"])
    assert [c.label for c in found] == [
        "robe float32, block 4",
        "per table",
        "min_count int8",
        "robe int8",
        "deeplight float16",
    ]
    assert found[1].values == {"method": "mixed", "options": {"parts": PARTS}}
    assert found[0].values["options"] == {"block": 4, "storage": "float32"}
    only = recipes(CONFIG, {}, ["min_count", "deeplight"], ["int4"])
    assert [c.label for c in only] == ["min_count int4"], "the run's own method, too, must be in an allowed storage"
    assert recipes(CONFIG, {}, [], allowed=["min_count"]) == []
    assert [c.label for c in recipes(CONFIG, {}, [], ["float32"], allowed=["robe"])] == ["robe float32, block 4"]


def test_variants_change_the_best_most_often_and_repeat_nothing() -> None:
    best = recipes(CONFIG, {"per table": PARTS}, ["min_count"])[1:]
    found = variants(CONFIG, best, 9)
    assert len(found) == len({c.label for c in found}) == 9
    assert found[:2] == best
    assert {c.values["options"].get("storage") for c in found if c.values["method"] == "min_count"} >= {"int8", "int4"}
    drawn = [c for c in found if "optimizer.lr" in c.values]
    assert len(drawn) >= 3
    assert any(c.values == {**best[0].values, "optimizer.l2": 1e-4, "train.relearn": True} for c in found)
    assert all(0.25 <= c.values["optimizer.lr"] / CONFIG.optimizer.lr <= 4 for c in drawn)
    assert variants(CONFIG, best, 9) == found
    assert variants(CONFIG, best, 9, seed=1) != found
    for one in found:
        RunConfig.from_json({"data": ["x"], "method": one.values["method"], "options": one.values["options"]})
    staged = recipes(CONFIG, {}, ["dedup"])[1:]
    assert staged
    assert not any("train.relearn" in c.values for c in variants(CONFIG, staged, 6))


def test_a_mixture_may_train_its_four_bits() -> None:
    four = [{**PARTS[0], "tables": ["C2"], "options": {"storage": "int4"}}, *PARTS]
    (mixture,) = [c for c in recipes(CONFIG, {"per table": four}, []) if c.label == "per table"]
    found = {c.label: c for c in variants(CONFIG, [mixture], 3)}
    trained = found["per table, 4 bits trained"].values["options"]["parts"]
    assert [part["options"]["storage"] for part in trained] == ["int4_qat", "int8"]
    assert [part["bytes"] for part in trained] == [part["bytes"] for part in four]
    assert not any("trained" in c.label for c in variants(CONFIG, [mixture], 5, ["int4"]))
    (eight,) = [c for c in recipes(CONFIG, {"per table": PARTS}, []) if c.label == "per table"]
    assert not any("trained" in c.label for c in variants(CONFIG, [eight], 5))
