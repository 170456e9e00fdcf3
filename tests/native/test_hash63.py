from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.native import hash_bytes, hash_tokens, use_backend

# Frozen, by an implementation in Python integers: vocabularies and hashed tables of artifacts hold these numbers.
GOLDEN = {
    "": 2598789274482403935,
    "0": 5135103131735366297,
    "1": 1015791531339533143,
    "a": 1703608017393560211,
    "abc": 5661505218162770141,
    "-1": 7171090980308221063,
    "12345": 6691987664904309194,
    "1234567": 5187736837601194204,
    "12345678": 6215882945500424466,
    "123456789": 5868471308014667966,
    "68fd1e64": 8087053140054323555,
    "80e26c9b": 3223924127681701735,
    "fb936136": 319648809865594852,
    "0123456789abcdef": 4939795774541762476,
    "0123456789abcdef0": 4390527827374781756,
    "Ünïcödé": 2811140913360187676,
    "日本語": 325899528557942600,
    "a b\tc": 5922322965151890865,
    "the quick brown fox jumps over the lazy dog": 7569132582110046156,
    "x" * 100: 3290295746040186293,
}


@pytest.fixture(scope="session")
def hash63(oracle: Any) -> Any:
    """The definition, one token at a time, in Python integers."""

    def one(token: bytes) -> int:
        h = oracle.fin((len(token) + 0x9E3779B97F4A7C15) % 2**64)
        for i in range(0, len(token), 8):
            word = int.from_bytes(token[i : i + 8], "little")
            h = oracle.fin(h ^ word) * 0x9FB21C651E98DF25 % 2**64
        return oracle.fin(h) >> 1

    return one


def test_golden_tokens(backend: str) -> None:
    assert hash_tokens(pa.array(list(GOLDEN))).tolist() == list(GOLDEN.values())


@given(tokens=st.lists(st.binary(max_size=40), max_size=20))
def test_agrees_with_python_integers(hash63: Any, tokens: list[bytes]) -> None:
    expected = [hash63(token) for token in tokens]
    assert hash_tokens(pa.array(tokens, pa.binary())).tolist() == expected
    with use_backend("reference"):
        assert hash_tokens(pa.array(tokens, pa.binary())).tolist() == expected


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_arrow_types_slices_chunks_and_nulls(backend: str, kind: pa.DataType) -> None:
    column = pa.array(["zero", "one", None, "", "four", "a token of many bytes"], kind)
    whole = hash_tokens(column)
    assert whole.dtype == np.int64
    assert whole[2] == whole[3] == GOLDEN[""]
    assert hash_tokens(column[1:5]).tolist() == whole[1:5].tolist()
    assert hash_tokens(column[2:3]).tolist() == whole[2:3].tolist()
    assert hash_tokens(pa.chunked_array([column[:2], column[2:2], column[2:]])).tolist() == whole.tolist()
    assert hash_tokens(column[:0]).shape == (0,)
    assert hash_tokens(pa.chunked_array([], kind)).dtype == np.int64


def test_garbage_behind_a_null_is_not_hashed(backend: str) -> None:
    offsets, data = np.array([0, 3, 6], dtype=np.int32), b"abcxyz"
    column = pa.Array.from_buffers(
        pa.string(), 2, [pa.py_buffer(bytes([0b01])), pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    assert hash_tokens(column).tolist() == [GOLDEN["abc"], GOLDEN[""]]


def test_length_counts(backend: str) -> None:
    tokens = [b"", b"\0", b"\0\0", b"\0" * 8, b"\0" * 9, b"a", b"a\0"]
    assert len(set(hash_tokens(pa.array(tokens, pa.binary())).tolist())) == len(tokens)


def test_ids_are_not_negative_and_spread(backend: str) -> None:
    ids = hash_tokens(pa.array([f"{number:08x}" for number in range(20_000)]))
    assert ids.min() >= 0
    assert len(np.unique(ids)) == 20_000
    counts = np.bincount(ids >> 59, minlength=16)
    assert abs(counts - 1250).max() < 5 * 1250**0.5


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_bytes_with_offsets_of_both_widths(backend: str, dtype: Any) -> None:
    data = np.frombuffer(b"..abc68fd1e64", dtype=np.uint8)
    found = hash_bytes(np.array([2, 5, 5, 13], dtype=dtype), data)
    assert found.tolist() == [GOLDEN["abc"], GOLDEN[""], GOLDEN["68fd1e64"]]
    assert hash_bytes(np.array([4], dtype=dtype), data).shape == (0,)


def test_strided_offsets_and_data(backend: str) -> None:
    data = np.frombuffer(b"a-b-c-", dtype=np.uint8)[::2]
    assert hash_bytes(np.array([0, 9, 3, 9])[::2], data).tolist() == [GOLDEN["abc"]]


def test_what_does_not_fit_is_refused(backend: str) -> None:
    data = np.zeros(4, dtype=np.uint8)
    for offsets in ([0, 5], [-1, 2], [0, 3, 2]):
        with pytest.raises(ValueError, match=r"offsets must not fall and lie in 0\.\.4"):
            hash_bytes(np.array(offsets), data)
    with pytest.raises(TypeError, match="offsets must be int32 or int64 and data uint8, got uint8 and uint8"):
        hash_bytes(data, data)
    with pytest.raises(ValueError, match=r"offsets must be \[tokens \+ 1\]"):
        hash_bytes(np.empty(0, dtype=np.int64), data)
    with pytest.raises(TypeError, match="type string or large_string, got int64"):
        hash_tokens(pa.array([1, 2]))
    with pytest.raises(TypeError, match="got int64"):
        hash_tokens(pa.chunked_array([], pa.int64()))
