from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data.vocabulary import FirstSeen, Vocabulary
from pocketrec.spec.errors import OptionError

HASHES = st.lists(st.integers(0, 2**63 - 1), unique=True, max_size=60)


def int64(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@given(HASHES, st.lists(st.integers(0, 2**63 - 1), max_size=10))
def test_ranks_are_places_in_the_list_and_0_is_unknown(tokens: list[int], others: list[int]) -> None:
    vocabulary = Vocabulary.of_tokens(int64(tokens))
    want = [tokens.index(h) + 1 if h in tokens else 0 for h in [*others, *tokens]]
    got = vocabulary.ranks_of(int64([*others, *tokens]))
    assert got.tolist() == want
    assert got.dtype == np.int64
    assert vocabulary.tokens().tolist() == tokens
    assert vocabulary.keys.nbytes + vocabulary.ranks.nbytes == 12 * len(tokens)


@given(HASHES, st.integers(0, 70))
def test_cutting_keeps_the_first_ranks(tokens: list[int], told_apart: int) -> None:
    cut = Vocabulary.of_tokens(int64(tokens)).cut(told_apart)
    assert cut.tokens().tolist() == tokens[:told_apart]
    assert (np.diff(cut.keys) > 0).all()


@given(HASHES, HASHES)
def test_extending_moves_no_rank(first: list[int], more: list[int]) -> None:
    before = Vocabulary.of_tokens(int64(first))
    after = before.extended(int64(more))
    assert after.ranks_of(int64(first)).tolist() == before.ranks_of(int64(first)).tolist()
    assert after.tokens().tolist() == first + [h for h in more if h not in first]


def test_arrays_of_an_artifact_are_checked() -> None:
    keys, ranks = int64([3, 5, 9]), np.array([2, 1, 3], dtype=np.int32)
    assert Vocabulary.checked(keys, ranks).tokens().tolist() == [5, 3, 9]
    assert Vocabulary.checked(keys[:0], ranks[:0]).size == 0
    for wrong in ((keys[::-1], ranks), (keys, ranks[[0, 0, 1]]), (keys, ranks + 1), (int64([3, 3, 9]), ranks)):
        with pytest.raises(OptionError, match="must rise"):
            Vocabulary.checked(*wrong)
    for wrong in ((keys, ranks.astype(np.int64)), (keys[:2], ranks), (keys.astype(np.float64), ranks)):
        with pytest.raises(OptionError, match=r"int64 .n. and int32"):
            Vocabulary.checked(*wrong)


@given(st.lists(st.lists(st.integers(0, 40), unique=True, max_size=15), max_size=25))
def test_tokens_are_numbered_as_they_come(blocks: list[list[int]]) -> None:
    seen, known = FirstSeen(), []
    for block in blocks:
        numbers, new = seen.add(int64(block))
        fresh = [h for h in block if h not in known]
        known += fresh
        assert new.tolist() == fresh
        assert numbers.tolist() == [known.index(h) for h in block]
        assert numbers.dtype == np.int32
    assert seen.size == len(known)


def test_runs_stay_few() -> None:
    seen = FirstSeen()
    for start in range(0, 100_000, 100):
        seen.add(np.arange(start, start + 100, dtype=np.int64) * 7919 % 1_000_003)
    assert seen.size == 100_000
    assert len(seen._runs) <= 17
