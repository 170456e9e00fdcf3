from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pocketrec.data.propose.guess import Guess, guesses, is_user
from pocketrec.data.propose.profile import profile

N = 400
RNG = np.random.default_rng(2)


def guessed(columns: dict[str, Any], *, must_name_all: bool = False) -> dict[str, Guess]:
    table = pa.table(columns)
    found = guesses([profile(n, table.column(n)) for n in table.column_names], must_name_all=must_name_all)
    assert [g.name for g in found] == table.column_names
    assert all(g.reason for g in found)
    return {g.name: g for g in found}


def kind(guess: Guess) -> str | None:
    return None if guess.field is None else guess.field.kind


BINARY = RNG.integers(0, 2, N)
TEXT = [f"k{i}" for i in RNG.integers(0, 40, N)]


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        ({"c": TEXT, "clicked": BINARY}, "clicked"),
        ({"is_like": BINARY, "is_click": BINARY, "c": TEXT}, "is_click"),
        ({"first": BINARY, "c": TEXT}, "first"),
        ({"c": TEXT, "middle": BINARY, "d": TEXT}, "middle"),
        ({"c": TEXT, "a": BINARY, "b": BINARY, "d": TEXT}, None),
        ({"c": TEXT, "d": TEXT}, None),
        ({"c": TEXT, "label": [1] * N}, None),
    ],
)
def test_labels(columns: dict[str, Any], label: str | None) -> None:
    found = guessed(columns)
    assert [name for name, g in found.items() if kind(g) == "label"] == ([label] if label else [])


def test_a_rating_gets_a_threshold_and_other_outcomes_are_left_out() -> None:
    found = guessed(
        {"c": TEXT, "rating": RNG.integers(1, 6, N), "watch_time": RNG.random(N), "page_stay_time": RNG.random(N)}
    )
    field = found["rating"].field
    assert field is not None
    assert (field.kind, field.threshold) == ("label", 4)
    assert "choose your own" in found["rating"].reason
    assert found["watch_time"].field is None
    assert found["page_stay_time"].field is None


@pytest.mark.parametrize(
    ("name", "values", "is_time"),
    [
        ("at", [f"2026-01-01T00:{i // 60 % 60:02d}:{i % 60:02d}" for i in range(N)], True),
        ("anything", [f"2026-01-{1 + i % 28:02d}" for i in range(N)], True),
        ("timestamp", RNG.integers(1_600_000_000, 1_700_000_000, N), True),
        ("time_ms", RNG.integers(1_600_000_000_000, 1_700_000_000_000, N), True),
        ("day", np.arange(N) // 40, True),
        ("hour", RNG.integers(0, 24, N), False),
        ("views", RNG.integers(1_600_000_000, 1_700_000_000, N), False),
    ],
)
def test_times(name: str, values: Any, is_time: bool) -> None:
    assert (kind(guessed({"c": TEXT, name: values})[name]) == "time") is is_time


def test_the_finest_time_orders_rows() -> None:
    found = guessed({"c": TEXT, "date": [f"2026-01-{1 + i // 200:02d}" for i in range(N)], "ts": np.arange(N)})
    assert kind(found["ts"]) == "time"
    assert found["date"].field is None


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("site", TEXT, "categorical"),
        ("item_id", RNG.integers(0, 9000, N), "categorical"),
        ("C7", RNG.integers(0, 9000, N), "categorical"),
        ("browser", RNG.integers(0, 9, N), "categorical"),
        ("shop", RNG.integers(0, 9000, N), "categorical"),
        ("price", RNG.integers(0, 9000, N), "dense"),
        ("I3", RNG.integers(0, 9000, N), "dense"),
        ("clicks_before", (RNG.pareto(0.7, N) * 3).astype(int), "dense"),
        ("x", RNG.normal(size=N), "dense"),
        ("weight", RNG.random(N), "weight"),
        ("id", np.arange(N), None),
        ("anything", np.arange(N), None),
        ("note", [f"only once {i}" for i in range(N)], None),
        ("same", ["x"] * N, None),
        ("none", [None] * N, None),
        ("nested", [{"a": 1}] * N, None),
    ],
)
def test_inputs(name: str, values: Any, expected: str | None) -> None:
    assert kind(guessed({"label": BINARY, "c": TEXT, name: values})[name]) == expected


def test_transforms() -> None:
    tail = RNG.pareto(0.7, N)
    found = guessed({"c": TEXT, "a": tail, "b": np.where(BINARY, None, RNG.normal(size=N))})
    a, b = found["a"].field, found["b"].field
    assert a is not None
    assert b is not None
    assert (a.transform.log1p, a.transform.missing_flag, a.transform.standardise) == (True, False, True)
    assert (b.transform.log1p, b.transform.missing_flag, b.transform.standardise) == (False, True, True)


def test_bags_and_users_and_shared_tables() -> None:
    lists = [["a;b", "b", "c;a;d", "d"][i % 4] for i in range(N)]
    last = [f"k{i}" for i in RNG.integers(0, 40, N)]
    found = guessed(
        {"user_id": RNG.integers(0, 50, N), "item": TEXT, "last": last, "tags": lists, "arrays": [["x"], []] * 200}
    )
    tags, arrays, shared = found["tags"].field, found["arrays"].field, found["last"].field
    assert tags is not None
    assert arrays is not None
    assert shared is not None
    assert (tags.many, tags.separator, arrays.many) == (True, ";", True)
    assert shared.table == "item"
    assert [name for name, g in found.items() if is_user(g)] == ["user_id"]


def test_without_a_header_nothing_is_left_out() -> None:
    columns = {"c1": BINARY, "c2": np.arange(N), "c3": ["x"] * N, "c4": TEXT}
    assert [kind(g) for g in guessed(columns).values()] == ["label", None, None, "categorical"]
    found = guessed(columns, must_name_all=True)
    assert [kind(g) for g in found.values()] == ["label", "categorical", "categorical", "categorical"]
    assert "without a header" in found["c3"].reason


def test_invented_names_say_nothing() -> None:
    amounts = (RNG.pareto(0.7, N) * 3).astype(int)
    columns = {"c1": BINARY, "c2": amounts, "c3": RNG.integers(0, 9, N), "c4": TEXT}
    assert [kind(g) for g in guessed(columns).values()] == ["label", "categorical", "categorical", "categorical"]
    found = guessed(columns, must_name_all=True)
    assert [kind(g) for g in found.values()] == ["label", "dense", "categorical", "categorical"]
    assert "by name" not in found["c3"].reason
