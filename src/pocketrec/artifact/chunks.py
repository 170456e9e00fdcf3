"""Hashes of a file's chunks: made while it is written, checked when its bytes are first used.

SHA-256 over every 16 MiB (the last chunk is shorter). A chunk is small enough to be checked when one row range of a
terabyte is read, and large enough that the hashes of that terabyte take 4 MB.

The hashes find broken disks, half copies and edited files. They do not prove who wrote a file: whoever can change the
file can change the manifest too.
"""

from __future__ import annotations

import hashlib

from pocketrec.spec.errors import ArtifactCorrupt

__all__ = ["CHUNK_BYTES", "ChunkHasher", "ChunkVerifier", "chunk_count", "file_id"]

CHUNK_BYTES = 16 * 2**20


def chunk_count(file_bytes: int, chunk_bytes: int) -> int:
    """How many chunks a file has.

    >>> chunk_count(33, 16)
    3
    """
    return -(-file_bytes // chunk_bytes)


def file_id(hashes: tuple[str, ...]) -> str:
    """12 hex digits that stand for a file's content; they are part of its name.

    >>> file_id(("00" * 32,))
    '66687aadf862'
    """
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in hashes)).hexdigest()[:12]


class ChunkHasher:
    """Hashes of what streams by.

    Args:
        chunk_bytes: bytes per chunk, above 0.
    """

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._done: list[str] = []
        self._open = hashlib.sha256()
        self._open_bytes = 0

    @property
    def room_bytes(self) -> int:
        """Bytes until the open chunk is full, 1 or more."""
        return self._chunk_bytes - self._open_bytes

    def update(self, data: memoryview | bytes) -> None:
        """Take the next bytes, at most :attr:`room_bytes`."""
        assert len(data) <= self.room_bytes
        self._open.update(data)
        self._open_bytes += len(data)
        if self._open_bytes == self._chunk_bytes:
            self._done.append(self._open.hexdigest())
            self._open, self._open_bytes = hashlib.sha256(), 0

    def hashes(self) -> tuple[str, ...]:
        """The hashes of all chunks, the open one included."""
        return (*self._done, self._open.hexdigest()) if self._open_bytes else tuple(self._done)


class ChunkVerifier:
    """Checks the chunks of a mapped file, each once.

    Args:
        data: the whole file.
        hashes: one per chunk.
        chunk_bytes: bytes per chunk.
        what: names the file in errors.
    """

    def __init__(self, data: memoryview, hashes: tuple[str, ...], *, chunk_bytes: int, what: str) -> None:
        assert len(hashes) == chunk_count(len(data), chunk_bytes)
        self._data, self._hashes, self._chunk_bytes, self._what = data, hashes, chunk_bytes, what
        self._verified = bytearray(len(hashes))

    @property
    def verified_chunks(self) -> int:
        """How many chunks have been checked and found good."""
        return sum(self._verified)

    def verify(self, start: int, stop: int) -> None:
        """Check the chunks that the bytes start..stop lie in, unless that was done before.

        Raises:
            ArtifactCorrupt: a chunk differs from its hash; its number and bytes are named.
        """
        for k in range(start // self._chunk_bytes, chunk_count(stop, self._chunk_bytes) if stop > start else 0):
            if self._verified[k]:
                continue
            first = k * self._chunk_bytes
            chunk = self._data[first : first + self._chunk_bytes]
            if hashlib.sha256(chunk).hexdigest() != self._hashes[k]:
                raise ArtifactCorrupt(
                    f"{self._what}: bytes {first:,} to {first + len(chunk):,} (chunk {k + 1} of {len(self._hashes)}) "
                    "differ from their hash. The file was damaged or changed after it was written: copy it again, "
                    "or save anew."
                )
            self._verified[k] = 1
