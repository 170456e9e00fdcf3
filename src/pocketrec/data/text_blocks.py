"""Cut a text file, gzipped or not, into blocks of whole lines: bounded memory, and a place to go on from."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["BLOCK_BYTES", "BOM", "Truncated", "first_line", "text_blocks"]

# 8 MiB is about 35,000 Criteo rows: large enough that the work per block does not count, small enough for any machine.
BLOCK_BYTES = 8 << 20

BOM = b"\xef\xbb\xbf"


class Truncated(Exception):
    """The compressed data ends too early or is damaged; all whole lines before it have been yielded."""


def text_blocks(file: Path, *, start: int = 0, block_bytes: int | None = None) -> Iterator[tuple[bytes, int]]:
    """Blocks of whole lines, in order.

    Args:
        file: plain text, or gzip (any number of members) when its name ends in .gz.
        start: offset in the uncompressed text to go on from, as yielded before.
        block_bytes: about how long a block is, above 0; a longer line makes a longer block.

    Yields:
        The block, which ends in a newline except perhaps at the end of the file, and the offset after it.

    Raises:
        Truncated: for damaged gzip, after the whole lines before the damage.
    """
    size = block_bytes or BLOCK_BYTES
    pieces = _pieces(file, size, start)
    offset, text, damage, ended = start, b"", None, False
    while not ended or text:
        # The block that begins at an offset ends where it ends, whatever was read before: a resumed pass must make the
        # same blocks. So as many bytes as a block may have are gathered before it is cut.
        while not ended and (len(text) < size or b"\n" not in text):
            try:
                piece = next(pieces, b"")
            except Truncated as caught:
                damage, piece = caught, b""
            text, ended = text + piece, not piece
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


def first_line(file: Path) -> tuple[bytes, int]:
    """The first line without its line break and without a byte-order mark, and the offset after it."""
    block, _ = next(text_blocks(file, block_bytes=64 << 10), (b"", 0))
    line, newline, _ = block.partition(b"\n")
    return line.removesuffix(b"\r").removeprefix(BOM), len(line) + len(newline)


def _pieces(file: Path, size: int, start: int) -> Iterator[bytes]:
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
            raise Truncated(str(wrong)) from None
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
        raise Truncated("the compressed data ends too early")


def _is_padding(data: bytes) -> bool:
    return not data.strip(b"\0")
