from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data.propose.profile import ColumnProfile, profile


def of(values: object, kind: pa.DataType | None = None) -> ColumnProfile:
    return profile("x", pa.chunked_array([pa.array(values, kind)]))


@pytest.mark.parametrize(
    ("values", "look", "distinct"),
    [
        ([b"1", b"2", b"", b"2"], "whole", 2),
        ([1, 2, None], "whole", 2),
        ([1.0, 2.0, 2.0], "whole", 2),
        ([b"1.5", b"2", b""], "number", 2),
        ([b"1e3", b"inf"], "text", 2),
        ([b"007", b"008"], "text", 2),
        ([b"12345678901234567890", b"1"], "text", 2),
        ([b"a", b"b", None, b"a"], "text", 2),
        ([b"2026-01-01", b"2026-01-02T10:00:00"], "time", 2),
        ([datetime.date(2026, 1, 1)], "time", 1),
        ([b"a|b", b"a", b"c|a|b", b"b|c"], "list", 4),
        ([["a", "b"], [], None], "list", 2),
        ([[1, 2], [2]], "list", 2),
        ([True, False, True], "whole", 2),
        ([None, None], "nothing", 0),
        ([b"", b""], "nothing", 0),
        ([{"a": 1}], "other", 0),
        ([[[1]]], "other", 0),
        ([b"\xff\xfe"], "other", 0),
        ([], "nothing", 0),
    ],
)
def test_looks(values: list[object], look: str, distinct: int) -> None:
    found = of(values)
    assert (found.look, found.distinct) == (look, distinct)
    assert found.rows == len(values)
    empty = sum(v in (None, b"", []) for v in values)
    assert found.missing_fraction == (empty / len(values) if values else 0.0)


def test_amounts_without_fractions_are_numbers_unless_there_are_few() -> None:
    assert of([f"{i}.00" for i in range(30)]).look == "number"
    assert of(["1.0", "0.0"] * 30).look == "whole"


def test_words_among_numbers() -> None:
    assert of(["1", "2.5", "low", "3", "", "4", "5"]).stray == "low"
    assert of(["1", "a", "b", "3"]).stray is None


@pytest.mark.parametrize("word", ["nan", "NaN", "NA", "N/A", "null", "NULL", "None", "\\N"])
def test_words_for_missing_numbers_are_no_tokens(word: str) -> None:
    found = of([b"1.5", word.encode(), b"", b"2.5", b"3"])
    assert (found.look, found.absent, found.stray, found.missing_fraction) == ("number", word, None, 0.4)
    assert found.numbers.tolist() == [1.5, 2.5, 3]
    assert of(["7", word, "9"]).look == "whole"
    assert of([word, word]).look == "text", "no number beside them: tokens such as the country NA"
    assert of(["7", word, "low"]).absent is None


def test_nan_of_a_typed_column_is_a_missing_number() -> None:
    found = of([1.5, float("nan"), None, 2.5])
    assert (found.look, found.absent, found.missing_fraction) == ("number", "nan", 0.5)
    assert of([1.5, float("inf")]).look != "number"


def test_elements_and_separators() -> None:
    found = of(["Comedy|Drama", "Drama", "Action|Comedy|War", "War|Drama"])
    assert found.separator == "|"
    assert found.tokens == {"Comedy", "Drama", "Action", "War"}


def test_what_numbers_say() -> None:
    assert of([0, 1, 1]).is_binary
    assert not of([0, 1, None]).is_binary
    assert not of([1, 1]).is_binary
    assert of([1, 1, 5]).rises
    assert not of([1, 0]).rises
    assert of((np.random.default_rng(0).pareto(1.0, 500)).tolist()).heavy_tailed
    assert not of(np.arange(500).tolist()).heavy_tailed
    assert not of([-1, *range(10), 10**6]).heavy_tailed
    assert of(list(range(60))).one_each
    assert not of(list(range(40))).one_each, "few rows prove nothing"


def test_dictionaries_are_read_as_what_they_hold() -> None:
    assert profile("x", pa.chunked_array([pa.array(["a", "b", "a"]).dictionary_encode()])).look == "text"
    assert profile("x", pa.chunked_array([], pa.string())).look == "nothing"


@given(st.lists(st.one_of(st.none(), st.binary(max_size=6), st.from_regex(rb"[-+0-9.e|, :TZ]{0,12}", fullmatch=True))))
def test_any_text_has_a_look(values: list[bytes | None]) -> None:
    found = of(values, pa.binary())
    assert 0 <= found.missing_fraction <= 1
    assert found.distinct <= found.rows
