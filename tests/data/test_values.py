from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data.values import bags, integers, moments_in_time, numbers, tokens

TEXTS = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()]


def as_list(values: np.ndarray, missing: np.ndarray, wrong: np.ndarray) -> list[object]:
    return ["missing" if m else "wrong" if w else v for v, m, w in zip(values.tolist(), missing, wrong, strict=True)]


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_of_every_kind_become_numbers(kind: pa.DataType) -> None:
    got = numbers(pa.array(["1", "-2.5", "", None, "1e3"], pa.string()).cast(kind))
    assert as_list(got.values, got.missing, got.wrong) == [1.0, -2.5, "missing", "missing", 1000.0]


def test_one_wrong_text_does_not_spoil_the_others() -> None:
    got = numbers(pa.array(["1", "x", "", "+4", "1_000", " 5", "0x10", "-.5", "nan", "inf"]))
    assert as_list(got.values, got.missing, got.wrong)[:8] == [
        1.0,
        "wrong",
        "missing",
        4.0,
        "wrong",
        "wrong",
        "wrong",
        -0.5,
    ]
    assert not got.wrong[8:].any()
    assert np.isnan(got.values[8])
    assert np.isposinf(got.values[9])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_the_slow_way_reads_the_same_numbers_as_the_fast_one(values: list[float]) -> None:
    texts = [repr(v) for v in values]
    fast, slow = numbers(pa.array(texts, pa.string())), numbers(pa.array([*texts, "wrong"], pa.string()))
    assert fast.values.tolist() == values == slow.values[:-1].tolist()


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        (pa.array([1, None, 3], pa.int8()), [1.0, "missing", 3.0]),
        (pa.array([2**63], pa.uint64()), [2.0**63]),
        (pa.array([1.5, None], pa.float32()), [1.5, "missing"]),
        (pa.array([True, False]), [1.0, 0.0]),
        (pa.array([Decimal("1.25")]), [1.25]),
        (pa.array(["2", "7", "2"]).dictionary_encode(), [2.0, 7.0, 2.0]),
        (pa.nulls(2), ["missing", "missing"]),
        (pa.array([[1], [2]]), ["wrong", "wrong"]),
    ],
)
def test_typed_columns_become_numbers(raw: pa.Array, want: list[object]) -> None:
    got = numbers(raw)
    assert as_list(got.values, got.missing, got.wrong) == want


def test_integers_never_pass_through_floats() -> None:
    big = 2**62 + 1
    for raw in (pa.array([str(big)]), pa.array([str(big), "x"]), pa.array([big])):
        assert integers(raw).values[0] == big


@pytest.mark.parametrize("text", ["1.5", "x", "0x10", "99999999999999999999", "1e3", "--1"])
def test_texts_that_are_no_integers_are_wrong(text: str) -> None:
    got = integers(pa.array(["7", text, ""]))
    assert as_list(got.values, got.missing, got.wrong) == [7, "wrong", "missing"]


def test_floats_are_integers_when_they_are_whole() -> None:
    got = integers(pa.array([3.0, 3.5, None, float("nan"), 1e300]))
    assert as_list(got.values, got.missing, got.wrong) == [3, "wrong", "missing", "wrong", "wrong"]
    assert integers(pa.array([True])).wrong.all()


def test_moments_in_time_are_microseconds() -> None:
    texts = pa.array(["1970-01-01T00:00:01", "1970-01-02", "yesterday", ""])
    got = moments_in_time(texts)
    assert as_list(got.values, got.missing, got.wrong) == [1_000_000, 86_400_000_000, "wrong", "missing"]
    stamps = pa.array([1, None], pa.timestamp("s"))
    assert moments_in_time(stamps).values[0] == 1_000_000
    assert moments_in_time(pa.array([1, 2])).wrong.all()


def test_tokens_keep_the_order_of_first_appearance_and_missing_is_one() -> None:
    got, wrong = tokens(pa.array(["b", "a", None, "b", ""]))
    assert got.to_pylist() == ["b", "a", "", "b", ""]
    assert got.dictionary.to_pylist() == ["b", "a", ""]
    assert not wrong.any()


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_of_every_kind_become_tokens(kind: pa.DataType) -> None:
    assert tokens(pa.array(["é", "x"], pa.string()).cast(kind))[0].to_pylist() == ["é", "x"]


def test_whole_numbers_are_the_same_tokens_in_files_and_frames() -> None:
    assert tokens(pa.array([55, None]))[0].to_pylist() == ["55", ""]
    assert tokens(pa.array([55.0, None]))[0].to_pylist() == ["55", ""]
    assert tokens(pa.array([55, 55]).dictionary_encode())[0].to_pylist() == ["55", "55"]
    assert tokens(pa.nulls(1))[0].to_pylist() == [""]
    assert tokens(pa.array([True]))[0].to_pylist() == ["true"]


def test_what_is_no_token_is_wrong() -> None:
    assert tokens(pa.array([0.5, 1.0]))[1].tolist() == [True, False]
    assert tokens(pa.array([[1]]))[1].tolist() == [True]
    got, wrong = tokens(pa.array([b"ok", b"\xff", None], pa.binary()))
    assert wrong.tolist() == [False, True, False]
    assert got.to_pylist() == ["ok", "", ""]


def test_empty_columns_stay_empty() -> None:
    for kind in (pa.string(), pa.int64(), pa.null(), pa.float32()):
        raw = pa.array([], kind)
        assert len(numbers(raw).values) == len(integers(raw).values) == len(tokens(raw)[0]) == 0


def test_long_text_that_is_no_number_costs_no_more_than_its_length() -> None:
    # A pattern that tries every way to cut the digits needs hours for these.
    got = numbers(pa.array(["1" * 300_000 + "x", "1." + "1" * 300_000 + "x", "2"]))
    assert got.wrong.tolist() == [True, True, False]


BAGS: list[list[str | None] | None] = [["a", "b", "a"], None, [], ["", "c", None], ["d"]]


@pytest.mark.parametrize(
    "kind",
    [*(pa.list_(t) for t in TEXTS), pa.large_list(pa.string()), pa.list_view(pa.string()), pa.list_(pa.string())],
)
def test_lists_of_every_kind_are_bags(kind: pa.DataType) -> None:
    binary = "binary" in str(kind)
    rows = [bag and [t.encode() if binary and t is not None else t for t in bag] for bag in BAGS]
    got = bags(pa.array(rows, kind), "|", None)
    assert [t.decode() if isinstance(t, bytes) else t for t in got.tokens.to_pylist()] == ["a", "b", "a", "c", "d"]
    assert (got.lengths.tolist(), got.wrong.any()) == ([3, 0, 0, 1, 1], False)


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_with_separators_are_bags(kind: pa.DataType) -> None:
    raw = pa.array(["a||b", "", None, "||", "c"], pa.string()).cast(kind)
    got = bags(raw.slice(0), "|", None)
    assert (got.tokens.to_pylist(), got.lengths.tolist()) == (["a", "b", "c"], [2, 0, 0, 0, 1])
    assert bags(raw.slice(3), "|", None).lengths.tolist() == [0, 1]
    assert bags(pa.array(["a, b,, c"]), ", ", None).tokens.to_pylist() == ["a", "b,", "c"]
    assert (
        bags(raw.dictionary_encode() if kind != pa.string_view() else raw, "|", None).lengths.tolist()
        == got.lengths.tolist()
    )


@pytest.mark.parametrize(("most", "left"), [(1, ["a", "c"]), (2, ["a", "b", "c"]), (9, ["a", "b", "d", "c"])])
def test_of_longer_bags_the_first_tokens_are_left(most: int, left: list[str]) -> None:
    for raw in (pa.array(["a||b|d", "", "c"]), pa.array([["a", "", "b", "d"], [], [None, "c"]])):
        got = bags(raw, "|", most)
        assert got.tokens.to_pylist() == left
        assert got.lengths.tolist() == [min(most, 3), 0, 1]


def test_a_single_value_is_a_bag_of_one() -> None:
    assert bags(pa.array([7, None, 7]), "|", None).lengths.tolist() == [1, 0, 1]
    assert bags(pa.nulls(2), "|", None).lengths.tolist() == [0, 0]
    fixed = pa.FixedSizeListArray.from_arrays(pa.array([1, 2, 3, None]), 2)
    assert (bags(fixed, "|", None).tokens.to_pylist(), bags(fixed, "|", 9).lengths.tolist()) == ([1, 2, 3], [2, 1])


def test_broken_utf8_makes_no_bag() -> None:
    got = bags(pa.array([b"a|b", b"\xff|c"], pa.binary()), "|", None)
    assert (got.wrong.tolist(), got.lengths.tolist()) == ([False, True], [2, 0])


@given(
    st.lists(
        st.none() | st.lists(st.text(st.characters(exclude_characters="|", codec="utf-8")), max_size=4), max_size=6
    )
)
def test_a_list_and_its_text_are_the_same_bag(rows: list[list[str] | None]) -> None:
    texts = pa.array([None if bag is None else "|".join(bag) for bag in rows], pa.string())
    one, two = bags(texts, "|", 3), bags(pa.array(rows, pa.list_(pa.string())), "|", 3)
    assert (
        one.tokens.to_pylist() == two.tokens.to_pylist() == [t for bag in rows for t in [t for t in bag or [] if t][:3]]
    )
    assert one.lengths.tolist() == two.lengths.tolist()
