from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.artifact.strict_json import DEPTH_LIMIT, canonical, parse, plain
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(values)
def test_what_is_written_is_read(value: Any) -> None:
    assert parse(canonical(plain(value)), "it") == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "Expecting value"),
        (b"{", "property name"),
        (b"{}x", "Extra data"),
        (b"\xff", "utf-8"),
        ("{}".encode("utf-16"), "utf-8"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' stands twice"),
        (b"[NaN]", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "Infinity"),
        (b"[1e999]", "too large"),
        (b"[-1e999]", "too large"),
        (b"9" * 5000, "4300"),
        (b"[" * 100_000, "deep"),
        (b'{"a":' * 100_000, "deep"),
        (b"[" * (DEPTH_LIMIT + 1) + b"]" * (DEPTH_LIMIT + 1), "deep"),
        (b'{"a":' * (DEPTH_LIMIT + 1) + b"1" + b"}" * (DEPTH_LIMIT + 1), "deep"),
    ],
)
def test_refused(text: bytes, why: str) -> None:
    with pytest.raises(ArtifactCorrupt, match=f"(?s)It cannot be read: .*{why}"):
        parse(text, "It")


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse(b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT, "it")


def test_canonical_does_not_depend_on_order_or_space() -> None:
    text = '{"b": [1, 2.50], "a": "\u00e9"}'
    assert canonical(json.loads(text)) == b'{"a":"\\u00e9","b":[1,2.5]}'


def test_plain_makes_lists_of_tuples_and_copies() -> None:
    inner = [1]
    made = plain({"a": (1, (2.5, None)), "b": inner})
    assert made == {"a": [1, [2.5, None]], "b": [1]}
    assert made["b"] is not inner


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": {"b": [0, math.nan]}}, r"content\.a\.b\[1\] is nan"),
        ({"a": math.inf}, r"content\.a is inf"),
        ({"a": np.float32(1)}, r"content\.a .*float32"),
        ({"a": np.int64(1)}, r"content\.a .*int64"),
        ({"a": {1, 2}}, r"content\.a .*set"),
        ({"a": {1: 2}}, r"content\.a has the key 1"),
        ({"a": b"x"}, r"content\.a .*bytes"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_place(value: Any, where: str) -> None:
    with pytest.raises(ArtifactError, match=where):
        plain(value)


def test_content_that_could_not_be_read_back_is_not_written() -> None:
    deep: Any = 1
    for _ in range(DEPTH_LIMIT):
        deep = [deep]
    with pytest.raises(ArtifactError, match="nested deeper"):
        plain(deep)
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ArtifactError, match="nested deeper"):
        plain(circle)
