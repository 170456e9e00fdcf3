from __future__ import annotations

from itertools import pairwise

import pytest

from pocketrec.spec.function_sizes import SLOTS_PER_BLOCK, function_slots, function_words, keyed_functions, own_bits


@pytest.mark.parametrize("keys", [1, 31, 1000, 5000, 10**6, 10**8, 2**32])
def test_slots_are_whole_blocks_and_a_ribbon_more_than_keys(keys: int) -> None:
    slots = function_slots(keys)
    assert slots % SLOTS_PER_BLOCK == 0
    assert keys + 64 <= slots <= 1.27 * keys + 64 + 32
    assert function_words(keys, 7) == 1 + slots // 32 * 7


def test_no_keys_take_nothing() -> None:
    assert function_words(0, 8) == 0
    none = keyed_functions(own=0, fine=0, whole=0, parts=2, bits=8, whole_bits=4, key_bits=6)
    assert [size.words for size in none] == [0, 0, 0]


def test_functions_of_keyed_codes() -> None:
    sizes = keyed_functions(own=300, fine=40, whole=5, parts=2, bits=8, whole_bits=4, key_bits=6)
    assert [(size.keys, size.bits) for size in sizes] == [(345, 10), (40, 16), (300, 9)]
    assert [own_bits(n) for n in (0, 1, 2, 3, 256, 257)] == [1, 1, 1, 2, 8, 9]


def test_more_keys_never_take_fewer_words() -> None:
    words = [function_words(keys, 10) for keys in range(1, 20_000)]
    assert all(fewer <= more for fewer, more in pairwise(words))
