"""A run from files to result: exact bytes, exact resume, nothing seen too early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

import pocketrec
from pocketrec.artifact import load_artifact
from pocketrec.compress import METHODS, build
from pocketrec.data.dataset import Dataset
from pocketrec.metrics import evaluate
from pocketrec.models import MODELS, Model, ModelConfig
from pocketrec.pipeline import Trained, load, train
from pocketrec.pipeline import train as package_train
from pocketrec.pipeline.config import RunConfig
from pocketrec.pipeline.train import run as pipeline_run
from pocketrec.spec.errors import ArtifactError, BudgetTextError, BudgetTooSmall, OptionError
from pocketrec.spec.result import read_results
from pocketrec.spec.schema import Schema
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import kept_in
from pocketrec.train.watch import Silent

CASES = [(method, storage) for method in METHODS.names() for storage in ("float32", "int8")]
CASES += [("min_count", "int4"), ("robe", "int4")]  # one of rows and one of a shared array


# ---------------------------------------------------------------- bytes


@pytest.mark.parametrize(("method", "storage"), CASES)
def test_promised_held_and_file_bytes_are_one_number(method: str, storage: str, runs: Callable[..., Any]) -> None:
    run = runs(method, storage)
    result = run.trained.result
    in_file = 0
    for file in (run.out / "model").glob("tables-*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            tensors = [opened.get_tensor(name) for name in opened.keys() if not name.startswith("__pad")]  # noqa: SIM118
            in_file += sum(t.numel() * t.element_size() for t in tensors)
    assert result.promised_bytes == result.held_bytes == result.file_bytes == in_file
    assert result.promised_bytes <= result.budget_bytes
    assert sum(result.table_bytes.values()) == result.promised_bytes
    assert load(run.out).model.bank.held_bytes() == in_file


@pytest.mark.parametrize(("method", "storage"), CASES)
def test_the_loaded_model_predicts_as_the_one_in_memory(
    method: str, storage: str, runs: Callable[..., Any], fit: Callable[..., Trained], logs: dict[str, Any]
) -> None:
    run, frame = runs(method, storage), logs["ranks"].table
    settings = {"method": method, "budget": run.trained.result.budget, "options": {"storage": kept_in(method, storage)}}
    in_memory = fit(logs["ranks"], **settings)
    assert in_memory.recommender.artifact is None
    expected = in_memory.recommender.logits(frame)
    assert len(np.unique(expected)) > len(expected) // 2
    for opened in (run.trained.recommender, load(run.out), load(run.out / "model", verify="lazy")):
        np.testing.assert_array_equal(opened.logits(frame), expected)
    np.testing.assert_array_equal(run.trained.predict(frame), load(run.out).predict(frame))


def test_budget_on_the_floor_fits_and_one_byte_less_names_it(fit: Callable[..., Trained], logs: dict[str, Any]) -> None:
    with pytest.raises(BudgetTooSmall, match=r"min_count needs at least 64 serve bytes .* budget is 1\.") as refusal:
        fit(logs["ranks"], budget=1)
    floor = refusal.value.least_bytes
    assert fit(logs["ranks"], budget=floor).result.held_bytes == floor
    with pytest.raises(BudgetTooSmall, match=f"at least {floor:,} serve bytes"):
        fit(logs["ranks"], budget=floor - 1)


def test_a_training_budget_is_a_ceiling_of_its_own(fit: Callable[..., Trained], logs: dict[str, Any]) -> None:
    needed = fit(logs["ranks"], budget="4x", train={"epochs": 1}).result.train_bytes
    assert fit(logs["ranks"], budget="4x", train_budget=needed, train={"epochs": 1}).result.train_bytes == needed
    with pytest.raises(BudgetTooSmall, match=f"at least {needed:,} train bytes"):
        fit(logs["ranks"], budget="4x", train_budget=needed - 1)


@pytest.mark.parametrize("kind", ["mixed", "no_dense", "parquet"])
def test_every_kind_of_log_trains_and_serves(kind: str, runs: Callable[..., Any], logs: dict[str, Any]) -> None:
    run = runs("hash_rows", "float32", kind)
    scores = load(run.out).predict(logs[kind].test_rows())
    assert scores.shape == (120,)
    assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.parametrize("kind", ["ranks", "no_dense"])
@pytest.mark.parametrize("model", MODELS.names())
def test_every_model_trains_saves_and_opens(
    model: str, kind: str, fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path
) -> None:
    settings = {"name": model, "bottom": [8], "top": [8], "dropout": 0.1, "cross_layers": 2, "cross_rank": 3}
    trained = fit(logs[kind], method="min_count", budget="4x", model=settings, out=tmp_path / "run")
    assert trained.result.model == model
    assert trained.result.promised_bytes == trained.result.held_bytes == trained.result.file_bytes
    served, rows = load(tmp_path / "run"), logs[kind].test_rows()
    assert type(served.model) is MODELS.get(model)
    np.testing.assert_array_equal(served.logits(rows), trained.recommender.logits(rows))


@pytest.mark.parametrize("model", ["dlrm", "deepfm"])
def test_nets_are_held_judged_and_served_in_bfloat16(
    model: str, fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path
) -> None:
    settings = {"budget": "4x", "model": {"name": model, "bottom": [8], "top": [8]}}
    plain = fit(logs["no_dense"], **settings, out=tmp_path / "plain")
    trained = fit(logs["no_dense"], **settings, serving_precision="bfloat16", out=tmp_path / "run")
    served, frame = load(tmp_path / "run"), logs["no_dense"].test_rows()
    nets = load_artifact(tmp_path / "run" / "model").tensors("nets")
    for held in (served.model.nets(), trained.recommender.model.nets(), nets):
        assert {t.dtype for t in held.values()} == {torch.bfloat16}
    result = trained.result
    assert (result.serving_precision, plain.result.serving_precision) == ("bfloat16", "float32")
    assert 2 * result.dense_bytes == plain.result.dense_bytes
    assert result.dense_bytes == served.model.dense_bytes() == sum(t.nbytes for t in nets.values())
    losses = [[epoch["train_loss"] for epoch in one.curve] for one in (result, plain.result)]
    assert losses[0] == losses[1], "training is left alone"
    assert result.validation != plain.result.validation
    assert result.test == evaluate(frame["click"].to_numpy(), served.logits(frame)), "judged as it serves"
    assert result.test != plain.result.test
    np.testing.assert_allclose(served.logits(frame), plain.recommender.logits(frame), rtol=0.05, atol=0.05)
    served.save(tmp_path / "serving")
    np.testing.assert_array_equal(load(tmp_path / "serving").logits(frame), served.logits(frame))


# ---------------------------------------------------------------- what grows and what does not


def nets_of(model: type[Model], method: str, rows: int) -> dict[str, Any]:
    """Shapes of everything outside the bank, for three tables of so many rows."""
    tables = [TableSpec(name=f"t{i}", rows=rows * (i + 1), dim=8, ids="rank") for i in range(3)]
    sizing = pocketrec.size(tables, "1x", method=method)
    bank = build(sizing, seed=0, device="meta")
    made = model(bank, dense_features=5, config=ModelConfig(name=model.name, bottom=(8,), top=(8,)), seed=0)
    outside = [*made.named_parameters(), *made.named_buffers()]
    return {name: tuple(t.shape) for name, t in outside if not name.startswith("bank.")}


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("model", MODELS.names())
def test_nothing_outside_the_bank_grows_with_rows(model: str, method: str) -> None:
    small, large = (nets_of(MODELS.get(model), method, rows) for rows in (50, 5000))
    assert small == large
    assert small


def test_the_test_above_would_find_a_net_that_grows() -> None:
    class Wide(MODELS.get("dlrm")):  # type: ignore[misc]
        def __init__(self, bank: Any, **settings: Any) -> None:
            super().__init__(bank, **settings)
            rows = bank.sizing.groups[0].tables[0].table.rows
            self.register_buffer("bias", torch.zeros(rows), persistent=False)

    assert nets_of(Wide, "full", 50) != nets_of(Wide, "full", 5000)


# ---------------------------------------------------------------- what is seen when


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The parts of every pass over encoded rows, in order."""
    seen: list[tuple[str, ...]] = []
    original = Dataset.batches

    def spied(self: Dataset, parts: Any, **settings: Any) -> Iterator[Any]:
        seen.append(tuple(parts))
        return original(self, parts, **settings)

    monkeypatch.setattr(Dataset, "batches", spied)
    return seen


def test_refit_trains_on_validation_rows_too_for_the_chosen_epochs(
    reads: list[tuple[str, ...]], fit: Callable[..., Trained], logs: dict[str, Any]
) -> None:
    trained = fit(logs["ranks"], budget="2x", refit=True, train={"epochs": 3, "patience": None})
    chosen = trained.result.epochs
    choosing = [("train",), ("validation",)] * 3 + [("validation",)]  # in the end, what would serve
    assert reads[: len(choosing)] == choosing
    assert reads[len(choosing) : len(choosing) + chosen] == [("train", "validation")] * chosen
    timed, *judged = reads[len(choosing) + chosen :]
    assert timed == ("validation",), "how long looking ids up takes"
    assert set(judged) == {("test",)}
    assert len(trained.result.curve) == 3, "the curve is that of choosing"
    assert trained.result.validation is not None


def test_a_search_on_validation_rows_is_not_refitted(fit: Callable[..., Trained], logs: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="autodim trains on validation rows in its stage search"):
        fit(logs["ranks"], method="autodim", budget="2x", refit=True)


def test_candidates_that_are_scored_on_validation_rows_are_not_refitted(
    fit: Callable[..., Trained], logs: dict[str, Any]
) -> None:
    with pytest.raises(OptionError, match="optembed scores candidates on validation rows in its stage evolve"):
        fit(logs["ranks"], method="optembed", budget="2x", refit=True)


def test_a_search_ends_with_bytes_that_are_exact(fit: Callable[..., Trained], logs: dict[str, Any]) -> None:
    trained = fit(logs["ranks"], method="autodim", budget="2x", options={"cooling": 1e-3}, train={"dense_lr": 0.1})
    result, sizing = trained.result, trained.recommender.sizing
    assert result.promised_bytes == result.held_bytes == sizing.serve_bytes <= result.budget_bytes
    assert sum(result.table_bytes.values()) == result.promised_bytes
    assert result.train_bytes > 3 * result.budget_bytes, "that of the search"


def test_refit_sizes_tables_for_validation_rows_too(
    runs: Callable[..., Any], fit: Callable[..., Trained], logs: dict[str, Any]
) -> None:
    without = runs("full").trained.recommender.sizing
    refitted = fit(logs["ranks"], method="full", budget="1x", refit=True).recommender.sizing
    assert refitted.of("item").table.closed_rows > without.of("item").table.closed_rows


@pytest.mark.parametrize(("method", "passes"), [("min_count", 1), ("robe", 2)])
def test_the_test_part_is_read_once_and_last(
    method: str, passes: int, reads: list[tuple[str, ...]], fit: Callable[..., Trained], logs: dict[str, Any]
) -> None:
    fit(logs["ranks"], method=method, budget="4x")
    judged = [i for i, parts in enumerate(reads) if "test" in parts]
    # the rows come in the model's ids, and where those are hashes, side by side in ranks
    assert judged == list(range(len(reads) - passes, len(reads)))
    assert set(reads[-passes:]) == {("test",)}
    # two epochs, then validation rows judge what serves, and tell the time that looking ids up takes
    assert len(reads) == 2 * 2 + passes + 1 + passes


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize(("method", "options"), [("full", {"storage": "int4"}), ("pruned", {"base": "full"})])
def test_figures_on_validation_rows_are_those_of_what_serves(
    method: str, options: dict[str, Any], refit: bool, fit: Callable[..., Trained], logs: dict[str, Any]
) -> None:
    """A refit has none of its own: they are those of the model that chose its epochs."""
    log, settings = logs["no_dense"], {"method": method, "options": options, "budget": "2x"}
    chosen = fit(log, **settings)
    found = fit(log, **settings, refit=refit).result
    rows, labels = chosen.recommender.logits(log.table), log.table["click"].to_numpy()
    first = len(rows) - 120 - found.validation.rows
    judged = evaluate(labels[first:-120], rows[first:-120])
    figures, wanted = (
        {name: value for name, value in (asdict(one) | dict(one.extra)).items() if isinstance(value, float)}
        for one in (found.validation, judged)
    )
    assert figures == pytest.approx(wanted, rel=1e-6), "products differ in the last bit between numbers of rows"
    assert (found.validation.rows, found.validation.positives) == (judged.rows, judged.positives)
    best = max(found.curve, key=lambda epoch: epoch["validation_auc"])
    assert found.validation.logloss != pytest.approx(best["validation_logloss"], rel=1e-7), "the training form's"


def test_labels_of_test_rows_change_nothing_but_the_judgement(
    fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path
) -> None:
    log = logs["no_dense"]
    lines = log.path.read_text().splitlines(keepends=True)
    first = len(lines) - 120
    flipped = [line.replace(line[0], "10"[int(line[0])], 1) for line in lines[first:]]
    other = replace(log, path=tmp_path / "flipped.csv")
    other.path.write_text("".join([*lines[:first], *flipped]))
    one, two = (fit(each, budget="2x", refit=True) for each in (log, other))
    np.testing.assert_array_equal(one.recommender.logits(log.table), two.recommender.logits(log.table))
    assert one.result.validation == two.result.validation
    assert one.result.test.auc == pytest.approx(1 - two.result.test.auc)


# ---------------------------------------------------------------- resume


class Killed(BaseException):
    """Stands for the end of the process."""


class KilledAfter(Silent):
    """A watcher that ends the process after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, *, step: int, batch: int, loss: float) -> None:
        self.left -= 1
        if not self.left:
            raise Killed

    def scored(self, *, step: int, auc: float, best: float) -> None:
        self.step(step=step, batch=0, loss=0.0)


def parts_of(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    artifact = load_artifact(folder / "model")
    return {part: artifact.tensors(part) for part in artifact.parts}


@pytest.mark.parametrize(("refit", "steps"), [(False, 1), (False, 12), (True, 9), (True, 20)])
def test_a_killed_run_goes_on_to_the_same_end(
    refit: bool, steps: int, fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "budget": "2x", "refit": refit, "train": {"epochs": 2, "batch_size": 128, "checkpoint_steps": 3},
    }  # fmt: skip
    whole = fit(logs["ranks"], out=tmp_path / "whole", **settings)
    with pytest.raises(Killed):
        fit(logs["ranks"], out=tmp_path / "killed", watcher=KilledAfter(steps), **settings)
    assert not (tmp_path / "killed" / "result.jsonl").exists()
    gone_on = fit(logs["ranks"], out=tmp_path / "killed", **settings)
    assert not gone_on.again
    before, after = (parts_of(tmp_path / name) for name in ("whole", "killed"))
    assert before.keys() == after.keys()
    for part, tensors in before.items():
        assert tensors.keys() == after[part].keys()
        assert all(torch.equal(t, after[part][name]) for name, t in tensors.items()), part
    assert (gone_on.result.test, gone_on.result.validation) == (whole.result.test, whole.result.validation)


@pytest.mark.parametrize("steps", [4, 15, 30])
def test_a_search_by_scores_that_is_killed_goes_on_to_the_same_end(
    steps: int, fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "method": "optembed", "budget": "2x", "train": {"epochs": 2, "batch_size": 128, "checkpoint_steps": 3},
        "options": {"generations": 3, "mutations": 3, "crossovers": 3, "alpha": 0.1},
    }  # fmt: skip
    whole = fit(logs["ranks"], out=tmp_path / "whole", **settings)
    with pytest.raises(Killed):
        fit(logs["ranks"], out=tmp_path / "killed", watcher=KilledAfter(steps), **settings)
    gone_on = fit(logs["ranks"], out=tmp_path / "killed", **settings)
    before, after = (parts_of(tmp_path / name) for name in ("whole", "killed"))
    assert before.keys() == after.keys()
    for part, tensors in before.items():
        assert tensors.keys() == after[part].keys()
        assert all(torch.equal(t, after[part][name]) for name, t in tensors.items()), part
    assert (gone_on.result.test, gone_on.result.validation) == (whole.result.test, whole.result.validation)
    result, sizing = whole.result, whole.recommender.sizing
    assert result.promised_bytes == result.held_bytes == sizing.serve_bytes <= result.budget_bytes
    assert sum(result.table_bytes.values()) == result.promised_bytes
    assert len(result.curve) == 3, "an epoch of the supernet and two of training; candidates are none"


def test_a_run_that_was_interrupted_does_not_claim_a_time(
    fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path
) -> None:
    settings = {"out": tmp_path / "run", "train": {"epochs": 1, "checkpoint_steps": 1, "batch_size": 256}}
    with pytest.raises(Killed):
        fit(logs["ranks"], watcher=KilledAfter(3), **settings)
    result = fit(logs["ranks"], **settings).result
    assert result.seconds is None
    assert any(note.startswith("Went on at step ") for note in result.notes)


def test_a_finished_run_called_again_trains_nothing(
    fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path, reads: list[tuple[str, ...]],
) -> None:  # fmt: skip
    first = fit(logs["ranks"], out=tmp_path / "run")
    reads.clear()
    again = fit(logs["ranks"], out=tmp_path / "run")
    assert reads == []
    assert (first.again, again.again) == (False, True)
    assert again.result == first.result == read_results(tmp_path / "run" / "result.jsonl")[0]
    frame = logs["ranks"].test_rows()
    np.testing.assert_array_equal(again.predict(frame), first.predict(frame))


def test_a_run_whose_artifact_was_removed_is_finished_anew(
    fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path
) -> None:
    first = fit(logs["ranks"], out=tmp_path / "run")
    (tmp_path / "run" / "model" / "manifest.json").unlink()
    again = fit(logs["ranks"], out=tmp_path / "run")
    assert not again.again
    assert again.result.test == first.result.test
    assert load(tmp_path / "run") is not None


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"budget": "3x"}, "budget was '4x', is '3x'"),
        ({"train": {"epochs": 3}}, r"train\.epochs was 2, is 3"),
        ({"model": {"bottom": [4], "top": [8]}}, r"model\.bottom was \[8\], is \[4\]"),
        ({"split": {"train": "7/10"}}, "its data is not the same"),
        ({"seed": 5}, "seed was 0, is 5"),
    ],
)
def test_another_run_in_the_same_folder_is_refused(
    changed: dict[str, Any], named: str, runs: Callable[..., Any], fit: Callable[..., Trained], logs: dict[str, Any]
) -> None:
    run = runs("min_count")
    settings = {"method": "min_count", "budget": "4x", "options": {"storage": "float32"}, **changed}
    with pytest.raises(ArtifactError, match=named + r".*Take another folder \(--out\), or delete this one"):
        fit(logs["ranks"], out=run.out, **settings)


def test_other_data_in_the_same_folder_is_refused(
    runs: Callable[..., Any], fit: Callable[..., Trained], next_day: Any
) -> None:
    with pytest.raises(ArtifactError, match="its data is not the same"):
        fit(next_day, method="min_count", budget="4x", options={"storage": "float32"}, out=runs("min_count").out)


# ---------------------------------------------------------------- refused before data is read


@pytest.mark.parametrize(
    ("kind", "settings", "error", "said"),
    [
        ("ranks", {"method": "rob"}, OptionError, "method: No method called 'rob'. Did you mean 'robe'"),
        ("ranks", {"method": "robe", "options": {"blok": 8}}, OptionError, "robe has no option 'blok'. Options: al"),
        ("ranks", {"options": {"storage": "int9"}}, OptionError, "No storage called 'int9'"),
        ("ranks", {"budget": "16y"}, OptionError, "budget: Cannot read the budget '16y'"),
        ("ranks", {"epochs": 3}, OptionError, "epochs: there is no such key"),
        ("mixed", {"method": "full"}, OptionError, "full takes ids of space rank, plain; field 'user' has hash63 ids"),
        ("mixed", {"method": "robe", "budget": "4x"}, BudgetTextError, "'user' is open .* absolute budget"),
    ],
)
def test_what_can_be_refused_is_refused_before_any_data_is_read(
    kind: str, settings: dict[str, Any], error: type[Exception], said: str, logs: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        train(tmp_path / "not there", schema=logs[kind].schema, cache=tmp_path, **settings)


def test_a_log_without_label_or_tables_is_refused(logs: dict[str, Any], tmp_path: Path) -> None:
    schema = logs["no_dense"].schema
    with pytest.raises(OptionError, match="no field of kind label"):
        train(tmp_path / "x", schema=schema.unlabelled(), cache=tmp_path)
    dense = Schema(fields=tuple(f for f in logs["ranks"].schema.fields if f.kind in ("label", "dense")))
    with pytest.raises(OptionError, match="no categorical field"):
        train(tmp_path / "x", schema=dense, cache=tmp_path)


# ---------------------------------------------------------------- the front door


def test_what_was_trained_can_be_saved_without_a_run(
    fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path
) -> None:
    trained, frame = fit(logs["ranks"], budget="4x"), logs["ranks"].test_rows()
    trained.save(tmp_path / "model.pocketrec")
    np.testing.assert_array_equal(load(tmp_path / "model.pocketrec").predict(frame), trained.predict(frame))


def test_the_package_offers_it() -> None:
    assert pocketrec.train is package_train
    assert pocketrec.load is load
    assert pocketrec.EmbeddingBag(10, 4, mode="sum", method="full").serve_bytes == 160


def test_a_schema_may_be_a_file_plain_values_or_an_object(
    logs: dict[str, Any], fit: Callable[..., Trained], tmp_path: Path, runs: Callable[..., Any]
) -> None:
    log, file = logs["ranks"], tmp_path / "schema.yaml"
    file.write_text(log.schema.to_yaml())
    expected = runs("min_count").trained.result
    for schema in (str(file), log.schema.to_json()):
        found = fit(log, method="min_count", budget="4x", options={"storage": "float32"}, schema=schema).result
        assert (found.test, found.validation) == (expected.test, expected.validation)


def test_the_result_says_what_was_asked_and_what_came_out(runs: Callable[..., Any]) -> None:
    result = runs("robe", "int8").trained.result
    assert (result.method, result.storage, result.model, result.budget) == ("robe", "int8", "dlrm", "4x")
    assert result.commit == f"version {pocketrec.__version__}"
    assert (result.test.rows, result.validation.rows) == (120, 120)
    assert result.options == {}
    assert [entry["epoch"] for entry in result.curve] == [1, 2]
    assert result.seconds > 0
    assert result.rows_per_s > 0
    assert set(result.by_frequency) == {"head", "torso", "unseen"}
    assert sum(group.rows for group in result.by_frequency.values()) == 120


# ---------------------------------------------------------------- test rows that are left alone


def test_a_run_that_only_chooses_reads_no_test_row(
    logs: dict[str, Any], cache: Path, reads: list[tuple[str, ...]]
) -> None:
    log, small = logs["ranks"], {"dim": 4, "model": {"bottom": [4], "top": [4]}, "train": {"epochs": 1}}
    config = RunConfig.from_json({"data": [str(log.path)], "schema": log.schema.to_json(), "budget": "4x", **small})
    result = pipeline_run(config, out=None, cache=cache, test=False).result
    assert set(reads) == {("train",), ("validation",)}
    assert (result.test, result.by_frequency) == (None, {})
    assert result.validation is not None
    reads.clear()
    assert pipeline_run(config, out=None, cache=cache).result.test is not None
    assert ("test",) in reads
