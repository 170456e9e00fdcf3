from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data import text_blocks as text_blocks_module
from pocketrec.data.text_blocks import Truncated, first_line, text_blocks, unpacked_name
from pocketrec.spec.errors import BadFile

LINES = [f"{i}\tsome text {i * i}".encode() for i in range(400)]
TEXT = b"\n".join(LINES) + b"\n"


def written(folder: Path, name: str, text: bytes) -> Path:
    path = folder / name
    path.write_bytes(packed(name, text))
    return path


def packed(name: str, text: bytes) -> bytes:
    """As a file of this name holds it; a zstd frame of 100 bytes each, where there is text."""
    if name.endswith(".zst"):
        return b"".join(zstd(text[at : at + 100]) for at in range(0, len(text), 100))
    return gzip.compress(text) if name.endswith(".gz") else text


def zstd(text: bytes) -> bytes:
    """One frame that does not say how long it is, as streams write it."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text)
    frame: bytes = sink.getvalue().to_pybytes()
    return frame


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.tsv.zst"])
@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_blocks_are_whole_lines_and_together_the_file(tmp_path: Path, name: str, size: int) -> None:
    blocks = list(text_blocks(written(tmp_path, name, TEXT), block_bytes=size))
    assert b"".join(block for block, _ in blocks) == TEXT
    assert all(block.endswith(b"\n") for block, _ in blocks)
    assert [after for _, after in blocks] == [sum(len(b) for b, _ in blocks[: i + 1]) for i in range(len(blocks))]
    if size == 100:
        assert max(len(block) for block, _ in blocks) < 200


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.tsv.zst"])
def test_reading_goes_on_at_any_place_it_named(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, TEXT)
    for block, after in list(text_blocks(path, block_bytes=500)):
        again = b"".join(b for b, _ in text_blocks(path, start=after, block_bytes=500))
        assert again == TEXT[after:]
        assert TEXT[:after].endswith(block)


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.tsv.zst"])
def test_a_block_depends_on_where_it_begins_only(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, TEXT)
    for size in (1, 3, 100, 333):
        blocks = list(text_blocks(path, block_bytes=size))
        for i in (0, 2, len(blocks) - 2):
            assert list(text_blocks(path, start=blocks[i][1], block_bytes=size)) == blocks[i + 1 :]


def test_the_last_line_needs_no_newline(tmp_path: Path) -> None:
    blocks = list(text_blocks(written(tmp_path, "a.tsv", b"one\ntwo"), block_bytes=4))
    assert blocks == [(b"one\n", 4), (b"two", 7)]
    assert list(text_blocks(written(tmp_path, "b.tsv", b""))) == []


def test_several_gzip_members_and_padding_are_one_text(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n") + b"\0" * 64)
    assert b"".join(block for block, _ in text_blocks(path)) == b"one\ntwo\n"


@given(cut=st.integers(11, 2_000))
def test_truncated_gzip_gives_its_whole_lines_and_then_says_so(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packed = gzip.compress(TEXT, 1)
    path = tmp_path_factory.mktemp("gz") / "a.gz"
    path.write_bytes(packed[: min(cut, len(packed) - 1)])
    got = b""
    with pytest.raises(Truncated):  # noqa: PT012
        for block, _ in text_blocks(path, block_bytes=64):
            got += block
    assert TEXT.startswith(got)
    assert got == b"" or got.endswith(b"\n")


def test_most_of_a_truncated_file_is_read(tmp_path: Path) -> None:
    packed = gzip.compress(TEXT)
    path = tmp_path / "a.gz"
    path.write_bytes(packed[: len(packed) // 2])
    got = []
    with pytest.raises(Truncated, match="ends too early"):  # noqa: PT012
        for block, _ in text_blocks(path):
            got.append(block)
    assert sum(block.count(b"\n") for block in got) > 50


def test_what_is_not_gzip_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(b"plain text that only pretends\n" * 9)
    with pytest.raises(Truncated, match="header"):
        list(text_blocks(path))


LONG = b"".join(b"%d\t%d\n" % (i, i * 2654435761 % 2**61) for i in range(12_000))


@pytest.mark.parametrize("frames", [1, 2, 40])
def test_truncated_zstd_gives_its_whole_lines_and_then_says_so(tmp_path: Path, frames: int) -> None:
    per_frame = -(-len(LONG) // frames)
    whole = [zstd(LONG[at : at + per_frame]) for at in range(0, len(LONG), per_frame)]
    path = tmp_path / "a.zst"
    for last in {0, frames // 2, frames - 1}:
        path.write_bytes(b"".join(whole[: last + 1])[:-2])
        got = b""
        with pytest.raises(Truncated, match="Truncated") as damage:  # noqa: PT012
            for block, _ in text_blocks(path, block_bytes=64):
                got += block
        assert damage.value.reason == "truncated zstd"
        # All that the frames before the damage hold, and in the last frame the blocks of zstd before it.
        least = LONG[: last * per_frame]
        assert LONG.startswith(got)
        assert got.endswith(b"\n") or (got == b"" and last == 0)
        assert len(got) >= least.rfind(b"\n") + 1
        if frames == 1:
            assert len(got) > (128 << 10) - 100


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_in_zstd_is_found_or_read(at: int, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    frames = bytearray(b"".join(zstd(TEXT[start : start + 2000]) for start in range(0, len(TEXT), 2000)))
    frames[at % len(frames)] ^= 1 << bit
    path = tmp_path_factory.mktemp("zst") / "a.zst"
    path.write_bytes(frames)
    with contextlib.suppress(Truncated):
        list(text_blocks(path, block_bytes=64))


def test_what_is_not_zstd_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    path.write_bytes(b"plain text that only pretends\n" * 9)
    with pytest.raises(Truncated, match="Unknown frame descriptor"):
        list(text_blocks(path))


def test_a_pyarrow_without_zstd_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.zst", TEXT)
    monkeypatch.setattr(text_blocks_module, "_zstd_is_there", lambda: False)
    with pytest.raises(BadFile, match=r"built without zstd\. Unpack the file"):
        list(text_blocks(path))


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.tsv.zst"])
def test_a_line_without_end_is_not_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(text_blocks_module, "MOST_LINE_BYTES", 1000)
    path = written(tmp_path, name, b"one\n" + b"x" * 990 + b"\n" + b"y" * 200_000 + b"\nend\n")
    got = []
    with pytest.raises(BadFile, match="a line of more than 1,000 bytes. Is it text"):  # noqa: PT012, RUF043
        for block, _ in text_blocks(path, block_bytes=50):
            got.append(block)
    assert [len(block) for block in got] == [4, 991]


def test_a_file_that_is_not_there_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(text_blocks(tmp_path / "a.zst"))


def test_first_line_has_no_line_break_and_no_byte_order_mark(tmp_path: Path) -> None:
    assert first_line(written(tmp_path, "a.csv", b"\xef\xbb\xbfa,b\r\n1,2\r\n")) == (b"a,b", 8)
    assert first_line(written(tmp_path, "b.csv.gz", b"a,b\n1,2")) == (b"a,b", 4)
    assert first_line(written(tmp_path, "c.csv", b"alone")) == (b"alone", 5)
    assert first_line(written(tmp_path, "d.csv", b"")) == (b"", 0)


def test_the_name_of_the_unpacked_file() -> None:
    assert [unpacked_name(name) for name in ("a.csv.gz", "a.csv.zst", "a.csv", "gz")] == ["a.csv"] * 3 + ["gz"]
