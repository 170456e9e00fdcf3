"""Each suspicion is found where it should be, and a healthy log has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pocketrec.data.check.check import check
from pocketrec.data.check.suspicions import Finding, separator_of, threshold_of
from pocketrec.spec.schema import Field, Schema

SCHEMA = Schema(
    fields=(
        Field(name="y", kind="label"), Field(name="t", kind="time"), Field(name="d", kind="dense"),
        Field(name="c", kind="categorical"),
    ),
    format="parquet",
)  # fmt: skip
N = 1000


def healthy() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        "y": rng.integers(0, 2, N), "t": np.arange(N), "d": rng.normal(size=N),
        "c": [f"k{i}" for i in rng.integers(0, 99, N)],
    }  # fmt: skip


def findings(tmp_path: Path, schema: Schema = SCHEMA, **columns: Any) -> list[Finding]:
    pq.write_table(pa.table({**healthy(), **columns}), tmp_path / "log.parquet")
    found = check(tmp_path / "log.parquet", schema).findings
    assert all(f.text.endswith(".") and f.next_step.endswith(".") for f in found)
    return list(found)


def kinds(found: list[Finding]) -> list[tuple[str, str | None]]:
    return [(f.kind, f.column) for f in found]


def with_field(old: str, **changes: Any) -> Schema:
    return replace(SCHEMA, fields=tuple(replace(f, **changes) if f.name == old else f for f in SCHEMA.fields))


def test_a_healthy_log_raises_no_suspicion(tmp_path: Path) -> None:
    assert findings(tmp_path) == []


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"d": [1.5] * N}, ("constant", "d")),
        ({"c": ["k"] * N}, ("constant", "c")),
        ({"c": [None] * N}, ("no_values", "c")),
        ({"d": pa.nulls(N, pa.float64())}, ("no_values", "d")),
        ({"c": [f"k{i}" for i in range(N)]}, ("row_id", "c")),
        ({"t": np.arange(N)[::-1]}, ("time_order", "t")),
        ({"y": np.ones(N)}, ("one_class", "y")),
        ({"d": [str(i % 7) for i in range(N)]}, ("number_as_text", "d")),
        ({"c": [f"{i % 9}.5" for i in range(N)]}, ("number_as_token", "c")),
        ({"c": [["a|b", "b", "a|c|d", "d|b"][i % 4] for i in range(N)]}, ("list", "c")),
        ({"y": np.resize([1, 2, 3, 4, 5], N)}, ("label_values", "y")),
    ],
)
def test_what_is_suspicious_is_found(tmp_path: Path, columns: dict[str, Any], expected: tuple[str, str]) -> None:
    found = kinds(findings(tmp_path, **columns))
    assert expected in found
    assert {column for _, column in found} <= {expected[1], None}


def test_a_leak(tmp_path: Path) -> None:
    found = findings(tmp_path, d=healthy()["y"] * 2.0)
    assert kinds(found) == [("leak", "d")]
    assert "AUC of 1.000" in found[0].text


def test_a_label_of_ratings_gets_a_threshold(tmp_path: Path) -> None:
    ratings = np.resize([1, 2, 3, 4, 5], N)
    [label] = [f for f in findings(tmp_path, y=ratings) if f.column == "y"]
    assert "1, 2, 3, 4, 5" in label.text
    assert "threshold: 4" in label.next_step
    assert "label_values" not in {f.kind for f in findings(tmp_path, schema=with_field("y", threshold=4.0), y=ratings)}


def test_repeated_rows(tmp_path: Path) -> None:
    columns = {name: [*list(values)[: N - 5], *list(values)[N - 10 : N - 5]] for name, values in healthy().items()}
    found = findings(tmp_path, **columns)
    assert ("repeated_rows", None) in kinds(found)
    assert any("5 of the first 1,000 rows (0.5%)" in f.text for f in found)


def test_a_huge_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketrec.data.check.suspicions._HUGE", 90)
    assert kinds(findings(tmp_path)) == [("huge_vocabulary", "c")]
    assert findings(tmp_path, schema=with_field("c", ids="hash63")) == []


def test_bags_are_no_lists_to_be_found(tmp_path: Path) -> None:
    lists = [["a|b", "b", "a|c|d", "d|b"][i % 4] for i in range(N)]
    assert findings(tmp_path, schema=with_field("c", many=True), c=lists) == []


@pytest.mark.parametrize(
    ("texts", "separator"),
    [
        (["a;b", "b", "a;c;b", "c"], ";"),
        (["3,14,15", "14", "3", "15,3"], ","),
        (["1 2 3", "2 1", "3 2 1 4", "1 4"], " "),
        (["red", "green", "blue"], None),
        (["New York", "San Jose", "Los Angeles", "Paris"], None),
        (["12.5", "1.25", "3.75"], None),
        (["a|b", "c|d", "e|f"], None),
        ([], None),
    ],
)
def test_separators(texts: list[str], separator: str | None) -> None:
    assert separator_of(texts) == separator


def test_thresholds() -> None:
    assert threshold_of(np.array([1.0, 2, 3, 4, 5])) == 4
    assert threshold_of(np.array([0.5, 0.7])) == 0.7
    assert threshold_of(np.arange(101.0)) == 50
