"""Fields of bags through a whole run: files of either kind, serving, judging, the next day, a run that is killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pocketrec.compress import METHODS
from pocketrec.metrics import by_frequency, evaluate
from pocketrec.models import MODELS
from pocketrec.pipeline import RunConfig, Trained, load, train
from pocketrec.pipeline.data import open_data
from pocketrec.pipeline.judge import RarestIds
from pocketrec.spec.schema import DenseTransform, Field, Schema
from pocketrec.train.watch import Silent

ROWS = 900
INPUTS = (
    Field(name="price", kind="dense", transform=DenseTransform(log1p=True)),
    Field(name="item", kind="categorical"),
    Field(name="seen", kind="categorical", many=True, separator=" ", table="item", max_values=5),
    Field(name="genres", kind="categorical", many=True, pool="sum"),
)
CSV = Schema(fields=(Field(name="stars", kind="label", threshold=3.5), *INPUTS))
PARQUET = Schema(format="parquet", fields=CSV.fields)
TINY: dict[str, Any] = {
    "method": "full", "budget": "1x", "dim": 4, "model": {"bottom": [8], "top": [8]},
    "train": {"epochs": 8, "batch_size": 64, "patience": None, "dense_lr": 0.01},
}  # fmt: skip


def rows_of(count: int, *, seed: int, first: int = 0) -> dict[str, list[Any]]:
    """Rows whose label depends on the genres, and a little on whether the item was seen before; some bags are empty."""
    rng = np.random.default_rng(seed)
    ids = 12 + first // 40
    genres = [[f"g{n}" for n in rng.choice(9, rng.integers(0, 4), replace=False)] for _ in range(count)]
    seen = [[f"i{n}" for n in rng.integers(0, ids, rng.integers(0, 8))] for _ in range(count)]
    items = [f"i{n}" for n in rng.integers(0, ids + 3, count)]
    liked = [2.5 * ("g1" in g) - 2.5 * ("g2" in g) + (i in s) for g, i, s in zip(genres, items, seen, strict=True)]
    stars = np.clip(np.round(3.2 + np.array(liked) + rng.normal(0, 0.3, count)), 1, 5)
    return {
        "stars": stars.astype(int).tolist(), "price": rng.integers(0, 90, count).tolist(), "item": items,
        "seen": seen, "genres": genres,
    }  # fmt: skip


def as_texts(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {
        **rows, "seen": [" ".join(bag) for bag in rows["seen"]], "genres": ["|".join(bag) for bag in rows["genres"]],
    }  # fmt: skip


def write_csv(path: Path, rows: dict[str, list[Any]]) -> Path:
    texts = as_texts(rows)
    lines = [",".join(texts), *(",".join(map(str, values)) for values in zip(*texts.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Any]]:
    return rows_of(ROWS, seed=1)


@pytest.fixture(scope="module")
def log(rows: dict[str, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("bags") / "log.csv", rows)


@pytest.fixture(scope="module")
def trained(log: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(log, schema=CSV, cache=cache, out=tmp_path_factory.mktemp("runs") / "bags", **TINY)


def last(rows: dict[str, list[Any]], count: int) -> dict[str, list[Any]]:
    return {name: values[-count:] for name, values in rows.items()}


def test_bags_are_learned_from(trained: Trained, rows: dict[str, list[Any]]) -> None:
    labels = (np.array(rows["stars"]) >= 3.5).astype(np.float32)
    told, hidden = (
        evaluate(labels, trained.recommender.logits(frame)).auc for frame in (rows, {**rows, "genres": [[]] * ROWS})
    )
    assert told is not None
    assert hidden is not None
    assert told > 0.75
    assert hidden < told - 0.1
    assert trained.result.promised_bytes == trained.result.held_bytes == trained.result.file_bytes


def test_texts_of_csv_and_lists_of_parquet_give_the_same_model(
    trained: Trained, rows: dict[str, list[Any]], tmp_path: Path, cache: Path
) -> None:
    table = pa.table({name: pa.array(values) for name, values in rows.items()})
    assert pa.types.is_list(table["seen"].type)
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=250)
    lists = train(tmp_path / "log.parquet", schema=PARQUET, cache=cache, **TINY)
    assert lists.result.test == trained.result.test
    assert dict(lists.result.by_frequency) == dict(trained.result.by_frequency)
    for frame in (rows, as_texts(rows), table):
        assert lists.predict(frame).tobytes() == trained.predict(frame).tobytes()


def test_files_frames_and_the_judgement_score_the_same(
    trained: Trained, rows: dict[str, list[Any]], log: Path, cache: Path
) -> None:
    from pocketrec.pipeline.predict import predict_files

    served, test = load(trained.recommender.artifact.path), last(rows, ROWS // 10)  # type: ignore[union-attr]
    logits = served.logits(test)
    labels = (np.array(test["stars"]) >= 3.5).astype(np.float32)
    assert trained.result.test == evaluate(labels, logits)
    assert served.predict(rows).tobytes() == np.concatenate(list(predict_files(served, [log]))).tobytes()
    one = {name: values[-1:] for name, values in rows.items()}
    np.testing.assert_allclose(served.logits(one), logits[-1:], rtol=1e-5, atol=1e-6)


def test_the_order_of_a_bag_and_tokens_that_are_dropped_say_nothing(trained: Trained) -> None:
    row = {"price": [3], "item": ["i1"], "seen": ["i1 i2 i3 i4 i5"], "genres": ["g1|g2"]}
    want = trained.predict(row)
    np.testing.assert_allclose(trained.predict({**row, "genres": ["g2|g1"]}), want, rtol=1e-5)
    assert trained.predict({**row, "seen": ["i1 i2 i3 i4 i5 i9 i8"]}) == want
    assert trained.predict({**row, "seen": ["i1  i2 i3 i4 i5"]}) == want
    assert trained.predict({**row, "seen": ["i1 i2"]}) != want
    assert trained.predict({**row, "genres": ["g1|g2|g2"]}) != want
    empty: list[Any] = ["", None, []]
    for nothing in empty:
        assert np.isfinite(trained.predict({**row, "genres": [nothing]})).all()


def test_a_bag_counts_with_its_rarest_id(trained: Trained, rows: dict[str, list[Any]], log: Path, cache: Path) -> None:
    dataset = open_data(RunConfig.from_json({"data": [str(log)], "schema": CSV.to_json()}), cache)
    train_rows = {name: values[: dataset.parts["train"]] for name, values in rows.items()}
    items = [*train_rows["item"], *(t for bag in train_rows["seen"] for t in bag[:5])]
    genres = [t for bag in train_rows["genres"] for t in bag]
    test, groups = last(rows, ROWS // 10), []
    for item, seen, genre in zip(test["item"], test["seen"], test["genres"], strict=True):
        counts = [items.count(item), *(items.count(t) for t in seen[:5]), *(genres.count(t) for t in genre)]
        groups.append([min(counts)])
    found = trained.result.by_frequency
    stars = (np.array(test["stars"]) >= 3.5).astype(np.float32)
    want = by_frequency(stars, trained.recommender.logits(test), np.array(groups), [np.arange(10_000)])
    assert dict(found) == want
    assert want["torso"].rows > 5
    assert want["head"].rows > 5


def test_empty_bags_and_unseen_ids_in_groups() -> None:
    import torch

    from pocketrec.data.batches import Batch

    schema = Schema(fields=(Field(name="a", kind="categorical", many=True), Field(name="b", kind="categorical")))
    seen = RarestIds(schema, [np.array([0, 500, 3]), np.array([0, 200])])
    batch = Batch(
        dense=torch.zeros(4, 0), ids=torch.tensor([1, 1, 2, 1, 7, 1, 1, 1, 1]), label=torch.zeros(4), weight=None,
        index=0, rows=(0, 4), offsets=torch.tensor([0, 1, 1, 3, 5, 6, 7, 8, 9]),
    )  # fmt: skip
    found = by_frequency([0, 0, 0, 0], [0.0] * 4, seen.ids(batch), seen.counts)
    assert {name: group.rows for name, group in found.items()} == {"head": 2, "torso": 1, "unseen": 1}


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_takes_bags(method: str, log: Path, rows: dict[str, list[Any]], cache: Path) -> None:
    settings = {
        **TINY,
        "method": method,
        "budget": "1x" if method in ("full", "dhe") else "1.5x",
        "train": {"epochs": 1},
    }
    trained = train(log, schema=CSV, cache=cache, **settings)
    assert trained.result.promised_bytes == trained.result.held_bytes
    assert np.isfinite(trained.predict(rows)).all()


@pytest.mark.parametrize("cold", ["hash_rows", "robe", "quotient_remainder"])
def test_bags_of_hot_and_cold_tokens_train_serve_and_export(
    cold: str, log: Path, rows: dict[str, list[Any]], cache: Path, tmp_path: Path
) -> None:
    """A bag is looked up in two parts, whichever way it is pooled."""
    settings = {**TINY, "method": "offline_split", "budget": "1.5x", "options": {"cold": cold}}
    trained = train(log, schema=CSV, cache=cache, out=tmp_path / "run", **settings)
    served = load(tmp_path / "run")
    assert evaluate(np.array(rows["stars"]) > 3.5, served.logits(rows)).auc > 0.6  # type: ignore[operator]
    np.testing.assert_array_equal(served.logits(rows), trained.recommender.logits(rows))
    dataset = open_data(RunConfig.from_json({"data": [str(log)], "schema": CSV.to_json()}), cache)
    (batch,) = dataset.batches(
        ("train", "validation", "test"), batch_size=ROWS, id_spaces=served._spaces()
    )  # fmt: skip
    encoded = served.encoder.encode(rows, id_spaces=served._spaces())
    if cold != "quotient_remainder":
        assert np.array_equal(encoded.ids, batch.ids.numpy()), "tokens of later rows have their hash on both sides"
    served.export(tmp_path / "bags.pt2")
    program = torch.export.load(tmp_path / "bags.pt2").module()
    np.testing.assert_allclose(program(*served.inputs(rows)).numpy(), served.logits(rows), atol=1e-5)


@pytest.mark.parametrize("model", MODELS.names())
def test_every_model_takes_bags_with_and_without_dense_numbers(
    model: str, log: Path, rows: dict[str, list[Any]], cache: Path
) -> None:
    for schema in (CSV, replace(CSV, fields=tuple(f for f in CSV.fields if f.kind != "dense"))):
        settings = {**TINY, "model": {**TINY["model"], "name": model}, "train": {"epochs": 1}}
        found = train(log, schema=schema, cache=cache, **settings)
        assert found.result.test is not None
        assert np.isfinite(found.predict(rows)).all()


def test_the_next_day_learns_new_tokens_of_bags(trained: Trained, tmp_path: Path, cache: Path) -> None:
    later = rows_of(400, seed=2, first=ROWS)
    artifact = trained.recommender.artifact
    assert artifact is not None
    onward = train(write_csv(tmp_path / "next.csv", later), cache=cache, start=artifact.path, budget="64KiB")
    before, after = trained.recommender.encoder.vocabularies, onward.recommender.encoder.vocabularies
    assert after["item"].size > before["item"].size
    assert np.array_equal(after["item"].tokens()[: before["item"].size], before["item"].tokens())
    assert np.isfinite(onward.predict(later)).all()


class _Killed(BaseException):
    """Stands for a kill."""


class _KilledAt(Silent):
    def __init__(self, step: int) -> None:
        self.at = step

    def step(self, *, step: int, batch: int, loss: float) -> None:
        if step == self.at:
            raise _Killed


def test_a_killed_run_ends_with_the_same_bytes(
    trained: Trained, log: Path, rows: dict[str, list[Any]], tmp_path: Path, cache: Path
) -> None:
    settings = {**TINY, "train": {**TINY["train"], "checkpoint_steps": 5}}
    whole = train(log, schema=CSV, cache=cache, **settings)
    with pytest.raises(_Killed):
        train(log, schema=CSV, cache=cache, out=tmp_path / "run", watcher=_KilledAt(17), **settings)
    again = train(log, schema=CSV, cache=cache, out=tmp_path / "run", **settings)
    assert again.predict(rows).tobytes() == whole.predict(rows).tobytes()


@pytest.mark.parametrize("spoil", ["seen", "genres"])
def test_bags_must_be_there_when_predicting(trained: Trained, rows: dict[str, list[Any]], spoil: str) -> None:
    from pocketrec.spec.errors import SchemaError

    with pytest.raises(SchemaError, match=f"there must be one column '{spoil}'"):
        trained.predict({name: values for name, values in rows.items() if name != spoil})


class Keyed:
    """Bags of features by name, as torchrec holds them."""

    def __init__(self, names: list[str], ids: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor) -> None:
        self._held = names, ids, offsets, weights

    def keys(self) -> list[str]:
        return self._held[0]

    def values(self) -> torch.Tensor:
        return self._held[1]

    def offsets(self) -> torch.Tensor:
        return self._held[2]

    def weights_or_none(self) -> torch.Tensor:
        return self._held[3]

    def stride(self) -> int:
        return (len(self._held[2]) - 1) // len(self._held[0])


def test_a_served_model_finds_keyed_features_by_the_names_of_the_fields_that_share_a_table(
    trained: Trained, rows: dict[str, list[Any]]
) -> None:
    served = load(trained.recommender.artifact.path)  # type: ignore[union-attr]
    frame = last(rows, 10)
    dense, ids, offsets, weights = served.inputs(frame)
    keyed = Keyed(["item", "seen", "genres"], ids, offsets, weights)
    with torch.inference_mode():
        np.testing.assert_array_equal(served.model(dense, keyed).numpy(), served.logits(frame))
