"""Open fields: ids by the hash of their text, no vocabulary, unseen ones served and learned under one ceiling."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.artifact import load_artifact
from pocketrec.pipeline import Trained, load, train
from pocketrec.spec.errors import BudgetTextError, OptionError
from pocketrec.spec.schema import Field, Schema

SCHEMA = Schema(
    fields=(
        Field(name="click", kind="label"),
        Field(name="hour", kind="dense"),
        Field(name="user", kind="categorical", ids="hash63"),
        Field(name="tags", kind="categorical", ids="hash63", many=True),
        Field(name="last", kind="categorical", ids="hash63", table="tags"),
    )
)
OPEN = ("hash_rows", "robe")
BUDGET_BYTES = 40_000
USERS = 30


def write_log(path: Path, *, seed: int, prefix: str, rows: int = 1500) -> Path:
    """Even users click, odd ones do not; ids are any text, numbers beyond int32 among them."""
    rng = np.random.default_rng(seed)
    lines = ["click,hour,user,tags,last"]
    for _ in range(rows):
        user = int(rng.integers(USERS))
        click = int((user % 2 == 0) ^ (rng.random() < 0.05))
        tags = [f"{prefix} tag é{n}" if n % 2 else str(10**17 + n) for n in rng.integers(0, 9, rng.integers(0, 4))]
        lines.append(f"{click},{rng.integers(24)},{prefix}{user},{'|'.join(tags)},{10**17 + int(rng.integers(9))}")
    path.write_text("\n".join(lines) + "\n")
    return path


def users(prefix: str) -> dict[str, list[Any]]:
    """One row of every user."""
    return {
        "hour": [5] * USERS, "user": [f"{prefix}{n}" for n in range(USERS)], "tags": ["x|y"] * USERS,
        "last": [str(10**17)] * USERS,
    }  # fmt: skip


def contrast(trained: Trained, prefix: str) -> float:
    """How much higher the scores of those who click are."""
    scores = trained.predict(users(prefix))
    assert np.isfinite(scores).all()
    return float(scores[::2].mean() - scores[1::2].mean())


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Callable[[str], tuple[Trained, Trained]]:
    """A run per method, and the same continued on a day of users who were never seen."""
    folder = tmp_path_factory.mktemp("open")
    first = write_log(folder / "first.csv", seed=1, prefix="a")
    second = write_log(folder / "second.csv", seed=2, prefix="never seen ")
    made: dict[str, tuple[Trained, Trained]] = {}

    def get(method: str) -> tuple[Trained, Trained]:
        if method not in made:
            settings = {"epochs": 4, "batch_size": 64, "patience": None, "dense_lr": 0.01}
            one = train(
                first, schema=SCHEMA, method=method, budget=BUDGET_BYTES, dim=4, cache=cache, out=folder / method,
                model={"bottom": [8], "top": [8]}, train=settings,
            )  # fmt: skip
            two = train(second, cache=cache, start=folder / method, out=folder / f"{method}-2", train={"epochs": 4})
            made[method] = one, two
        return made[method]

    return get


@pytest.mark.parametrize("method", OPEN)
def test_ids_never_seen_get_finite_scores_and_are_learned_the_next_day(method: str, days: Any) -> None:
    first, second = days(method)
    assert contrast(first, "a") > 0.5
    assert abs(contrast(first, "never seen ")) < 0.3
    assert contrast(second, "never seen ") > 0.5


@pytest.mark.parametrize("method", OPEN)
def test_not_one_byte_is_added(method: str, days: Any) -> None:
    first, second = days(method)
    held = {r.result.held_bytes for r in (first, second)} | {r.result.file_bytes for r in (first, second)}
    assert held == {first.result.promised_bytes}
    assert first.result.promised_bytes <= BUDGET_BYTES
    before, after = (
        {part: load_artifact(r.recommender.artifact.path).tensor_bytes(part) for part in ("tables", "training")}
        for r in (first, second)
    )
    assert before == after


@pytest.mark.parametrize("method", OPEN)
def test_the_artifact_holds_no_vocabulary(method: str, days: Any) -> None:
    for run in days(method):
        artifact = load_artifact(run.recommender.artifact.path)
        assert artifact.tensor_bytes("vocabulary") == artifact.tensor_bytes("training_vocabulary") == 0
        assert artifact.manifest.content["encoder"]["tables"] == []
        assert "never seen" not in json.dumps(artifact.manifest.content["encoder"])
        assert run.result.vocabulary_bytes == 0


@pytest.mark.parametrize("method", OPEN)
def test_the_loaded_model_scores_alike(method: str, days: Any, tmp_path: Path) -> None:
    first, _ = days(method)
    first.save(tmp_path / "served")
    for prefix in ("a", "never seen ", "\u2603"):
        assert load(tmp_path / "served").predict(users(prefix)).tobytes() == first.predict(users(prefix)).tobytes()


def test_an_integer_and_its_text_are_the_same_id(days: Any) -> None:
    first, _ = days("robe")
    row: dict[str, list[Any]] = {"hour": [1], "user": ["a1"], "tags": [["100000000000000001"]], "last": [10**17 + 3]}
    texts: dict[str, list[Any]] = {**row, "tags": [[10**17 + 1]], "last": [str(10**17 + 3)]}
    assert first.predict(row) == first.predict(texts)


def test_a_relative_budget_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(BudgetTextError):
        train(tmp_path / "absent.csv", schema=SCHEMA, method="robe", budget="16x", cache=tmp_path)
    with pytest.raises(OptionError, match="hash63"):
        train(tmp_path / "absent.csv", schema=SCHEMA, method="full", budget="1MB", cache=tmp_path)
