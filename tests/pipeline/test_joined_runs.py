"""Runs of a method that contains another: hot rows by rank, all other tokens as the cold method takes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from pocketrec.artifact import load_artifact
from pocketrec.compress import freeze
from pocketrec.models.parts.matmul import serving
from pocketrec.pipeline import Trained, load
from pocketrec.pipeline.carry_on import start_from
from pocketrec.pipeline.config import RunConfig
from pocketrec.pipeline.data import PartSource, open_data, spaces_by_table
from pocketrec.pipeline.portions import SCORE_ROWS
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import Head
from pocketrec.train import logits_of
from pocketrec.train.watch import Silent

COLD: dict[str, dict[str, Any]] = {
    "hash_rows": {},
    "robe": {"cold": "robe", "cold_options": {"block": 2}},
    "quotient_remainder": {"cold": "quotient_remainder", "hot": 0.3},
    "int8": {"cold": "robe", "storage": "int8"},
}


@pytest.fixture(scope="module")
def made(
    fit: Callable[..., Trained], logs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Trained, Path]]:
    """A run per cold method and kind of log."""
    done: dict[tuple[str, str], tuple[Trained, Path]] = {}

    def get(cold: str, kind: str = "ranks") -> tuple[Trained, Path]:
        if (cold, kind) not in done:
            out, options = tmp_path_factory.mktemp("joined") / cold, COLD[cold]
            budget = "3KB" if kind == "mixed" else "2x"
            done[cold, kind] = (
                fit(logs[kind], method="offline_split", budget=budget, options=options, out=out), out,
            )  # fmt: skip
        return done[cold, kind]

    return get


@pytest.mark.parametrize("kind", ["ranks", "mixed"])
@pytest.mark.parametrize("cold", COLD)
def test_served_scores_are_those_of_training_whoever_the_tokens_are(
    cold: str, kind: str, made: Any, logs: dict[str, Any], cache: Path
) -> None:
    """Over all rows: among them tokens that occur in validation or test rows only."""
    if (cold, kind) == ("quotient_remainder", "mixed"):
        return
    (trained, out), log = made(cold, kind), logs[kind]
    served = load(out)
    dataset = open_data(RunConfig.from_json({"data": [str(log.path)], "schema": log.schema.to_json()}), cache)
    spaces = spaces_by_table(dataset.schema, served.model.bank.id_spaces())
    if cold != "quotient_remainder":
        assert any(isinstance(space, Head) and space.ranks for space in spaces.values())
    source = PartSource(dataset=dataset, parts=("train", "validation", "test"), id_spaces=spaces)
    with serving(log.table.num_rows):  # products as both ways take them, which differs between machines in the last bit
        _, logits = logits_of(served.model, source, batch_size=SCORE_ROWS)
    np.testing.assert_array_equal(served.logits(log.table), logits)
    np.testing.assert_array_equal(trained.recommender.logits(log.table), logits)
    result = trained.result
    assert result.promised_bytes == result.held_bytes == result.file_bytes == sum(result.table_bytes.values())
    assert served.artifact is not None
    assert served.artifact.tensor_bytes("vocabulary") == result.vocabulary_bytes
    assert result.method == "offline_split"


def test_tokens_that_nobody_has_seen_are_told_apart_by_the_cold_method(made: Any, logs: dict[str, Any]) -> None:
    served = load(made("robe")[1])
    row = logs["ranks"].table.slice(0, 1).to_pydict()
    rows = {name: values * 20 for name, values in row.items()}
    rows["site"] = [f"never seen {n}" for n in range(20)]
    assert len(set(served.logits(rows).tolist())) == 20
    ids = served.encoder.encode(rows, id_spaces=served._spaces()).ids
    assert (ids[:, -1] > 2**31).all()


def test_it_is_exported(made: Any, logs: dict[str, Any], tmp_path: Path) -> None:
    for cold in ("robe", "quotient_remainder"):
        served, frame = load(made(cold)[1]), logs["ranks"].test_rows()
        about = served.export(tmp_path / f"{cold}.pt2")
        spaces = {told["field"]: told for told in about["ids"]}
        if cold == "robe":
            assert spaces["site"]["id_space"] == "head"
            assert spaces["site"]["ranks"] == served.sizing.of("site").told_apart
        json.dumps(about)
        program = torch.export.load(tmp_path / f"{cold}.pt2").module()
        np.testing.assert_allclose(program(*served.inputs(frame)).numpy(), served.logits(frame), atol=1e-5)


@pytest.mark.parametrize("cold", ["hash_rows", "robe", "quotient_remainder"])
def test_the_next_day_goes_on_with_the_same_hot_ids(
    cold: str, made: Any, fit: Callable[..., Trained], next_day: Any, tmp_path: Path
) -> None:
    before, out = made(cold)
    still = {"optimizer": {"lr": 1e-12}, "train": {"dense_lr": 1e-12}}
    kept = fit(next_day, start=out, seed=5, **still)
    np.testing.assert_allclose(
        kept.recommender.logits(next_day.table), before.recommender.logits(next_day.table), atol=1e-4
    )
    today = fit(next_day, start=out, out=tmp_path / "today")
    assert today.recommender.sizing.groups == before.recommender.sizing.groups
    assert not np.array_equal(today.recommender.logits(next_day.table), before.recommender.logits(next_day.table))
    assert today.result.promised_bytes == today.result.held_bytes == before.result.promised_bytes
    names = {part: load_artifact(path / "model").tensor_bytes(part) for part in ("tables", "vocabulary")
             for path in (out, tmp_path / "today")}  # fmt: skip
    assert names["vocabulary"] == before.result.vocabulary_bytes
    third = fit(next_day, start=tmp_path / "today")
    assert third.result.promised_bytes == before.result.promised_bytes


def test_another_split_cannot_continue_it(made: Any, fit: Callable[..., Trained], next_day: Any) -> None:
    with pytest.raises(OptionError, match=r"options was .*'hot': 0\.3.*Leave them as they were, or train a new model"):
        fit(next_day, start=made("quotient_remainder")[1], options={"hot": 0.5})


def test_what_training_left_freezes_to_what_is_served(made: Any, logs: dict[str, Any]) -> None:
    _, out = made("int8")
    served, start = load(out), start_from(out)
    again = freeze(start.warm.bank)
    for name, tensor in served.model.bank.tensors().items():
        assert torch.equal(tensor, again.tensors()[name]), name


def test_an_interrupted_run_goes_on_to_the_same_end(
    fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"method": "offline_split", "options": COLD["robe"], "budget": "2x"}
    whole = fit(logs["ranks"], **settings, out=tmp_path / "whole")

    class Stop(Silent):
        def step(self, *, step: int, batch: int, loss: float) -> None:
            if step == 9:
                raise KeyboardInterrupt

    train = {"epochs": 2, "batch_size": 128, "patience": None, "checkpoint_steps": 4}
    with pytest.raises(KeyboardInterrupt):
        fit(logs["ranks"], **settings, train=train, out=tmp_path / "cut", watcher=Stop())
    resumed = fit(logs["ranks"], **settings, train=train, out=tmp_path / "cut")
    frame: pa.Table = logs["ranks"].test_rows()
    np.testing.assert_array_equal(resumed.recommender.logits(frame), whole.recommender.logits(frame))
