from __future__ import annotations

import hashlib

import pytest

from pocketrec.artifact.chunks import ChunkHasher, ChunkVerifier, chunk_count, file_id
from pocketrec.spec.errors import ArtifactCorrupt

DATA = bytes(range(250)) * 10


def hashed(data: bytes, chunk_bytes: int, piece: int) -> tuple[str, ...]:
    hasher, left = ChunkHasher(chunk_bytes), memoryview(data)
    while left:
        take = min(piece, hasher.room_bytes)
        hasher.update(left[:take])
        left = left[take:]
    return hasher.hashes()


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 2000, 2500])
def test_hashes_are_those_of_the_chunks_however_the_bytes_come(size: int) -> None:
    data = DATA[:size]
    expected = tuple(hashlib.sha256(data[k : k + 1000]).hexdigest() for k in range(0, size, 1000))
    assert len(expected) == chunk_count(size, 1000)
    for piece in (1, 7, 1000, 5000):
        assert hashed(data, 1000, piece) == expected


def test_file_id_depends_on_every_chunk_and_their_order() -> None:
    one, two = hashed(b"one", 10, 10), hashed(b"two", 10, 10)
    assert len({file_id(one + two), file_id(two + one), file_id(one), file_id(two), file_id(())}) == 5


def test_each_chunk_is_verified_once_and_when_it_is_needed() -> None:
    data = bytearray(DATA)
    verifier = ChunkVerifier(memoryview(data), hashed(DATA, 1000, 1000), chunk_bytes=1000, what="f")
    verifier.verify(0, 0)
    assert verifier.verified_chunks == 0
    verifier.verify(1000, 2000)
    assert verifier.verified_chunks == 1
    data[1500] ^= 1  # it was good when it was looked at; nobody looks again
    verifier.verify(1999, 2001)
    assert verifier.verified_chunks == 2
    data[0] ^= 1
    with pytest.raises(ArtifactCorrupt, match=r"f: bytes 0 to 1,000 \(chunk 1 of 3\) differ"):
        verifier.verify(0, len(data))
    data[0] ^= 1
    verifier.verify(0, len(data))
    assert verifier.verified_chunks == 3


@pytest.mark.parametrize(("start", "stop", "touched"), [(999, 1000, 1), (999, 1001, 2), (2400, 2500, 1), (0, 2500, 3)])
def test_ranges_touch_the_chunks_they_lie_in(start: int, stop: int, touched: int) -> None:
    verifier = ChunkVerifier(memoryview(DATA), hashed(DATA, 1000, 1000), chunk_bytes=1000, what="f")
    verifier.verify(start, stop)
    assert verifier.verified_chunks == touched
