from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.check.sample import CheckSample
from pocketrec.data.columns import read_columns
from pocketrec.spec.schema import Field, Schema

SCHEMA = Schema(
    fields=(
        Field(name="y", kind="label"), Field(name="d", kind="dense"), Field(name="c", kind="categorical"),
        Field(name="g", kind="categorical", many=True),
    )
)  # fmt: skip


def sampled(columns: dict[str, object], rows: int = 50_000, schema: Schema = SCHEMA) -> CheckSample:
    table = pa.table(columns)
    sample = CheckSample(schema, rows)
    numbers = np.arange(len(table)) + 1
    sample.take(read_columns(table, schema, file="f", rows=numbers, bad=BadRows("skip")), table)
    return sample


def log(n: int, seed: int = 0) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    return {
        "y": rng.integers(0, 2, n), "d": rng.normal(size=n), "c": rng.integers(0, 50, n).astype(str),
        "g": [f"{a}|{b}" for a, b in rng.integers(0, 4, (n, 2))],
    }  # fmt: skip


def test_a_column_of_noise_tells_nothing() -> None:
    sample = sampled(log(4000))
    for name in ("d", "c", "g"):
        assert sample.label_auc(name) == pytest.approx(0.5, abs=0.06)


def test_a_column_that_gives_the_label_away_is_seen_whatever_its_form() -> None:
    columns = log(4000)
    label = np.array(columns["y"])
    forms = {
        "d": [-3.0 * label + np.random.default_rng(1).normal(size=4000) / 3, np.where(label, np.nan, 1.0),
              np.where(label == 1, 0.0, np.resize([-5.0, 5.0], 4000))],
        "c": [np.where(label == 1, "yes", "no"), np.where(label == 1, "", "x")],
        "g": [np.where(label == 1, "a|b", "b|a")],
    }  # fmt: skip
    for name, ways in forms.items():
        for way in ways:
            area = sampled({**columns, name: pa.array(way, from_pandas=True)}).label_auc(name)
            assert area is not None
            assert area > 0.95, (name, way[:5])


def test_a_row_number_does_not_look_like_a_leak() -> None:
    columns = log(2000)
    assert sampled({**columns, "c": [f"r{i}" for i in range(2000)]}).label_auc("c") == 0.5


def test_few_rows_or_one_class_say_nothing() -> None:
    assert sampled(log(50)).label_auc("c") is None
    assert sampled({**log(500), "y": [1] * 500}).label_auc("c") is None


def test_repeated_rows() -> None:
    columns = log(300)
    assert sampled(columns).repeated_rows() == 0
    twice = {name: list(values) + list(values)[:7] for name, values in columns.items()}  # type: ignore[call-overload]
    assert sampled(twice).repeated_rows() == 7
    bags = {"y": [0, 0], "d": [0.0, -0.0], "c": ["a", "a"], "g": ["1|2", "2|1"]}
    assert sampled(bags).repeated_rows() == 0, "another order is another row"
    assert sampled({**bags, "g": ["1|2", "1|2"]}).repeated_rows() == 1


def test_only_the_first_rows_are_kept() -> None:
    sample = sampled(log(500), rows=100)
    assert sample.rows == len(sample.keys("c")) == 100


def test_texts_and_labels_as_they_stand_in_the_file() -> None:
    sample = sampled({"y": [0, 1, 5, 3], "d": [1.0] * 4, "c": ["b", None, "a", ""], "g": ["", "x|y", "z", ""]})
    assert sample.texts("c") == ["b", "a"]
    assert sample.texts("g") == ["x|y", "z"]
    assert sample.label_values().tolist() == [0, 1, 3, 5], "those of bad rows too"
    assert sample.rows == 2
    assert str(sample.type("c")) == "string"
    assert CheckSample(SCHEMA).type("c") is None


def test_lists_have_no_texts() -> None:
    assert sampled({"y": [0], "d": [1.0], "c": ["b"], "g": [["x", "y"]]}).texts("g") == []
