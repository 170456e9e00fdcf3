from __future__ import annotations

import math

import pytest
import torch

from pocketrec.native.distinct_keys import MOST_SCORE, check_keys, distinct_keys, turns


def test_equal_keys_are_one_in_the_order_of_first_appearance() -> None:
    found = distinct_keys(torch.tensor([5, -7, 5, 2, -7]), torch.tensor([1.0, 2.0, 4.0, 0.0, 8.0]))
    assert found.keys.tolist() == [5, -7, 2]
    assert found.scores.tolist() == [5.0, 10.0, 0.0]
    assert found.values.tolist() == [0, 1, 3]
    assert distinct_keys(torch.empty(0, dtype=torch.int64), torch.empty(0)).keys.shape == (0,)


def test_sums_are_those_of_float64_and_end_at_the_largest() -> None:
    ones = torch.tensor([2.0**24] + [1.0] * 8)
    assert distinct_keys(torch.zeros(9, dtype=torch.int64), ones).scores.tolist() == [2.0**24 + 8]
    assert distinct_keys(torch.tensor([1, 1]), torch.full((2,), MOST_SCORE)).scores.tolist() == [MOST_SCORE]


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_scores_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="scores must be finite and not negative; score 1 is"):
        distinct_keys(torch.tensor([1, 2]), torch.tensor([1.0, bad]))


def test_keys_have_as_many_scores() -> None:
    check_keys(torch.tensor([1, 2]), torch.ones(2))
    with pytest.raises(ValueError, match="2 keys need as many scores, got 1"):
        check_keys(torch.tensor([1, 2]), torch.ones(1))
    with pytest.raises(TypeError, match="keys must be int64"):
        check_keys(torch.tensor([1.0]), torch.ones(1))


def test_a_home_has_one_turn_per_round() -> None:
    homes = torch.tensor([3, 1, 3, 3, 0, 1])
    assert [sorted(turn.tolist()) for turn in turns(homes)] == [[0, 1, 4], [2, 5], [3]]
    assert list(turns(homes[:0])) == []
