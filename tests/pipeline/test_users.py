"""AUC within users is of the raw users, however a run stores, folds or never saw them, in the cache and in files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from pocketrec.metrics import evaluate
from pocketrec.pipeline import Trained
from pocketrec.pipeline.predict import evaluate_files
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Field, Schema

# kind of log, field that is the user, settings under which its tokens are folded
CASES = [
    ("ranks", "candidate", {"method": "min_count", "budget": "20x"}),  # shared table; missing and unseen tokens
    ("ranks", "site", {"method": "full", "budget": "1x"}),
    ("mixed", "user", {"method": "robe", "budget": 3000}),
    ("mixed", "slot", {"method": "hash_rows", "budget": 3000}),
    ("mixed", "candidate", {"method": "hash_rows", "budget": 3000}),  # ranks in the schema, hashes in the model
]


def keys(frame: pa.Table, field: str) -> np.ndarray:
    """Users numbered by raw token; -1 is nobody."""
    tokens = frame[field].to_pylist()
    numbers = {token: number for number, token in enumerate(dict.fromkeys(tokens))} | {None: -1}
    return np.array([numbers[token] for token in tokens])


def expected(trained: Trained, frame: pa.Table, field: str, schema: Schema) -> Any:
    weights = None if schema.weight is None else frame["w"].to_numpy()
    return evaluate(frame["click"].to_numpy(), trained.recommender.logits(frame), weights, keys(frame, field))


def assert_alike(found: Any, truth: Any) -> None:
    """Equal, but for the last bits that the order of users leaves to weighted sums."""
    within = ("gauc", "user_auc", "gauc_rows_fraction")
    nothing = dict.fromkeys(within)
    assert replace(found, **nothing) == replace(truth, **nothing)
    assert [getattr(found, n) for n in within] == pytest.approx([getattr(truth, n) for n in within], rel=1e-12)


@pytest.mark.parametrize(("kind", "field", "settings"), CASES)
def test_judgement_and_files_agree_with_the_raw_users(
    kind: str, field: str, settings: dict[str, Any], logs: dict[str, Any], fit: Callable[..., Trained], tmp_path: Path
) -> None:
    log = logs[kind]
    schema = replace(log.schema, user=field)
    trained, frame = fit(log, schema=schema, **settings), log.test_rows()
    found = trained.result.test
    assert_alike(found, expected(trained, frame, field, schema))
    assert found.gauc is not None
    assert 0 < found.gauc_users <= len(set(frame[field].to_pylist()))
    if None in frame[field].to_pylist():
        assert found.gauc_rows_fraction < 1
    else:
        assert (keys(frame, field) >= 0).all()
    pa_csv.write_csv(frame, tmp_path / "test.csv", pa_csv.WriteOptions(quoting_style="none"))
    assert evaluate_files(trained.recommender, [tmp_path / "test.csv"])[0] == found
    assert trained.result.validation.gauc == trained.result.curve[trained.result.epochs - 1]["validation_gauc"]


def test_users_that_were_never_seen_stay_apart(logs: dict[str, Any], fit: Callable[..., Trained]) -> None:
    log = logs["ranks"]
    schema = replace(log.schema, user="candidate")
    trained, frame = fit(log, schema=schema, method="min_count", budget="20x"), log.test_rows()
    seen = set(log.table.slice(0, log.table.num_rows * 9 // 10)["candidate"].to_pylist())
    unseen = [token for token in frame["candidate"].to_pylist() if token not in seen]
    assert len(set(unseen)) > 2, "there must be some whose rows would be taken for one user's"
    truth = expected(trained, frame, "candidate", schema)
    encoded = trained.recommender.encoder.encode(frame)
    folded = evaluate(encoded.label, trained.recommender.logits(frame), encoded.weight, encoded.ids[:, 0])
    assert trained.result.test.gauc == pytest.approx(truth.gauc, rel=1e-12)
    assert abs(folded.gauc - truth.gauc) > 1e-3


def test_a_user_beside_bags(fit: Callable[..., Trained], logs: dict[str, Any], tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    bags = ["|".join(f"g{g}" for g in draw.integers(0, 9, draw.integers(0, 4))) for _ in range(1200)]
    table = logs["ranks"].table.append_column("genres", pa.array(bags))
    pa_csv.write_csv(table, tmp_path / "log.csv", pa_csv.WriteOptions(quoting_style="none"))
    fields = (
        Field(name="click", kind="label"), Field(name="genres", kind="categorical", many=True),
        Field(name="candidate", kind="categorical"), Field(name="site", kind="categorical"),
    )  # fmt: skip
    schema = Schema(fields=fields, user="candidate")
    log = replace(logs["ranks"], path=tmp_path / "log.csv", table=table, schema=schema)
    trained = fit(log, method="min_count", budget="4x")
    assert_alike(trained.result.test, expected(trained, log.test_rows(), "candidate", schema))
    pa_csv.write_csv(log.test_rows(), tmp_path / "test.csv", pa_csv.WriteOptions(quoting_style="none"))
    assert evaluate_files(trained.recommender, [tmp_path / "test.csv"])[0] == trained.result.test


def test_gauc_may_choose_the_epoch_where_there_is_a_user(logs: dict[str, Any], fit: Callable[..., Trained]) -> None:
    log = logs["ranks"]
    settings = {"train": {"epochs": 3, "batch_size": 128, "patience": None, "choose_by": "gauc"}, "budget": "2x"}
    result = fit(log, schema=replace(log.schema, user="candidate"), **settings).result
    curve = [point["validation_gauc"] for point in result.curve]
    assert result.epochs == int(np.argmax(curve)) + 1
    with pytest.raises(OptionError, match="choose_by is gauc, and the schema does not say which field is the user"):
        fit(log, **settings)


def test_without_a_user_nothing_is_said(logs: dict[str, Any], fit: Callable[..., Trained]) -> None:
    result = fit(logs["no_dense"], budget="2x").result
    assert (result.test.gauc, result.test.user_auc, result.test.gauc_users) == (None, None, None)
    assert "validation_gauc" not in result.curve[0]
    assert result.progressive.rows == 960
