"""The next day: ids never move, rows and the state of both optimizers are taken over to the bit."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketrec.artifact import Manifest, load_artifact, save_artifact
from pocketrec.compress import METHODS
from pocketrec.pipeline import Trained, load, train
from pocketrec.pipeline.carry_on import check_onward, onward, start_from
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError, OptionError
from pocketrec.train import Trainer
from pocketrec.train.optim import optimizer_tensors
from pocketrec.train.watch import Silent

GROWING = ("deeplight", "full", "narrow")


class AtTheStart(Silent):
    """Takes a copy of everything before the first step."""

    def __init__(self, made: list[Trainer]) -> None:
        self.made = made
        self.parts: list[dict[str, dict[str, Tensor]]] = []

    def begin(self, **_: Any) -> None:
        trainer = self.made[-1]
        parts = {
            "training": trainer.model.bank.tensors(), "nets": trainer.model.nets(),
            "optimizer": optimizer_tensors(trainer.optimizer),
        }  # fmt: skip
        self.parts.append({part: {n: t.detach().clone() for n, t in held.items()} for part, held in parts.items()})


@pytest.fixture
def at_start(monkeypatch: pytest.MonkeyPatch) -> AtTheStart:
    """A watcher that sees the trainer."""
    made: list[Trainer] = []

    def spied(*args: Any, **settings: Any) -> Trainer:
        made.append(Trainer(*args, **settings))
        return made[-1]

    # by its name in sys.modules: the function `train` stands before the module of that name
    monkeypatch.setattr(importlib.import_module("pocketrec.pipeline.train"), "Trainer", spied)
    return AtTheStart(made)


@pytest.fixture(scope="module")
def days(runs: Callable[..., Any], fit: Callable[..., Trained], next_day: Any) -> Callable[[str], tuple[Any, Trained]]:
    """``days(method)``: yesterday's run and today's."""
    made: dict[str, tuple[Any, Trained]] = {}

    def get(method: str) -> tuple[Any, Trained]:
        if method not in made:
            run = runs(method)
            made[method] = (run, fit(next_day, start=run.out))
        return made[method]

    return get


# ---------------------------------------------------------------- what is taken over


def test_nets_that_serve_in_bfloat16_go_on_as_they_were_trained(
    fit: Callable[..., Trained], logs: dict[str, Any], runs: Callable[..., Any], next_day: Any, tmp_path: Path,
    at_start: AtTheStart,
) -> None:  # fmt: skip
    run, settings = runs("min_count"), {"method": "min_count", "budget": "4x", "options": {"storage": "float32"}}
    fit(logs["ranks"], **settings, serving_precision="bfloat16", out=tmp_path / "run")
    trained = load_artifact(run.out / "model").tensors("nets")
    onwards = fit(next_day, start=tmp_path / "run", watcher=at_start)
    for name, tensor in at_start.parts[0]["nets"].items():
        assert torch.equal(tensor, trained[name]), "rounded before training went on"
    assert {t.dtype for t in onwards.recommender.model.nets().values()} == {torch.bfloat16}


@pytest.mark.parametrize("method", METHODS.names())
def test_rows_nets_and_the_state_of_both_optimizers_are_taken_over(
    method: str, runs: Callable[..., Any], fit: Callable[..., Trained], next_day: Any, at_start: AtTheStart
) -> None:
    run = runs(method)
    fit(next_day, start=run.out, watcher=at_start)
    before, (now, *later) = load_artifact(run.out / "model"), at_start.parts
    staged = METHODS.get(method).traits.staged
    assert bool(later) == (staged and not METHODS.get(method).traits.settles), "what has settled is not searched again"
    for part in ("nets", "optimizer"):
        kept = before.tensors(part)
        assert kept.keys() == now[part].keys()
        assert all(torch.equal(t, now[part][name]) for name, t in kept.items())
    assert any(t.abs().sum() > 0 for t in now["optimizer"].values())
    assert int(now["training"]["steps"]) > 0
    if staged:  # it begins with its first stage, which holds other tensors: the method's own tests look at them
        return
    sizing = load(run.out).sizing if method not in GROWING else None
    for name, kept_tensor in before.tensors("training").items():
        found = now["training"][name]
        if sizing is not None or kept_tensor.shape == found.shape:
            assert torch.equal(kept_tensor, found), name
        else:
            _check_grown(method, run, name, kept_tensor, found, fit)


def _check_grown(method: str, run: Any, name: str, kept: Tensor, found: Tensor, fit: Callable[..., Trained]) -> None:
    """Every table's old rows stand at the head of its new ones."""
    old = [int(t.settings["rows"]) for t in start_from(run.out).sizing.groups[0].tables]
    assert len(kept) == sum(old) < len(found), f"{method}: {name}"
    item, site = torch.split(kept, old)
    assert torch.equal(found[: old[0]], item)
    # the second table begins where the first, grown one ends
    first = next(i for i in range(old[0], len(found) - old[1] + 1) if torch.equal(found[i : i + old[1]], site))
    assert first >= old[0]


@pytest.mark.parametrize("method", METHODS.names())
def test_the_vocabulary_appends_and_ids_never_move(
    method: str, days: Callable[[str], tuple[Any, Trained]], logs: dict[str, Any], next_day: Any
) -> None:
    run, today = days(method)
    yesterday = start_from(run.out).encoder
    now = today.recommender.encoder  # not cut, because the run was not saved
    spaces: dict[str, Any] = {"item": "rank", "site": "rank"}
    old = yesterday.encode(logs["ranks"].table, id_spaces=spaces)
    new = now.encode(logs["ranks"].table, id_spaces=spaces)
    known = old.ids > 0
    np.testing.assert_array_equal(old.ids[known], new.ids[known])
    assert old.dense.tobytes() == new.dense.tobytes(), "what was fitted on yesterday's numbers stays"
    for table, vocabulary in yesterday.vocabularies.items():
        grown = now.vocabularies[table]
        assert grown.size > vocabulary.size
        np.testing.assert_array_equal(grown.tokens()[: vocabulary.size], vocabulary.tokens())
    assert now.encode(next_day.table, id_spaces=spaces).ids.max() > old.ids.max()


@pytest.mark.parametrize("method", METHODS.names())
def test_full_grows_and_the_others_keep_their_sizing(method: str, days: Callable[[str], tuple[Any, Trained]]) -> None:
    run, today = days(method)
    before, after = start_from(run.out).sizing, today.recommender.sizing
    if method in GROWING:
        assert after.of("item").settings["rows"] > before.of("item").settings["rows"]
        assert after.serve_bytes > before.serve_bytes
    else:
        assert after.groups == before.groups
        assert after.budget_bytes == before.budget_bytes
    assert today.result.promised_bytes == today.result.held_bytes == after.serve_bytes


def test_another_day_trains_on_from_there(days: Callable[[str], tuple[Any, Trained]], next_day: Any) -> None:
    run, today = days("min_count")
    assert today.result.epochs == 1
    yesterday = load(run.out)
    frame = next_day.test_rows()
    assert not np.array_equal(yesterday.logits(frame), today.recommender.logits(frame))
    labels = frame["click"].to_numpy()

    def loss(logits: np.ndarray) -> float:
        return float(np.mean(np.log1p(np.exp(-np.where(labels > 0, logits, -logits)))))

    assert loss(today.recommender.logits(frame)) < loss(yesterday.logits(frame))


def test_no_room_to_grow_is_said(runs: Callable[..., Any], fit: Callable[..., Trained], next_day: Any) -> None:
    run = runs("full")
    exact = run.trained.result.promised_bytes
    today = fit(next_day, start=run.out, budget=exact)
    assert today.recommender.sizing.serve_bytes == exact
    assert any("New ids got no rows of their own: full needs at least" in note for note in today.result.notes)


def test_rows_do_not_become_narrower_to_make_room(
    runs: Callable[..., Any], fit: Callable[..., Trained], next_day: Any
) -> None:
    run = runs("narrow")
    today = fit(next_day, start=run.out, budget=run.trained.result.promised_bytes)
    assert today.recommender.sizing.groups == start_from(run.out).sizing.groups
    assert any("every row would have to become narrower" in note for note in today.result.notes)


def test_a_refit_on_the_next_day_starts_from_yesterday_twice(
    runs: Callable[..., Any], fit: Callable[..., Trained], next_day: Any, at_start: AtTheStart
) -> None:
    fit(next_day, start=runs("min_count").out, refit=True, watcher=at_start)
    first, second = at_start.parts
    assert all(torch.equal(t, second["training"][name]) for name, t in first["training"].items())


def test_the_third_day_goes_on_from_the_second(
    runs: Callable[..., Any], fit: Callable[..., Trained], next_day: Any, logs: dict[str, Any], tmp_path: Path
) -> None:
    second = fit(next_day, start=runs("full").out, out=tmp_path / "second")
    third = fit(logs["ranks"], start=tmp_path / "second")
    steps = [int(start_from(folder).warm.bank.steps) for folder in (runs("full").out, tmp_path / "second")]
    assert 0 < steps[0] < steps[1]
    assert third.recommender.sizing.serve_bytes == second.recommender.sizing.serve_bytes, "nothing new on that day"


def test_it_resumes_and_finishes_like_any_run(
    runs: Callable[..., Any], fit: Callable[..., Trained], next_day: Any, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    class Killer(Silent):
        def step(self, *, step: int, batch: int, loss: float) -> None:
            if batch == 3:
                raise Killed

    settings = {"start": runs("min_count").out, "train": {"checkpoint_steps": 1, "epochs": 1}}
    expected = fit(next_day, **settings)
    with pytest.raises(Killed):
        fit(next_day, out=tmp_path / "run", watcher=Killer(), **settings)
    gone_on = fit(next_day, out=tmp_path / "run", **settings)
    frame = next_day.table
    np.testing.assert_array_equal(gone_on.recommender.logits(frame), expected.recommender.logits(frame))
    assert fit(next_day, out=tmp_path / "run", **settings).again
    with pytest.raises(ArtifactError, match="continues another artifact"):
        fit(next_day, out=tmp_path / "run", **{**settings, "start": runs("min_count", "int8").out},
            options={"storage": "int8"})  # fmt: skip


# ---------------------------------------------------------------- settings


def test_settings_are_yesterdays_but_for_data_and_epochs(runs: Callable[..., Any]) -> None:
    start = start_from(runs("robe", "int8").out)
    config = onward(start, {"data": ["tomorrow.csv"], "train.batch_size": 64})
    assert (config.method, config.options, config.dim) == ("robe", {"storage": "int8"}, 8)
    assert (config.train.epochs, config.train.batch_size) == (1, 64)
    assert (config.data, config.schema) == (("tomorrow.csv",), start.config.schema)
    with pytest.raises(OptionError, match="the command line: data names no file"):
        onward(start, {}, source="the command line")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "full"}, "method was 'min_count', is 'full'"),
        ({"options.storage": "int8"}, "options was {'storage': 'float32'}, is {'storage': 'int8'}"),
        ({"dim": 4}, "dim was 8, is 4"),
        ({"model.top": [4]}, "model was .* is "),
        ({"budget": "8x"}, "budget was '4x', is '8x'"),
        ({"optimizer.name": "adam"}, r"optimizer\.name was 'rowwise_adagrad', is 'adam'"),
        ({"train.dense_optimizer": "sgd"}, r"train\.dense_optimizer was 'adam', is 'sgd'"),
        ({"schema": "criteo"}, "the schema is another one"),
    ],
)
def test_what_rows_depend_on_cannot_change(given: dict[str, Any], said: str, runs: Callable[..., Any]) -> None:
    start = start_from(runs("min_count").out)
    with pytest.raises(OptionError, match=f"{said}.*Leave them as they were, or train a new model"):
        check_onward(start, onward(start, {"data": ["x"], **given}))


def test_steps_may_become_smaller(runs: Callable[..., Any], fit: Callable[..., Trained], next_day: Any) -> None:
    today = fit(next_day, start=runs("min_count").out, optimizer={"lr": 1e-9})
    before = load(runs("min_count").out).model.bank.tensors()["0.rows"]
    np.testing.assert_allclose(today.recommender.model.bank.tensors()["0.rows"], before, atol=1e-6)
    assert today.recommender.sizing.optimizer.lr == 1e-9


@pytest.mark.parametrize("method", ["hash_rows", "robe", "quotient_remainder"])
def test_another_seed_orders_rows_anew_but_moves_no_hash(
    method: str, runs: Callable[..., Any], fit: Callable[..., Trained], next_day: Any
) -> None:
    still = {"optimizer": {"lr": 1e-12}, "train": {"dense_lr": 1e-12}}
    today = fit(next_day, start=runs(method).out, seed=5, **still)
    before = load(runs(method).out)
    np.testing.assert_allclose(today.recommender.logits(next_day.table), before.logits(next_day.table), atol=1e-4)
    one, two = (fit(next_day, start=runs(method).out, seed=seed).recommender for seed in (0, 5))
    assert not np.array_equal(one.logits(next_day.table), two.logits(next_day.table))


def test_a_growing_method_may_get_another_budget(runs: Callable[..., Any]) -> None:
    start = start_from(runs("full").out)
    check_onward(start, onward(start, {"data": ["x"], "budget": "2MiB"}))


def test_the_schema_file_of_yesterday_need_not_be_there(
    fit: Callable[..., Trained], logs: dict[str, Any], next_day: Any, tmp_path: Path
) -> None:
    file = tmp_path / "schema.yaml"
    file.write_text(logs["ranks"].schema.to_yaml())
    fit(logs["ranks"], budget="4x", schema=str(file), out=tmp_path / "run")
    file.unlink()
    today = train(next_day.path, start=tmp_path / "run", cache=tmp_path / "cache")
    assert today.result.test.rows == 60


# ---------------------------------------------------------------- artifacts that cannot be continued


def test_a_serving_copy_cannot_be_continued(runs: Callable[..., Any], next_day: Any, tmp_path: Path) -> None:
    load(runs("min_count").out).save(tmp_path / "served")
    with pytest.raises(ArtifactError, match=r"saved for serving only.*Continue the artifact that `pocketrec train`"):
        train(next_day.path, start=tmp_path / "served", cache=tmp_path)


def test_parts_that_do_not_fit_each_other_are_refused(runs: Callable[..., Any], tmp_path: Path) -> None:
    folder = shutil.copytree(runs("min_count").out / "model", tmp_path / "model")
    artifact = load_artifact(folder)
    parts = {part: {name: t.clone() for name, t in artifact.tensors(part).items()} for part in artifact.parts}
    content = json.loads(json.dumps(artifact.manifest.content))
    content["training_sizing"]["groups"][0]["train"][0]["shape"] = [2, 8]
    save_artifact(folder, Manifest(kind="model", content=content), parts)
    with pytest.raises(ArtifactCorrupt, match="do not fit each other"):
        start_from(folder)
