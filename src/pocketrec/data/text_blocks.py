"""Cut a text file, packed or not, into blocks of whole lines: bounded memory, and a place to go on from."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from pocketrec.spec.errors import BadFile

__all__ = ["BLOCK_BYTES", "BOM", "PACKED", "Truncated", "first_line", "head_of", "text_blocks", "unpacked_name"]

# 8 MiB is about 35,000 Criteo rows: large enough that the work per block does not count, small enough for any machine.
BLOCK_BYTES = 8 << 20

# What is read of a file to see its first line, unless that is longer.
HEAD_BYTES = 64 << 10

BOM = b"\xef\xbb\xbf"

PACKED = r"(?:\.gz|\.zst)?"
"""The end of a regular expression for names of files that may be packed."""

# No row is as long; a longer "line" is a file of another form, which must not be gathered in memory.
MOST_LINE_BYTES = 64 << 20

# What a damaged file may hold that pyarrow has unpacked but not handed over.
_ZSTD_PIECE_BYTES = 64 << 10


class Truncated(Exception):
    """The compressed data ends too early or is damaged; all whole lines before it have been yielded.

    Args:
        codec: gzip or zstd.
        detail: what the library said.
    """

    def __init__(self, codec: str, detail: str) -> None:
        self.reason = f"truncated {codec}"
        super().__init__(detail)


def unpacked_name(name: str) -> str:
    """The name that a file has when it is unpacked.

    >>> unpacked_name("u.data.zst"), unpacked_name("day_0")
    ('u.data', 'day_0')
    """
    return name.removesuffix(".gz").removesuffix(".zst")


def text_blocks(file: Path, *, start: int = 0, block_bytes: int | None = None) -> Iterator[tuple[bytes, int]]:
    """Blocks of whole lines, in order.

    Args:
        file: plain text; gzip (any number of members) when its name ends in .gz, zstd (any number of frames) in .zst.
        start: offset in the uncompressed text to go on from, as yielded before.
        block_bytes: about how long a block is, above 0; a longer line makes a longer block.

    Yields:
        The block, which ends in a newline except perhaps at the end of the file, and the offset after it.

    Raises:
        Truncated: for damaged gzip or zstd, after the whole lines before the damage.
        BadFile: for a line of more than 64 MiB.
    """
    size = block_bytes or BLOCK_BYTES
    pieces = _pieces(file, size, start)
    offset, text, damage, ended = start, b"", None, False
    while not ended or text:
        # The block that begins at an offset ends where it ends, whatever was read before: a resumed pass must make the
        # same blocks. So as many bytes as a block may have are gathered before it is cut.
        parts, gathered, whole_line = [text], len(text), b"\n" in text
        while not ended and (gathered < size or not whole_line):
            try:
                piece = next(pieces, b"")
            except Truncated as caught:
                damage, piece = caught, b""
            parts.append(piece)
            gathered, whole_line, ended = gathered + len(piece), whole_line or b"\n" in piece, not piece
            if gathered > max(size, MOST_LINE_BYTES) and not whole_line:
                raise BadFile(str(file), f"a line of more than {MOST_LINE_BYTES:,} bytes. Is it text, a row per line?")
        text = b"".join(parts)
        cut = text.rfind(b"\n", 0, size) + 1 or text.find(b"\n") + 1
        if not cut:
            break
        offset += cut
        yield text[:cut], offset
        text = text[cut:]
    if damage:
        raise damage
    if text:
        yield text, offset + len(text)


def head_of(file: Path) -> bytes:
    """The first whole lines, at most 64 KiB unless one line is longer; without a byte-order mark.

    Raises:
        Truncated: for packed data that is damaged there.
    """
    return next(text_blocks(file, block_bytes=HEAD_BYTES), (b"", 0))[0].removeprefix(BOM)


def first_line(file: Path) -> tuple[bytes, int]:
    """The first line without its line break and without a byte-order mark, and the offset after it."""
    block, _ = next(text_blocks(file, block_bytes=HEAD_BYTES), (b"", 0))
    line, newline, _ = block.partition(b"\n")
    return line.removesuffix(b"\r").removeprefix(BOM), len(line) + len(newline)


def _pieces(file: Path, size: int, start: int) -> Iterator[bytes]:
    if file.suffix == ".zst":
        yield from _unzstd(file, start)
        return
    with file.open("rb") as stream:
        if file.suffix == ".gz":
            yield from _inflate(stream, size, start)
            return
        if start:
            stream.seek(start)
        while piece := stream.read(size):
            yield piece


def _inflate(stream: BinaryIO, size: int, skip: int) -> Iterator[bytes]:
    """Uncompressed pieces of at most `size` bytes; gzip has no index, so `skip` bytes are inflated and thrown away."""
    inflater, packed, begun = zlib.decompressobj(wbits=31), b"", False
    while True:
        if not packed:
            packed = stream.read(1 << 20)
            if not packed:
                break
        try:
            piece = inflater.decompress(packed, size)
        except zlib.error as wrong:
            raise Truncated("gzip", str(wrong)) from None
        begun, packed = True, inflater.unconsumed_tail
        if inflater.eof:
            # Members may follow each other; some tools pad the last one with zeros.
            packed, begun = (
                inflater.unused_data.lstrip(b"\0") if _is_padding(inflater.unused_data) else inflater.unused_data,
                False,
            )
            inflater = zlib.decompressobj(wbits=31)
        if skip:
            dropped = min(skip, len(piece))
            piece, skip = piece[dropped:], skip - dropped
        if piece:
            yield piece
    if begun:
        raise Truncated("gzip", "the compressed data ends too early")


def _unzstd(file: Path, start: int) -> Iterator[bytes]:
    """Uncompressed pieces; as in gzip, `start` bytes are unpacked and thrown away."""
    if not _zstd_is_there():
        raise BadFile(str(file), "this pyarrow was built without zstd. Unpack the file, or install pyarrow from PyPI.")
    try:
        for piece in _zstd_reads(file, start, _ZSTD_PIECE_BYTES):
            start += len(piece)
            yield piece
    except _Damaged as damage:
        # What a failing read had unpacked is lost with it, so the bytes before the damage are fetched one by one.
        with suppress(_Damaged):
            yield from _zstd_reads(file, start, 1)
        raise Truncated("zstd", str(damage)) from None


def _zstd_is_there() -> bool:
    return bool(pa.Codec.is_available("zstd"))


class _Damaged(Exception):
    """The zstd codec of pyarrow cannot go on."""


def _zstd_reads(file: Path, start: int, at_once: int) -> Iterator[bytes]:
    """Reads of `at_once` bytes from offset `start` of the uncompressed text on."""
    with pa.OSFile(str(file)) as packed, pa.CompressedInputStream(packed, "zstd") as stream:
        while True:
            try:
                piece = stream.read(min(start, _ZSTD_PIECE_BYTES) or at_once)
            except OSError as wrong:
                if wrong.errno is not None:  # the disk's, not the codec's
                    raise
                raise _Damaged(str(wrong)) from None
            if not piece:
                return
            if start:
                start -= len(piece)
            else:
                yield piece


def _is_padding(data: bytes) -> bool:
    return not data.strip(b"\0")
