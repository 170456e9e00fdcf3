from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.dataset import Dataset
from pocketrec.data.encoder import Encoded, Encoder
from pocketrec.data.prepare import prepare
from pocketrec.data.scan import scan
from pocketrec.data.split import Split
from pocketrec.native.hash63 import hash_tokens
from pocketrec.spec.errors import BadRow, OptionError, SchemaError
from pocketrec.spec.schema import DenseTransform, Field, Schema
from pocketrec.spec.table import Head, IdSpace, WantedIds

WriteLog = Callable[..., Path]
SPACES: list[dict[str, IdSpace]] = [{}, {"c": "hash63"}, {"c": "plain"}]


@pytest.fixture
def log(tmp_path: Path, write_log: WriteLog) -> Path:
    return write_log(tmp_path / "log.csv", 400)


@pytest.fixture
def dataset(log: Path, tmp_path: Path, all_kinds: Schema) -> Dataset:
    return prepare(log, all_kinds, cache=tmp_path / "cache", split=Split(train="1/2", validation="1/4", test="1/4"))


def cached(dataset: Dataset, spaces: dict[str, IdSpace]) -> Encoded:
    (batch,) = dataset.batches(("train", "validation", "test"), batch_size=10_000, id_spaces=spaces)
    assert batch.weight is not None
    return Encoded(
        dense=batch.dense.numpy(), ids=batch.ids.numpy(), label=batch.label.numpy(), weight=batch.weight.numpy()
    )


def in_head(ids: np.ndarray, ranks: np.ndarray, hashes: np.ndarray, told_apart: int) -> bool:
    """Whether ids are ranks up to the last that is told apart, and hashes above."""
    return np.array_equal(ids, np.where((ranks >= 1) & (ranks <= told_apart), ranks, hashes))


def as_known_to_training(ids: np.ndarray, dataset: Dataset) -> np.ndarray:
    """What the cache holds, with tokens that came after the training rows as unknown."""
    rows = dataset.table_specs(1)[0].rows
    out = ids.copy()
    assert rows is not None
    out[:, :2] = np.where(out[:, :2] >= rows, 0, out[:, :2])
    return out


def frames(log: Path) -> dict[str, Any]:
    """The same rows as people hold them, with numbers where the file has digits."""
    typed = pa_csv.read_csv(log, convert_options=pa_csv.ConvertOptions(strings_can_be_null=True))
    return {
        "text": pd.read_csv(log, dtype=str, keep_default_na=False),
        "pandas": pd.read_csv(log),
        "arrow": typed,
        "lists": typed.to_pydict(),
        "dictionaries": pa.table(
            {n: typed[n].dictionary_encode() if n in ("c", "h") else typed[n] for n in typed.column_names}
        ),
    }


@pytest.mark.parametrize("kind", ["text", "pandas", "arrow", "lists", "dictionaries"])
@pytest.mark.parametrize("spaces", SPACES, ids=["rank", "hash63", "plain"])
def test_serving_encodes_bit_for_bit_as_training_did(
    log: Path, dataset: Dataset, kind: str, spaces: dict[str, IdSpace]
) -> None:
    want, got = cached(dataset, spaces), dataset.encoder().encode(frames(log)[kind], id_spaces=spaces)
    assert got.dense.tobytes() == want.dense.tobytes()
    ids = want.ids if spaces == {"c": "hash63"} else as_known_to_training(want.ids, dataset)
    assert np.array_equal(got.ids, ids)
    assert (got.ids.dtype, got.dense.dtype) == (np.int64, np.float32)
    assert got.label is not None
    assert got.weight is not None
    assert np.array_equal(got.label, want.label if want.label is not None else [])
    assert np.array_equal(got.weight, want.weight if want.weight is not None else [])


@pytest.mark.parametrize("told_apart", [0, 1, 7, 10**6])
@pytest.mark.parametrize("kind", ["text", "arrow"])
def test_of_a_head_serving_encodes_as_training_did_whatever_the_encoder_was_cut_to(
    log: Path, dataset: Dataset, kind: str, told_apart: int
) -> None:
    """Training, validation and test rows alike: a token that training rows lack has its hash on both sides."""
    told_apart = min(told_apart, dataset.encoder().vocabularies["c"].size)
    spaces: dict[str, WantedIds] = {"c": Head(told_apart)}
    want, frame = cached(dataset, spaces).ids, frames(log)[kind]
    for encoder in (dataset.encoder(), dataset.encoder().cut({"c": told_apart})):
        again = Encoder.from_parts(json.loads(json.dumps(encoder.to_json())), encoder.to_arrays())
        assert np.array_equal(again.encode(frame, id_spaces=spaces).ids, want)
    ranks, hashes = cached(dataset, {}).ids, cached(dataset, {"c": "hash63"}).ids
    assert in_head(want[:, :2], ranks[:, :2], hashes[:, :2], told_apart)
    assert np.array_equal(want[:, 2:], ranks[:, 2:])
    known = dataset.encoder().vocabularies["c"].size
    assert (ranks[:, :2] > known).any(), "there are tokens that training rows lack"


def test_of_a_head_tokens_that_nobody_has_seen_have_their_hash(log: Path, dataset: Dataset) -> None:
    frame = pd.read_csv(log, dtype=str, keep_default_na=False)
    frame["c"] = [f"new {i}" for i in range(len(frame))]
    encoder = dataset.encoder().cut({"c": 5})
    ids = encoder.encode(frame, id_spaces={"c": Head(5)}).ids[:, 0]
    assert np.array_equal(ids, encoder.encode(frame, id_spaces={"c": "hash63"}).ids[:, 0])
    assert np.array_equal(ids, hash_tokens(pa.array(frame["c"].tolist())))
    assert len(np.unique(ids)) == len(frame)


def test_so_does_reading_files_and_one_row_at_a_time(log: Path, dataset: Dataset, all_kinds: Schema) -> None:
    encoder, frame = dataset.encoder("validation"), pd.read_csv(log)
    whole = encoder.encode(frame)
    assert (whole.ids[:, 0] > 0).mean() > 0.95
    read = [encoder.encode_columns(columns) for columns in scan(log, all_kinds, BadRows("fail"))]
    assert np.array_equal(np.concatenate([part.ids for part in read]), whole.ids)
    for i in (0, 7, 399):
        one = encoder.encode(frame.iloc[i : i + 1])
        assert one.dense.tobytes() == whole.dense[i : i + 1].tobytes()
        assert np.array_equal(one.ids, whole.ids[i : i + 1])


def test_it_survives_being_taken_apart(log: Path, dataset: Dataset) -> None:
    encoder = dataset.encoder()
    again = Encoder.from_parts(json.loads(json.dumps(encoder.to_json())), encoder.to_arrays())
    frame = pd.read_csv(log)
    one, two = encoder.encode(frame), again.encode(frame)
    assert one.dense.tobytes() == two.dense.tobytes()
    assert np.array_equal(one.ids, two.ids)
    tokens = dataset.table_specs(1)[0].rows
    assert tokens is not None
    assert sum(array.nbytes for array in encoder.to_arrays().values()) == 12 * (tokens - 1)


def test_a_cut_encoder_knows_the_first_ranks_only(log: Path, dataset: Dataset) -> None:
    frame, encoder = pd.read_csv(log), dataset.encoder()
    whole, cut = encoder.encode(frame), encoder.cut({"c": 5}).encode(frame)
    assert np.array_equal(cut.ids[:, :2], np.where(whole.ids[:, :2] > 5, 0, whole.ids[:, :2]))
    assert np.array_equal(cut.ids[:, 2:], whole.ids[:, 2:])
    assert encoder.cut({"c": 0}).to_arrays()["0.keys"].size == 0
    with pytest.raises(OptionError, match=r"No vocabulary for h. Tables: c"):
        encoder.cut({"h": 3})


def test_extending_appends(dataset: Dataset) -> None:
    encoder = dataset.encoder()
    n = encoder.vocabularies["c"].size
    grown = encoder.extend({"c": hash_tokens(pa.array(["t1", "brand new", "newer"]))})
    row = {"d": [1.0], "e": [1.0], "c": ["brand new"], "c2": ["newer"], "h": ["x"], "p": [0]}
    assert encoder.encode(row).ids[0, :2].tolist() == [0, 0]
    assert grown.encode(row).ids[0, :2].tolist() == [n + 1, n + 2]
    assert np.array_equal(grown.vocabularies["c"].tokens()[:n], encoder.vocabularies["c"].tokens())


def test_label_and_weight_may_be_absent_when_predicting(dataset: Dataset) -> None:
    got = dataset.encoder().encode(
        {"d": [None], "e": [None], "c": [None], "c2": ["t1"], "h": ["x"], "p": ["3"], "more": [1]}
    )
    assert got.label is None
    assert got.weight is None
    assert got.dense[0, 1:].tolist() == [1.0, 0.5]
    assert got.ids[0, 0] > 0  # missing is an ordinary token


def test_bad_frames_name_row_and_column(dataset: Dataset) -> None:
    good: dict[str, list[Any]] = {
        "d": [1, 2],
        "e": [1, 2],
        "c": ["a", "b"],
        "c2": ["a", "b"],
        "h": ["x", "y"],
        "p": [0, 1],
    }
    with pytest.raises(SchemaError, match=r"the frame: there must be one column 'e'"):
        dataset.encoder().encode({name: values for name, values in good.items() if name != "e"})
    with pytest.raises(BadRow, match="the frame, row 2, column d: not a finite number"):
        dataset.encoder().encode({**good, "d": [1.0, float("inf")]})
    with pytest.raises(BadRow, match="the frame, row 1, column p: not an id from 0 to 5"):
        dataset.encoder().encode({**good, "p": [6, 0]})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data, arrays: data.pop("schema"),
        lambda data, arrays: data.update(tables=[]),
        lambda data, arrays: data.update(fitted={}),
        lambda data, arrays: data.update(fitted={"d": 3}),
        lambda data, arrays: arrays.pop("0.keys"),
        lambda data, arrays: arrays.update({"0.keys": arrays["0.keys"][::-1]}),
    ],
)
def test_parts_that_do_not_fit_are_refused(dataset: Dataset, spoil: Callable[[Any, Any], None]) -> None:
    encoder = dataset.encoder()
    data, arrays = encoder.to_json(), encoder.to_arrays()
    spoil(data, arrays)
    with pytest.raises(OptionError):
        Encoder.from_parts(data, arrays)


def test_encoding_nothing_gives_nothing(dataset: Dataset) -> None:
    names = ("d", "e", "c", "c2", "h", "p")
    got = dataset.encoder().encode(pa.table({name: pa.array([], pa.string()) for name in names}))
    assert got.ids.shape == (0, 4)
    assert got.dense.shape == (0, 3)


def test_encoded_rows_say_whose_they_are_by_raw_token(
    dataset: Dataset, log: Path, tmp_path: Path, all_kinds: Schema
) -> None:
    assert dataset.encoder().encode(frames(log)["arrow"]).user is None
    frame = frames(log)["arrow"]
    for field in all_kinds.categorical:
        schema = replace(all_kinds, user=field.name)
        cut = prepare(log, schema, cache=tmp_path / "cache", split=Split(train="1/2", validation="1/4", test="1/4"))
        encoder = cut.encoder()
        folding = encoder.cut({table: 1 for table in encoder.vocabularies})  # nearly all tokens are unknown to it
        found = folding.encode(frame).user
        assert found is not None
        if field.ids == "plain":
            np.testing.assert_array_equal(found, frame[field.name].to_numpy())
        else:
            tokens = [str(value or "") if value is not None else "" for value in frame[field.name].to_pylist()]
            expected = hash_tokens(pa.array(tokens))
            np.testing.assert_array_equal(found, np.where(np.array(tokens) == "", -1, expected))
        (batch,) = cut.batches(("train", "validation", "test"), batch_size=10_000)
        assert batch.user is not None
        np.testing.assert_array_equal(np.sort(batch.user.numpy()), np.sort(found))


BAGS = Schema(
    fields=(
        Field(name="y", kind="label", threshold=3),
        Field(name="d", kind="dense", transform=DenseTransform(log1p=True)),
        Field(name="a", kind="categorical", many=True),
        Field(name="c", kind="categorical", table="a"),
        Field(name="n", kind="categorical", many=True, separator=";", pool="sum", max_values=2),
        Field(name="h", kind="categorical", many=True, ids="hash63", separator=" "),
        Field(name="p", kind="categorical", many=True, ids="plain", rows=9),
    )
)


def bag_rows(count: int) -> dict[str, list[Any]]:
    rng = np.random.default_rng(4)

    def bags(make: Callable[[int], Any], ids: int) -> list[list[Any]]:
        return [[make(int(n)) for n in rng.integers(0, ids + i // 20, rng.integers(0, 5))] for i in range(count)]

    return {
        "y": rng.integers(1, 6, count).tolist(), "d": rng.integers(0, 50, count).tolist(),
        "a": bags(lambda n: f"t{n}", 8), "c": [f"t{n}" for n in rng.integers(0, 20, count)],
        "n": bags(lambda n: n, 8), "h": bags(lambda n: f"u{n}", 20),
        "p": [[int(n) for n in rng.integers(0, 9, rng.integers(0, 4))] for _ in range(count)],
    }  # fmt: skip


def bag_frames(rows: dict[str, list[Any]]) -> dict[str, Any]:
    """The same bags as texts, as lists of several libraries, and with nulls in place of empty ones."""
    separators = {f.name: f.separator for f in BAGS.bags}
    texts = {
        name: [separators[name].join(map(str, bag)) for bag in values] if name in separators else values
        for name, values in rows.items()
    }
    lists = {name: [bag or None for bag in values] if name in separators else values for name, values in rows.items()}
    return {
        "text": texts, "pandas text": pd.DataFrame(texts), "lists": rows, "nulls": lists, "pandas": pd.DataFrame(rows),
        "arrow": pa.table({n: pa.array(v, pa.large_list(pa.string())) if n == "a" else v for n, v in rows.items()}),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["text", "pandas text", "lists", "nulls", "pandas", "arrow"])
@pytest.mark.parametrize("spaces", [{}, {"a": "hash63", "n": "plain"}], ids=["rank", "hash63"])
def test_serving_encodes_bags_bit_for_bit_as_training_did(
    tmp_path: Path, kind: str, spaces: dict[str, IdSpace]
) -> None:
    rows = bag_rows(300)
    frame = pd.DataFrame(bag_frames(rows)["text"])
    frame.to_csv(tmp_path / "log.csv", index=False)
    dataset = prepare(tmp_path / "log.csv", BAGS, cache=tmp_path / "c", split=Split())
    (batch,) = dataset.batches(("train", "validation", "test"), batch_size=1000, id_spaces=spaces)
    got = dataset.encoder().encode(bag_frames(rows)[kind], id_spaces=spaces)
    assert got.offsets is not None
    assert got.value_weights is not None
    assert batch.offsets is not None
    assert batch.value_weights is not None
    assert got.offsets.tobytes() == batch.offsets.numpy().tobytes()
    assert got.value_weights.tobytes() == batch.value_weights.numpy().tobytes()
    want = batch.ids.numpy().copy()
    fields = np.repeat(np.arange(5), np.diff(got.offsets).reshape(5, -1).sum(axis=1))
    for table, of in (("a", (0, 1)), ("n", (2,))):
        known = dataset.encoder().vocabularies[table].size
        if spaces.get(table, "rank") != "hash63":
            want[np.isin(fields, of) & (want > known)] = 0  # tokens that came after the training rows
    assert (want != batch.ids.numpy()).any()
    assert np.array_equal(got.ids, want)
    assert got.label is not None
    assert got.label.tobytes() == batch.label.numpy().tobytes()
    assert set(got.label.tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("told_apart", [0, 3])
def test_of_a_head_bags_are_encoded_as_training_did(tmp_path: Path, told_apart: int) -> None:
    rows = bag_rows(300)
    pd.DataFrame(bag_frames(rows)["text"]).to_csv(tmp_path / "log.csv", index=False)
    dataset = prepare(tmp_path / "log.csv", BAGS, cache=tmp_path / "c", split=Split())
    spaces: dict[str, WantedIds] = {"a": Head(told_apart), "n": Head(2)}
    (batch,) = dataset.batches(("train", "validation", "test"), batch_size=1000, id_spaces=spaces)
    encoder = dataset.encoder().cut({"a": told_apart, "n": 2})
    got = encoder.encode(rows, id_spaces=spaces)
    assert np.array_equal(got.ids, batch.ids.numpy())
    (ranks,) = dataset.batches(("train", "validation", "test"), batch_size=1000)
    hashed: dict[str, WantedIds] = {"a": "hash63", "n": "hash63"}
    (hashes,) = dataset.batches(("train", "validation", "test"), batch_size=1000, id_spaces=hashed)
    assert got.offsets is not None
    fields = np.repeat(np.arange(5), np.diff(got.offsets).reshape(5, -1).sum(axis=1))
    for of, last in (((0, 1), told_apart), ((2,), 2)):
        own = np.isin(fields, of)
        assert in_head(got.ids[own], ranks.ids.numpy()[own], hashes.ids.numpy()[own], last)


def test_encoding_no_rows_of_bags(tmp_path: Path) -> None:
    pd.DataFrame(bag_frames(bag_rows(20))["text"]).to_csv(tmp_path / "log.csv", index=False)
    dataset = prepare(tmp_path / "log.csv", BAGS, cache=tmp_path / "c", split=Split())
    got = dataset.encoder().encode(
        pa.table({name: pa.array([], pa.string()) for name in ("d", "a", "c", "n", "h", "p")})
    )
    assert (len(got.ids), got.dense.shape, got.label) == (0, (0, 1), None)
    assert got.offsets is not None
    assert got.offsets.tolist() == [0]
