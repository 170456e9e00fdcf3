"""Hash raw tokens to non-negative 63-bit ids, the same on every machine.

With ``fin`` of `pocketrec.native.mix` and all arithmetic modulo 2**64::

    h = fin(length in bytes + 0x9E3779B97F4A7C15)
    for each 8-byte little-endian word w of the token, the last one padded with zeros:
        h = fin(h ^ w) * 0x9FB21C651E98DF25
    hash63 = fin(h) >>> 1

The length goes in first, so that padding cannot make two tokens equal.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pocketrec.native.binding import kernels

__all__ = ["hash_bytes", "hash_tokens"]

_UInt64 = npt.NDArray[np.uint64]

_START: Final = np.uint64(0x9E3779B97F4A7C15)
_STEP: Final = np.uint64(0x9FB21C651E98DF25)


def _fin(word: _UInt64) -> _UInt64:
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def _words(starts: npt.NDArray[np.int64], left: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> _UInt64:
    """The little-endian words at `starts`, of which `left` bytes belong to the token."""
    word = np.zeros(starts.shape[0], dtype=np.uint64)
    for byte in range(8):
        inside = np.flatnonzero(left > byte)
        word[inside] |= data[starts[inside] + byte].astype(np.uint64) << np.uint64(8 * byte)
    return word


def _reference(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    starts, lengths = offsets[:-1], np.diff(offsets)
    state = _fin(lengths.astype(np.uint64) + _START)
    longest = int(lengths.max(initial=0))
    for done in range(0, longest, 8):
        live = np.flatnonzero(lengths > done)
        word = _words(starts[live] + done, lengths[live] - done, data)
        state[live] = _fin(state[live] ^ word) * _STEP
    return (_fin(state) >> np.uint64(1)).astype(np.int64)


def hash_bytes(offsets: npt.NDArray[Any], data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Hashes of many tokens that lie one after the other in one array.

    Args:
        offsets: int32 or int64 [tokens + 1], not falling: token i is ``data[offsets[i]:offsets[i + 1]]``.
        data: uint8, the bytes (UTF-8 for text).

    Returns:
        int64 [tokens], from 0 to 2**63 - 1.

    Raises:
        TypeError: another dtype.
        ValueError: offsets that fall or leave `data`.

    >>> hash_bytes(np.array([0, 0, 3]), np.frombuffer(b"abc", dtype=np.uint8)).tolist()
    [2598789274482403935, 5661505218162770141]
    """
    if offsets.dtype not in (np.int32, np.int64) or data.dtype != np.uint8:
        raise TypeError(f"offsets must be int32 or int64 and data uint8, got {offsets.dtype} and {data.dtype}.")
    if offsets.ndim != 1 or offsets.shape[0] == 0 or data.ndim != 1:
        raise ValueError(f"offsets must be [tokens + 1] and data [bytes], got {offsets.shape} and {data.shape}.")
    wide = np.ascontiguousarray(offsets, dtype=np.int64)
    if wide[0] < 0 or wide[-1] > data.shape[0] or bool((np.diff(wide) < 0).any()):
        raise ValueError(
            f"offsets must not fall and lie in 0..{data.shape[0]} (the bytes of data), "
            f"got {int(wide.min())} to {int(wide.max())}."
        )
    native = kernels()
    if native is None:
        return _reference(wide, data)
    bytes_ = np.ascontiguousarray(data)
    out = np.empty(wide.shape[0] - 1, dtype=np.int64)
    native.hash63(wide.ctypes.data, out.shape[0], bytes_.ctypes.data, out.ctypes.data)
    return out


def hash_tokens(array: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Hashes of the tokens of an Arrow column; a missing token hashes as the empty one.

    Args:
        array: of type string or large_string (binary and large_binary are read alike).

    Returns:
        int64 [tokens], from 0 to 2**63 - 1.

    Raises:
        TypeError: another Arrow type.

    >>> hash_tokens(pa.array(["abc", "", None])).tolist()
    [5661505218162770141, 2598789274482403935, 2598789274482403935]
    """
    if isinstance(array, pa.ChunkedArray):
        parts = [hash_tokens(chunk) for chunk in array.chunks]
        return np.concatenate(parts) if parts else _checked_empty(array.type)
    width = _offset_dtype(array.type)
    if len(array) == 0:
        return np.empty(0, dtype=np.int64)
    if array.null_count:
        array = pc.fill_null(
            array, b"" if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type) else ""
        )
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=width)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(data_buffer, dtype=np.uint8) if data_buffer is not None else np.empty(0, dtype=np.uint8)
    return hash_bytes(offsets, data)


def _checked_empty(kind: pa.DataType) -> npt.NDArray[np.int64]:
    _offset_dtype(kind)
    return np.empty(0, dtype=np.int64)


def _offset_dtype(kind: pa.DataType) -> type[np.int32] | type[np.int64]:
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return np.int32
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return np.int64
    raise TypeError(f"tokens must be an Arrow column of type string or large_string, got {kind}. Cast it first.")
