from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pocketrec.native.binding import use_backend
from pocketrec.native.mix import mix
from pocketrec.native.static_function import MOST_BITS, function_values, static_function
from pocketrec.spec.function_sizes import function_words


def keys_of(count: int, seed: int = 0) -> Tensor:
    return mix(torch.arange(count), seed)


def values_of(count: int, bits: int) -> Tensor:
    return torch.randint(0, 2**bits, (count,), generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("bits", [1, 5, 8, 20, MOST_BITS])
@pytest.mark.parametrize("count", [0, 1, 2, 33, 1000])
def test_every_key_has_its_value(backend: str, count: int, bits: int) -> None:
    keys, values = keys_of(count), values_of(count, bits)
    words = static_function(keys, values, bits)
    assert words.dtype is torch.int32
    assert len(words) == function_words(count, bits)
    if count:
        assert torch.equal(function_values(words, keys, count, bits), values)


@pytest.mark.parametrize("count", [1, 63, 3000])
def test_both_ways_give_the_same_words(count: int) -> None:
    keys, values = keys_of(count, seed=9), values_of(count, 11)
    with use_backend("reference"):
        expected = static_function(keys, values, 11)
    assert torch.equal(static_function(keys, values, 11), expected)


def test_it_takes_a_few_per_cent_more_than_its_values() -> None:
    for count, most in ((1_000, 1.11), (10_000, 1.06), (100_000, 1.09), (1_000_000, 1.12), (10_000_000, 1.17)):
        assert 4 * function_words(count, 8) / count < most


def test_words_of_many_keys_are_found() -> None:
    keys, values = keys_of(300_000), values_of(300_000, 4)
    words = static_function(keys, values, 4)
    assert torch.equal(function_values(words, keys, 300_000, 4), values)


def test_a_key_that_it_was_not_made_of_has_a_value_as_good_as_random() -> None:
    # A check of 6 bits lets 1 of 64 pass: 16,000 keys, five standard deviations around 250.
    keys = keys_of(4000)
    words = static_function(keys, mix(keys, 77) & 63, 6)
    others = keys_of(16_000, seed=1)
    passed = int((function_values(words, others, 4000, 6) == mix(others, 77) & 63).sum())
    assert abs(passed - 250) < 5 * math.sqrt(250)


def test_functions_of_other_sizes_in_the_same_words() -> None:
    keys = keys_of(70)
    one, other = static_function(keys[:50], keys[:50] & 7, 3), static_function(keys[50:], keys[50:] & 1023, 10)
    words = torch.cat((torch.full((5,), -1, dtype=torch.int32), one, other))
    of_one = torch.arange(70) < 50
    found = function_values(
        words, keys, torch.where(of_one, 50, 20), torch.where(of_one, 3, 10), first=torch.where(of_one, 5, 5 + len(one))
    )
    assert torch.equal(found, torch.where(of_one, keys & 7, keys & 1023))


def test_what_does_not_fit_is_refused(backend: str) -> None:
    keys = keys_of(3)
    with pytest.raises(ValueError, match=r"keys must be distinct, 3 keys have 2 values"):
        static_function(keys[[0, 1, 0]], torch.arange(3), 2)
    with pytest.raises(ValueError, match=r"values must lie in 0..2\*\*2 - 1; number 1 is 4"):
        static_function(keys, torch.tensor([0, 4, 1]), 2)
    with pytest.raises(ValueError, match=r"number 0 is -1"):
        static_function(keys, torch.tensor([-1, 0, 1]), 2)
    with pytest.raises(ValueError, match=r"bits must lie in 1..32, got 33"):
        static_function(keys, keys, 33)
    with pytest.raises(ValueError, match="3 keys need as many values, got 2"):
        static_function(keys, keys[:2], 2)
    with pytest.raises(TypeError, match=r"must be int64 of one axis"):
        static_function(keys.int(), keys, 2)
