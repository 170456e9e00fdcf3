from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data.check.sketch import TokenSketch
from pocketrec.spec.errors import OptionError


def counted(tokens: np.ndarray, keep: int, portion: int = 1000) -> TokenSketch:
    sketch = TokenSketch(keep)
    for at in range(0, len(tokens), portion):
        sketch.add(tokens[at : at + portion], np.ones(len(tokens[at : at + portion]), np.int64))
    return sketch


def test_few_tokens_are_counted_exactly() -> None:
    sketch = counted(np.repeat(np.arange(100), np.arange(1, 101)), keep=128)
    assert (sketch.exact, sketch.distinct, sketch.error_fraction, sketch.occurrences) == (True, 100, 0.0, 5050)
    assert sketch.singleton_fraction == 0.01
    assert sketch.top_fraction(1) == 100 / 5050
    assert sketch.top_fraction(200) == 1.0


def test_many_tokens_are_estimated_within_the_stated_error() -> None:
    tokens = np.concatenate([np.repeat(np.arange(50_000), 2), np.arange(50_000, 150_000), np.full(90_000, 7)])
    tokens = np.random.default_rng(0).permutation(tokens)
    sketch = counted(tokens, keep=4096)
    assert not sketch.exact
    assert sketch.error_fraction == pytest.approx(1 / 64, rel=0.01)
    assert sketch.distinct == pytest.approx(150_000, rel=3 / 64)
    assert sketch.singleton_fraction == pytest.approx(2 / 3, abs=0.03)
    assert 90_002 / len(tokens) - 1 / 4096 <= sketch.top_fraction(1) <= 90_002 / len(tokens)


def test_two_halves_merged_are_the_whole() -> None:
    tokens = np.random.default_rng(1).integers(0, 40_000, 100_000)
    whole, half, other = (counted(t, keep=1024) for t in (tokens, tokens[:30_000], tokens[30_000:]))
    half.merge(other)
    assert half.distinct == whole.distinct
    assert half.occurrences == whole.occurrences
    assert half.singleton_fraction <= whole.singleton_fraction + 1e-9
    small, large = counted(np.arange(10), keep=1024), counted(tokens, keep=1024)
    small.merge(large)
    assert not small.exact
    assert small.distinct == pytest.approx(whole.distinct, rel=0.1)


def test_nothing_is_nothing() -> None:
    sketch = TokenSketch()
    assert (sketch.distinct, sketch.singleton_fraction, sketch.top_fraction(1)) == (0, 0.0, 0.0)


def test_sketches_of_another_size_are_refused() -> None:
    with pytest.raises(OptionError, match="cannot be merged"):
        TokenSketch(64).merge(TokenSketch(32))
    with pytest.raises(OptionError, match="16 tokens or more"):
        TokenSketch(3)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=200), st.integers(1, 50))
def test_the_order_and_the_portions_do_not_matter(tokens: list[int], portion: int) -> None:
    array = np.array(tokens, np.int64)
    one, other = counted(array, 64, portion), counted(np.sort(array), 64)
    assert (one.distinct, one.exact, one.singleton_fraction) == (other.distinct, other.exact, other.singleton_fraction)
    if one.exact:
        assert one.distinct == len(set(tokens))
