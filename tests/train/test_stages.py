"""Staged and adaptive methods train through the one loop, resume exactly inside every stage, and freeze as promised."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from pocketrec.compress import build, freeze, size
from pocketrec.compress.method import METHODS
from pocketrec.compress.parts.pruned_rows import masks
from pocketrec.metrics import evaluate
from pocketrec.spec.errors import OptionError, TrainingError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.methods.masked_rows import MaskedRows
from pocketrec.testing.methods.moving_rows import MovingRows
from pocketrec.testing.registered import registered
from pocketrec.train import Outcome, scores_of
from pocketrec.train.optim import optimizer_tensors
from pocketrec.train.warm_start import WarmStart

# Of the first table 150 rows of a log touch a third.
SPARSE_ROWS = (400, 7, 12)
# 2 epochs of 3 batches in each stage
RUN = {"epochs": 2, "checkpoint_steps": 2, "patience": None}


@pytest.fixture(autouse=True)
def _known() -> Iterator[None]:
    with registered(MaskedRows, MovingRows):
        yield


def sizing(planted: ModuleType, method: str) -> Sizing:
    """Half of the rows; or all three kinds of methods, one table each."""
    if method == "autodim":  # alphas that cool down and learn fast, so that the search ends with widths of its own
        searched: Sizing = planned_search(planted)
        return searched
    if method == "optembed":  # thresholds that grow fast, so that rows are lost; 7 candidates at most
        evolved: Sizing = planned_evolution(planted)
        return evolved
    if method == "pep":  # thresholds that rise fast
        pruned: Sizing = planted.sizing("pep", budget=450, start=-2.0, speed=20.0, every=1)
        return pruned
    if method == "autosrh":
        tried: Sizing = planted.sizing("autosrh", budget=450, rate=0.05)
        return tried
    if method != "mixed":
        options = {"search_epochs": 2} if method == "masked_rows" else {}
        found: Sizing = planted.sizing(method, budget=4 * sum(planted.ROWS) + 25 * 16, **options)
        return found
    groups = []
    for number, name in enumerate(("masked_rows", "moving_rows", "hash_rows")):
        whole = planted.sizing(name, budget=700)
        chosen = METHODS.get(name)()
        table = whole.groups[0].tables[number].table
        groups.append(chosen.size([table], max(100, chosen.least_bytes([table])), optimizer=whole.optimizer).groups[0])
    return replace(whole, groups=tuple(groups), budget_bytes=2000)


def planned_search(planted: ModuleType) -> Any:
    """Candidates 1, 2 and 4, and bytes for all of the smallest two tables."""
    return planted.sizing("autodim", budget=600, candidates=(1, 2, 4), cooling=1e-3)


def planned_evolution(planted: ModuleType, **options: Any) -> Any:
    """Bytes for three numbers per id; thresholds that the loss drives up, above the rows that no batch touches."""
    few = {"generations": 2, "mutations": 2, "crossovers": 2, "mutation_rate": 0.3, "alpha": 1.0, "init": 0.005}
    return planted.sizing("optembed", budget=12 * sum(SPARSE_ROWS), rows=SPARSE_ROWS, **{**few, **options})


def trainer(planted: ModuleType, method: str, folder: Path | None = None, **arguments: Any) -> Any:
    rows = SPARSE_ROWS if method == "optembed" else planted.ROWS
    given = planted.data(150, 60, rows=rows)
    return planted.trainer(sizing(planted, method), given, folder=folder, config=RUN, **arguments)


STEPS = {
    "masked_rows": 12, "moving_rows": 6, "mixed": 9, "autodim": 9, "optembed": 16, "pep": 9, "autosrh": 12,
}  # fmt: skip


@pytest.mark.parametrize("method", STEPS)
def test_it_trains_and_freezes_to_the_promised_bytes(planted: ModuleType, method: str) -> None:
    made = trainer(planted, method)
    made.watcher = watch = planted.Watch()
    outcome = made.run()
    assert watch.steps == list(range(1, STEPS[method] + 1))
    assert [b["stage"] for b in watch.begun] == [s.name for s, _ in made.stages]
    assert outcome.history[-1]["train_loss"] < outcome.history[0]["train_loss"]
    served = freeze(outcome.model.bank)
    promised = made.stages[-1][1].serve_bytes
    if method in ("autodim", "optembed"):
        assert served.held_bytes() == outcome.model.bank.sizing.serve_bytes < promised
    else:
        assert served.held_bytes() == promised
    assert promised <= sizing(planted, method).budget_bytes
    rows = made.data.validation.rows
    with torch.no_grad():
        expected = outcome.model(rows.dense, rows.ids)
        found = outcome.model.with_bank(served).eval()(rows.dense, rows.ids)
        if method in ("pep", "autosrh"):  # in float16
            torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)
        else:
            assert torch.equal(found, expected)


@pytest.mark.parametrize("method", STEPS)
def test_it_resumes_exactly_at_every_step_of_every_stage(planted: ModuleType, tmp_path: Path, method: str) -> None:
    whole = trainer(planted, method).run()
    expected = planted.tensors(whole)
    for step in range(1, STEPS[method] + 1):
        folder = tmp_path / str(step)

        def stop(now: int, step: int = step) -> None:
            if now == step:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            trainer(planted, method, folder, watcher=planted.Watch(on_step=stop)).run()
        resumed = trainer(planted, method, folder).run()
        found = planted.tensors(resumed)
        assert found.keys() == expected.keys()
        assert [name for name, t in found.items() if not torch.equal(t, expected[name])] == [], step
        assert planted.without_times(resumed.history) == planted.without_times(whole.history)
        assert (resumed.best_epoch, resumed.validation) == (whole.best_epoch, whole.validation)


@pytest.mark.parametrize("method", STEPS)
def test_it_resumes_exactly_from_every_checkpoint(planted: ModuleType, tmp_path: Path, method: str) -> None:
    # killed one step after it: what that step did is lost, and done again
    expected = planted.tensors(trainer(planted, method).run())
    for step in range(1, STEPS[method] + 1):
        folder = tmp_path / str(step)

        def stop(now: int, step: int = step) -> None:
            if now == step:
                raise RuntimeError

        with pytest.raises(RuntimeError):
            trainer(planted, method, folder, watcher=planted.Watch(on_step=stop)).run()
        found = planted.tensors(trainer(planted, method, folder).run())
        assert [name for name, t in found.items() if not torch.equal(t, expected[name])] == [], step


def test_rows_moved_while_training_and_the_mask_came_from_the_search(planted: ModuleType) -> None:
    # the tests of the tests: without this, the two methods would prove nothing
    moved = trainer(planted, "moving_rows").run().model.bank.tensors()
    assert int((moved["0.owners"] >= 0).sum()) > 0
    masked = trainer(planted, "masked_rows").run().model.bank.tensors()
    assert (masked["0.map"] >= 0).sum() == masked["0.rows"].shape[0] < len(masked["0.map"])


def test_the_search_ended_with_other_widths_than_were_promised(planted: ModuleType, tmp_path: Path) -> None:
    made = trainer(planted, "autodim", tmp_path)
    bank = made.run().model.bank
    assert bank.sizing != made.stages[-1][1]
    assert bank.sizing == Sizing.from_json(made.state.sizing)
    assert all(g.settings["settled"] for g in bank.sizing.groups)


def test_candidates_are_scored_by_the_trainer_and_nothing_trains_meanwhile(planted: ModuleType) -> None:
    made = trainer(planted, "optembed")
    made.watcher = watch = planted.Watch()
    seen: list[tuple[dict[str, Any], list[list[int]]]] = []

    def note(step: int) -> None:
        assert made.model.training
        if made.stages[made.state.stage][0].scores:
            tensors = planted.tensors(Outcome(model=made.model, history=[], best_epoch=0, validation=None,
                                              optimizer=made.optimizer))  # fmt: skip
            seen.append((tensors, tensors["bank.0.log"].tolist()))

    watch.on_step = note
    outcome = made.run()
    begun = next(b for b in watch.begun if "candidates" in b)
    assert begun == {"stage": "evolve", "candidates": 9, "rows": 60, "done": 0}
    assert len(seen) == len(watch.scored_aucs) == 7, "two of the nine had been scored before"
    for tensors, _ in seen:
        moved = {n for n, t in tensors.items() if not torch.equal(t, seen[0][0][n])}
        assert moved <= {"bank.0.log", "bank.0.fitness", "bank.0.moment"}
    aucs = [auc for auc, _ in watch.scored_aucs]
    assert [best for _, best in watch.scored_aucs] == [max(aucs[: n + 1]) for n in range(7)]
    (entry,) = [e for e in outcome.history if e["stage"] == "evolve"]
    assert (entry["candidates"], entry["auc"], entry["step"], entry["epoch"]) == (7, max(aucs), 10, 1)
    assert "train_loss" not in entry
    widths = {t.table.name: t.settings["width"] for g in outcome.model.bank.sizing.groups for t in g.tables}
    tables = [t.table.name for t in made.stages[0][1].groups[0].tables]
    best_one = seen[aucs.index(max(aucs))][1]
    assert [widths[name] for name in tables] in best_one


def test_the_auc_of_a_candidate_is_that_of_what_it_becomes(planted: ModuleType) -> None:
    """Before it trains again: the settled bank, under the same nets, scores validation rows as its candidate did."""
    made = planted.trainer(
        planned_evolution(planted, inherits=True), planted.data(150, 60, rows=SPARSE_ROWS), config=RUN
    )  # fmt: skip
    found: list[float] = []
    watch = planted.Watch()
    begin = watch.begin

    def note(**stage: Any) -> None:
        begin(**stage)
        if stage["stage"] == "retrain":
            scores = scores_of(made.model, made.data.validation, batch_size=64)
            found.append(evaluate(scores.labels, scores.logits).auc)
            bank = made.model.bank
            found.append(sum(bool(g.settings["mapped"]) for g in bank.sizing.groups))

    watch.begin, made.watcher = note, watch
    made.run()
    assert found == [max(auc for auc, _ in watch.scored_aucs), 1]


def test_what_was_settled_is_trained_anew(planted: ModuleType) -> None:
    """Rows and nets as they were built, in the widths and for the ids that the search found."""
    made = trainer(planted, "optembed")
    seen = at_begin(planted, made)
    outcome = made.run()
    supernet, retrain = seen
    assert retrain["nets"].keys() == supernet["nets"].keys()
    assert all(torch.equal(t, retrain["nets"][name]) for name, t in supernet["nets"].items())
    assert not retrain["optimizer"]
    assert int(retrain["bank"]["steps"]) == 0
    fresh = build(outcome.model.bank.sizing, seed=made.seed).tensors()
    maps = {name for name in fresh if name.endswith(".map")}
    assert len(maps) == 1
    for name, tensor in retrain["bank"].items():
        assert torch.equal(tensor, fresh[name]) == (name not in maps), name
    (of_ids,) = (retrain["bank"][name] for name in maps)
    rows = made.data.train.rows.ids[:, 0]
    touched = torch.isin(torch.arange(400), rows)
    assert torch.equal(of_ids >= 0, touched), "the rows that no batch touched are lost"


def test_a_kill_loses_as_many_rows_of_scoring_as_of_training(planted: ModuleType) -> None:
    made = trainer(planted, "optembed")
    made.config = replace(made.config, checkpoint_steps=4)  # 200 rows; a candidate takes 60
    saved: list[int] = []
    made._checkpoint = lambda: saved.append(made.state.batch) if made.state.stage == 1 else None
    made.run()
    assert saved == [3, 6, 0], "and one behind the last"


def test_some_rows_of_validation_may_judge(planted: ModuleType) -> None:
    made = planted.trainer(
        planned_evolution(planted, score_rows=25), planted.data(150, 60, rows=SPARSE_ROWS), config=RUN
    )  # fmt: skip
    made.watcher = watch = planted.Watch()
    made.run()
    assert watch.begun[1]["rows"] == 25
    other = trainer(planted, "optembed")
    other.watcher = all_rows = planted.Watch()
    other.run()
    assert watch.scored_aucs[0] != all_rows.scored_aucs[0], "the first candidate is the same one"


def test_candidates_need_validation_rows_of_two_classes(planted: ModuleType) -> None:
    made = trainer(planted, "optembed")
    made.data = planted.data(100, 0, rows=SPARSE_ROWS)
    with pytest.raises(TrainingError, match="'evolve' scores candidates on validation rows, and there are none"):
        made.run()
    made = trainer(planted, "optembed")
    one_class = replace(made.data.validation.rows, label=torch.ones(60))
    made.data = planted.Data(train=made.data.train, validation=planted.Source(rows=one_class))
    with pytest.raises(TrainingError, match="its 60 validation rows are of one class"):
        made.run()


def test_what_is_held_out_learns_from_validation_rows_alone_and_nothing_else_does(planted: ModuleType) -> None:
    made = trainer(planted, "autodim")
    made.stages = ((replace(made.stages[0][0], epochs=2), made.stages[0][1]),)
    seen: list[dict[str, Any]] = []

    def note(**arguments: Any) -> None:
        seen.append(planted.tensors(Outcome(model=made.model, history=[], best_epoch=0, validation=None,
                                            optimizer=made.optimizer)) | arguments)  # fmt: skip
        begin(**arguments)

    made._begin()
    begin, made.model.bank.begin_step = made.model.bank.begin_step, note
    made._begin = lambda: None
    made.run()
    assert [(s["step"], s["rows"], s.get("held_out", False)) for s in seen] == [
        (step, 50 * step, held_out) for step in range(6) for held_out in (False, True)
    ]
    for before, after in itertools.pairwise(seen):
        held_out = before.get("held_out", False)
        moved = {n for n, t in before.items() if isinstance(t, torch.Tensor) and not torch.equal(t, after[n])}
        names = {n.split(".", 2)[2] if n.startswith("bank.0") else n for n in moved} - {"moment"}
        if held_out:
            assert {n for n in names if not n.startswith("optimizer")} == {"alpha"}
        else:
            assert "alpha" not in names
            assert {"rows", "widen", "rows.sum", "nets.top.0.weight", "bank.steps"} <= names
    trained = [a for a in made.data.validation.asked if a["batch_size"] == made.config.batch_size]
    # 60 rows are two batches; the third epoch of them begins behind the fifth step
    assert [(a["epoch"], a["start"]) for a in trained] == [(0, 0), (1, 0), (1, 1), (2, 0)]


def test_what_a_method_moves_by_its_own_rule_moves_in_the_search_alone_while_nets_rest(planted: ModuleType) -> None:
    made = trainer(planted, "autosrh")
    seen: list[dict[str, Any]] = []

    def step(**told: Any) -> None:
        nets = {f"nets.{name}": t.detach().clone() for name, t in made.model.nets().items()}
        tables = {name: t.clone() for name, t in made.model.bank.tensors().items()}
        seen.append({**nets, **tables})

    made.watcher = planted.Watch()
    made.watcher.step = step
    made.run()
    warm, search, last = seen[:3], seen[3:6], seen[6:]
    for before, after in itertools.pairwise(warm):
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert {"nets.top.0.weight", "0.rows"} <= moved
        assert "0.alpha" not in moved
    assert (warm[-1]["0.alpha"] == 1).all()
    for before, after in itertools.pairwise([warm[-1], *search]):
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert {"0.rows", "0.alpha"} <= moved
        assert not any(name.startswith("nets.") for name in moved)
    assert all("0.kept" in tensors and "0.alpha" not in tensors for tensors in last)
    asked = [a for a in made.data.validation.asked if a["batch_size"] == made.config.batch_size]
    assert [(a["epoch"], a["start"]) for a in asked] == [(0, 0), (1, 0)], "60 rows are two batches, three are asked for"


def test_a_search_gives_fewer_numbers_to_a_table_that_says_nothing(planted: ModuleType) -> None:
    """Labels hang on one of two tables; of the other, wide rows learn noise, which validation rows do not bear out."""

    def rows(count: int, seed: int) -> Any:
        law, draw = torch.Generator().manual_seed(99), torch.Generator().manual_seed(seed)
        ids = torch.stack([torch.randint(n, (count,), generator=draw) for n in (60, 1000)], dim=1)
        odds = (torch.randn(60, generator=law) * 2)[ids[:, 0]]
        label = (torch.rand(count, generator=draw) < torch.sigmoid(odds)).float()
        return planted.Source(
            rows=planted.Rows(dense=torch.randn(count, planted.DENSE, generator=draw), ids=ids, label=label)
        )

    tables = [TableSpec(name=n, rows=rows, dim=16, ids="rank") for n, rows in (("signal", 60), ("noise", 1000))]
    sized = size(tables, "100%", "autodim", optimizer=OptimizerSpec(lr=0.1), cooling=2e-5, search_epochs=8)
    expected = torch.zeros(2)
    for seed in range(3):
        made = planted.trainer(
            sized, planted.Data(train=rows(4000, 1), validation=rows(2000, 2)),
            config={"epochs": 1, "dense_lr": 0.02, "batch_size": 100}, seed=seed,
            restore_best=False,
        )  # fmt: skip
        made.stages = made.stages[:1]
        (group,) = made.run().model.bank.groups
        assert [t.table.name for t in group.sizing.tables] == ["signal", "noise"]
        expected += group.method.mixture(group).detach() @ torch.tensor([2.0, 4.0, 8.0, 16.0]) / 3
    signal, noise = expected.tolist()
    assert noise + 1.5 < signal, "all four alike would be 7.5 both"


def test_a_stage_that_holds_out_needs_validation_rows(planted: ModuleType) -> None:
    made = trainer(planted, "autodim")
    made.data = planted.data(100, 0)
    with pytest.raises(TrainingError, match="'search' trains on validation rows, and there are none"):
        made.run()


# -- what a stage says is done -------------------------------------------------------------------------------------


def at_begin(planted: ModuleType, made: Any) -> list[dict[str, Any]]:
    """Tensors and optimizer at the begin of every stage, filled while the trainer runs."""
    seen: list[dict[str, Any]] = []

    def note(**stage: Any) -> None:
        tensors = {name: t.clone() for name, t in made.model.bank.tensors().items()}
        nets = {name: t.detach().clone() for name, t in made.model.nets().items()}
        state = {name: t.clone() for name, t in optimizer_tensors(made.optimizer).items()}
        seen.append({"bank": tensors, "nets": nets, "optimizer": state, **stage})

    made.watcher = planted.Watch()
    made.watcher.begin = note
    return seen


def staged(planted: ModuleType, **changes: Any) -> Any:
    """masked_rows with its second stage changed."""
    made = trainer(planted, "masked_rows")
    (first, before), (second, after) = made.stages
    made.stages = ((first, before), (replace(second, **changes), after))
    return made


@pytest.mark.parametrize("optimizer", ["keep", "reset"])
def test_the_state_of_both_optimizers_is_kept_or_reset_as_the_stage_says(planted: ModuleType, optimizer: str) -> None:
    made = staged(planted, optimizer=optimizer)
    seen = at_begin(planted, made)
    made.run()
    second = seen[1]
    kept = optimizer == "keep"
    assert bool(second["optimizer"]) is kept
    assert bool(second["bank"]["0.rows.sum"].any()) is kept
    assert int(second["bank"]["steps"]) == (6 if kept else 0)
    assert bool(second["bank"]["0.rows"].any()), "values are always taken over"


@pytest.mark.parametrize("begin", ["initial", "fresh"])
def test_a_stage_may_begin_with_the_values_that_the_run_began_with(planted: ModuleType, begin: Any) -> None:
    """Nets to the bit, rows too, or those of another seed; what the stage before decided stays."""
    made = trainer(planted, "pep")
    (first, before), (second, after) = made.stages
    made.stages = ((first, before), (replace(second, begin=begin), after))
    seen = at_begin(planted, made)
    made.run()
    for name, tensor in seen[0]["nets"].items():
        assert torch.equal(tensor, seen[1]["nets"][name]), name
    mask = torch.cat([part for _, part in masks(seen[1]["bank"]["0.kept"], 4)])
    assert 0.1 < mask.float().mean() < 0.9
    same = seen[1]["bank"]["0.rows"] == seen[0]["bank"]["0.rows"]
    assert bool(same[mask].all()) == (begin == "initial")
    assert bool(same[mask].any()) == (begin == "initial")
    assert not seen[1]["bank"]["0.rows"][~mask].any()
    assert not seen[1]["optimizer"]
    assert not seen[1]["bank"]["0.rows.sum"].any()
    assert int(seen[1]["bank"]["steps"]) == 0


def test_a_stage_that_begins_anew_in_a_run_that_goes_on_begins_with_the_earlier_model(planted: ModuleType) -> None:
    earlier = planted.trainer(planted.sizing("full")).run()
    start = WarmStart(
        bank=earlier.model.bank, nets={n: t.detach() for n, t in earlier.model.nets().items()},
        optimizer=optimizer_tensors(earlier.optimizer),
    )  # fmt: skip
    sized = planted.sizing("full")
    made = planted.trainer(sized, config=RUN, start=start)
    ((only, held),) = made.stages
    made.stages = ((only, held), (replace(only, name="again", begin="initial"), held))
    seen = at_begin(planted, made)
    made.run()
    assert seen[0]["nets"]
    assert all(torch.equal(seen[0]["nets"][name], net) for name, net in seen[1]["nets"].items())
    assert not torch.equal(seen[0]["bank"]["0.rows"], seen[1]["bank"]["0.rows"]), "full settles nothing: its rows go on"


def test_nets_are_carried_into_the_next_stage(planted: ModuleType) -> None:
    made = staged(planted, dense=False)
    seen = at_begin(planted, made)
    outcome = made.run()
    assert not torch.equal(seen[0]["nets"]["top.0.weight"], seen[1]["nets"]["top.0.weight"])
    for name, tensor in outcome.model.nets().items():
        assert torch.equal(tensor, seen[1]["nets"][name]), "the second stage trains tables only"
    assert not torch.equal(outcome.model.bank.tensors()["0.rows"], seen[1]["bank"]["0.rows"])


def test_a_stage_on_validation_rows_trains_on_them(planted: ModuleType) -> None:
    made = staged(planted, split="validation", epochs=1)
    made.run()
    settings = made.config
    trained = [a for a in made.data.validation.asked if a["batch_size"] == settings.batch_size]
    assert [a["epoch"] for a in trained] == [0]
    assert [a["epoch"] for a in made.data.train.asked] == [0, 1]


def test_a_later_stage_without_rows_is_refused_before_the_first(planted: ModuleType) -> None:
    made = staged(planted, split="validation")
    made.data = planted.data(100, 0)
    made.watcher = watch = planted.Watch()
    with pytest.raises(TrainingError, match="'retrain' trains on validation rows, and there are none"):
        made.run()
    assert watch.steps == []


def test_only_the_last_stage_chooses_an_epoch_and_loses_patience(planted: ModuleType, tmp_path: Path) -> None:
    made = trainer(planted, "masked_rows", tmp_path)
    made.config = replace(made.config, patience=1, epochs=30)
    made.run_identity["config"] = "changed"
    saved = []
    keep = made._best.keep
    made._best.keep = lambda state, *rest: (saved.append((state.stage, state.best_epoch)), keep(state, *rest))
    outcome = made.run()
    stages = [e["stage"] for e in outcome.history]
    assert stages[:2] == ["search", "search"]
    assert 1 < stages.count("retrain") < 30
    assert outcome.best_epoch == stages.count("retrain") - 1
    assert {stage for stage, _ in saved} == {1}
    found = scores_of(outcome.model, made.data.validation, batch_size=64)
    assert len(found.labels) == 60


def test_a_stage_that_keeps_an_optimizer_of_other_shapes_is_refused(planted: ModuleType) -> None:
    from pocketrec.models import MODELS, ModelConfig

    widths = iter((8, 9))

    def other_each_time(bank: Any) -> Any:
        config = ModelConfig(bottom=(6,), top=(next(widths),))
        return MODELS.get("dlrm")(bank, dense_features=2, config=config, seed=0)

    with pytest.raises(OptionError, match="nets of another model"):
        trainer(planted, "masked_rows", make_model=other_each_time).run()
