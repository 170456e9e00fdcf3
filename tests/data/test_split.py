from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data.split import Split, parts_through
from pocketrec.spec.errors import OptionError


def test_the_split_of_the_criteo_sample() -> None:
    assert Split(train="27/35", validation="3/35", test="1/7").ends(137_139) == (105_792, 117_547, 137_139)
    assert Split.rows(train=105_792, validation=11_755, test=19_592).ends(137_139) == (105_792, 117_547, 137_139)


@given(st.integers(0, 10**12), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
def test_shares_of_time_are_exact(rows: int, a: int, b: int, c: int) -> None:
    total = a + b + c
    split = Split(train=Fraction(a, total), validation=Fraction(b, total), test=Fraction(c, total))
    assert split.ends(rows) == (rows * a // total, rows * (a + b) // total, rows)


def test_a_window_leaves_rows_out() -> None:
    assert Split(train="4/7", validation=0, test="1/7").ends(70) == (40, 40, 50)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"train": "2/3", "validation": "1/3", "test": "1/3"}, "more than 1"),
        ({"train": "-1/3"}, "negative"),
        ({"train": 0.8}, 'exact: write "0.8"'),
        ({"train": "most"}, "must be a fraction"),
        ({"train": "1/0"}, "must be a fraction"),
        ({"by": "luck"}, "by 'time', by 'hash' or by 'files'"),
        ({"key": "user"}, "belong to a split by hash"),
        ({"by": "hash", "row_counts": (1, 1, 1)}, "belong to a split by time"),
        ({"row_counts": (1, -1, 1)}, "not negative"),
        ({"by": "files", "row_counts": (1, 1, 1)}, "belong to a split by time"),
        ({"by": "hash", "cuts": (1.0, 2.0)}, "cuts belong to a split by time"),
        ({"cuts": (1.0, 2.0), "row_counts": (1, 1, 1)}, "in place of shares and numbers of rows"),
        ({"file_counts": (1, 1, 1)}, "belong to a split by files"),
        ({"by": "files", "file_counts": (1, -1, 1)}, "not negative"),
    ],
)
def test_splits_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Split(**wrong)


def test_more_rows_than_there_are_is_an_error_with_both_numbers() -> None:
    with pytest.raises(OptionError, match="wants 1,100 rows, there are 1,000"):
        Split.rows(train=1000, test=100).ends(1000)


def test_hashes_fall_into_parts_by_their_shares_and_the_rest_is_left_out() -> None:
    hashes = np.arange(100_000, dtype=np.int64) * 4242
    got = np.bincount(Split(by="hash", train="1/2", validation="1/4", test="1/8").parts_of(hashes), minlength=4)
    np.testing.assert_allclose(got / 100_000, [0.5, 0.25, 0.125, 0.125], atol=0.006)
    everything = Split(by="hash", train="1/2", validation="1/4", test="1/4").parts_of(hashes)
    assert everything.max() == 2
    assert Split(by="hash", train=1, validation=0, test=0).parts_of(hashes).max() == 0


def test_the_draw_depends_on_key_and_seed_only() -> None:
    hashes = np.array([1, 2, 3, 1, 2**63 - 1], dtype=np.int64)
    split = Split(by="hash", train="1/2", validation="1/4", test="1/4")
    parts = split.parts_of(hashes)
    assert parts[0] == parts[3]
    assert split.parts_of(hashes[::-1])[::-1].tolist() == parts.tolist()
    many = np.arange(1000)
    other = Split(by="hash", train="1/2", validation="1/4", test="1/4", seed=1)
    assert (split.parts_of(many) != other.parts_of(many)).mean() > 0.3


def test_a_larger_training_share_keeps_what_was_in_it() -> None:
    many = np.arange(1000)
    small = Split(by="hash", train="1/4", validation=0, test=0).parts_of(many) == 0
    large = Split(by="hash", train="1/2", validation=0, test=0).parts_of(many) == 0
    assert (large | ~small).all()


@pytest.mark.parametrize(
    "split",
    [
        Split(),
        Split(by="hash", key="user", seed=3),
        Split.rows(train=3, test=4),
        Split(cuts=(3.0, 7.5)),
        Split(cuts=("2014-10-29", "2014-10-30")),
        Split(by="files", file_counts=(4, 0, 1)),
    ],
)
def test_json_gives_an_equal_split_back(split: Split) -> None:
    assert Split.from_json(split.to_json()) == split


def test_parts_through() -> None:
    assert parts_through("train") == ("train",)
    assert parts_through("validation") == ("train", "validation")
    with pytest.raises(OptionError, match="through must be"):
        parts_through("test")  # type: ignore[arg-type]


def test_cuts_are_the_first_moments_of_validation_and_of_test() -> None:
    times = np.array([9, 10, 19, 20, 25], dtype=np.float64)
    assert Split(cuts=(10, 20)).parts_by_time(times, "number").tolist() == [0, 1, 1, 2, 2]
    days = np.array(["2014-10-28T23:59:59", "2014-10-29", "2014-10-30"], dtype="datetime64[us]").astype(np.int64)
    assert Split(cuts=("2014-10-29", "2014-10-30T00:00:00")).parts_by_time(days, "iso8601").tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("cuts", "clock", "said"),
    [
        ((20, 10), "number", "Validation begins at 20 and test before it, at 10"),
        (("2014-10-29", 3.0), "number", "the cut '2014-10-29' is a text"),
        (("soon", "2014-10-29"), "iso8601", "'soon' is not a time"),
    ],
)
def test_cuts_that_cannot_be_are_refused(cuts: tuple[Any, Any], clock: Any, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Split(cuts=cuts).parts_by_time(np.zeros(1), clock)


def test_files_fall_into_parts_whole() -> None:
    assert [Split(by="files").part_of_file(f, 4) for f in range(4)] == [0, 0, 1, 2]
    assert [Split(by="files", file_counts=(1, 0, 2)).part_of_file(f, 3) for f in range(3)] == [0, 2, 2]
    with pytest.raises(OptionError, match="wants at least three files, there are 2"):
        Split(by="files").part_of_file(0, 2)
    with pytest.raises(OptionError, match=r"wants 2 \+ 1 \+ 1 files, there are 3"):
        Split(by="files", file_counts=(2, 1, 1)).part_of_file(0, 3)


def test_shares_that_do_not_add_up_are_told_as_shares() -> None:
    with pytest.raises(OptionError, match=r"got train 2, validation 1/10, test 1/10\. Give all three") as told:
        Split(train=2)
    assert "Split(" not in str(told.value)
