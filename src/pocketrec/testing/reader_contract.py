"""ReaderContract: everything that is true of every reader of files, as tests that a writer of samples inherits."""

from __future__ import annotations

import gc
import gzip
import signal
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from pocketrec.data import parquet_blocks, text_blocks
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.columns import read_columns
from pocketrec.data.readers import Block, Place, Reader
from pocketrec.spec.errors import BadFile, BadRow, PocketrecError, SchemaError
from pocketrec.spec.schema import Schema

if TYPE_CHECKING:
    import pytest

__all__ = ["ReaderContract"]

ROWS = 120
_SECONDS = 20  # for a file of a few kilobytes
_KNOWN_PACKINGS = ("", ".gz", ".zst")


class ReaderContract:
    """The contract of a reader.

    ::

        class TestTaobao(ReaderContract):
            reader = READER
            schema = SCHEMA
            name = "log.csv"
            packings = ("", ".gz", ".zst")

            def write(self, path, rows):
                path.write_text("".join(f"{n % 2},{n}\\n" for n in range(rows)))

            def rows(self, rows):
                return [(str(n % 2), str(n)) for n in range(rows)]

    Attributes:
        reader: the reader.
        schema: of the sample.
        name: of the sample's file, one that the reader accepts.
        packings: endings of the name under which the reader takes packed files: "", ".gz", ".zst".
        tells_truncation: whether the format itself says where a file ends (Parquet does, text does not).
        names_columns: whether a file says what its columns are called, so that an absent one can be named.
        examples: how many damaged samples are tried for each packing.
    """

    reader: ClassVar[Reader]
    schema: ClassVar[Schema]
    name: ClassVar[str]
    packings: ClassVar[tuple[str, ...]] = ("",)
    tells_truncation: ClassVar[bool] = False
    names_columns: ClassVar[bool] = True
    examples: ClassVar[int] = 30

    def write(self, path: Path, rows: int) -> None:
        """Write a sample, not packed, and beside it what is joined to it. More rows begin with the same rows."""
        raise NotImplementedError

    def rows(self, rows: int) -> list[tuple[Any, ...]]:
        """What the sample holds: per row the values of the schema's fields as texts, lists of texts, or None."""
        raise NotImplementedError

    def spoil(self, path: Path, row: int) -> bool:
        """Make one row of a written sample unreadable; False where the format has no rows that can be unreadable."""
        return False

    def small_blocks(self, patch: pytest.MonkeyPatch, sample_bytes: int) -> None:
        """Make the reader give blocks of a few rows. This does it for readers that use our parts.

        Args:
            patch: undone after the test.
            sample_bytes: of the sample as it is written; a sixth of it is a good block.
        """
        patch.setattr(text_blocks, "BLOCK_BYTES", sample_bytes // 6)
        patch.setattr(text_blocks, "HEAD_BYTES", sample_bytes // 6)
        patch.setattr(parquet_blocks, "BLOCK_ROWS", ROWS // 6)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Called by pytest: how files are packed."""
        if "packing" in metafunc.fixturenames:
            metafunc.parametrize("packing", self.packings, ids=lambda packing: packing or "plain")

    # ------------------------------------------------------------ rows

    def test_accepts_its_files_and_no_others(self, packing: str) -> None:
        assert self.reader.accepts(self.name + packing)
        assert not self.reader.accepts("README.md")
        assert not self.reader.accepts("artifact.safetensors")

    def test_rows_are_those_of_the_sample(self, tmp_path: Path, packing: str) -> None:
        blocks = self._blocks(self._sample(tmp_path, packing))
        assert [row for block in blocks for row in _texts(block.table)] == self.rows(ROWS)
        assert [n for block in blocks for n in block.rows.tolist()] == list(range(1, ROWS + 1))
        for block in blocks:
            assert block.table.column_names == [f.name for f in self.schema.fields]
            assert str(block.rows.dtype) == "int64"
            assert block.after.row == block.rows[-1]

    def test_blocks_are_small_and_two_passes_agree(
        self, tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = self._sample(tmp_path, packing, monkeypatch)
        blocks = self._blocks(path)
        assert len(blocks) >= 4, "small_blocks must make several blocks of the sample"
        assert [row for block in blocks for row in _texts(block.table)] == self.rows(ROWS)
        assert _same(self._blocks(path), blocks)

    def test_reading_goes_on_at_every_place_it_named(
        self, tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = self._sample(tmp_path, packing, monkeypatch)
        blocks = self._blocks(path)
        for number, block in enumerate(blocks):
            assert _same(self._blocks(path, start=block.after), blocks[number + 1 :]), f"after row {block.after.row}"

    def test_the_schema_itself_fits_the_sample(self, tmp_path: Path, packing: str) -> None:
        path = self._sample(tmp_path, packing)
        layout = self.reader.fitting(path, self.schema, [self.schema])
        assert {f.name for f in self.schema.fields} <= {f.name for f in layout.fields}
        assert list(self.reader.blocks(path, layout, BadRows("fail"), Place()))

    def test_joined_files_are_there(self, tmp_path: Path, packing: str) -> None:
        path = self._sample(tmp_path, packing)
        joined = self.reader.companions(path, self.schema)
        assert all(file.is_file() and file != path for file in joined)

    def test_memory_does_not_grow_with_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = self._sample(tmp_path, "", monkeypatch)
        self._most_held_bytes(path)  # imports and caches
        few = self._most_held_bytes(path)
        self.write(path, 20 * ROWS)
        many = self._most_held_bytes(path)
        assert many <= 2 * few + (16 << 10), f"{few:,} bytes for {ROWS} rows, {many:,} for 20 times more"

    # ------------------------------------------------------------ what is wrong

    def test_a_missing_column_is_an_error_of_the_schema(self, tmp_path: Path) -> None:
        if not self.names_columns:
            return
        path = self._sample(tmp_path, "")
        more = Schema.from_json({**self.schema.to_json(), "fields": [
            *self.schema.to_json()["fields"], {"name": "no such column", "kind": "categorical"},
        ]})  # fmt: skip
        with _raises(SchemaError) as caught:
            list(self.reader.blocks(path, more, BadRows("skip"), Place()))
        assert path.name in str(caught[0])
        assert "'no such column'" in str(caught[0])

    def test_an_empty_file_is_named_or_counted(self, tmp_path: Path, packing: str) -> None:
        path = self._sample(tmp_path, packing)
        path.write_bytes(b"" if self.tells_truncation else _packed(b"", packing))
        with _raises(BadFile) as caught:
            self._blocks(path)
        assert path.name in str(caught[0])
        bad = BadRows("skip")
        assert self._blocks(path, bad=bad) == []
        assert sum(bad.counts.values()) == 1

    def test_a_truncated_file_is_named_and_its_first_rows_are_kept(
        self, tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not packing and not self.tells_truncation:
            return
        path = self._sample(tmp_path, packing, monkeypatch)
        whole, rows = path.read_bytes(), self.rows(ROWS)
        for part in (0.1, 0.5, 0.9, 0.99):
            path.write_bytes(whole[: int(part * len(whole))])
            with _raises(BadFile) as caught:
                self._blocks(path)
            assert path.name in str(caught[0])
            bad = BadRows("skip")
            kept = [row for block in self._blocks(path, bad=bad) for row in _texts(block.table)]
            assert kept == rows[: len(kept)]
            assert [key for key in bad.counts if key.startswith("file: ")], bad.counts

    def test_a_bad_row_is_named_or_counted_and_spoils_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = self.rows(ROWS)
        for row in (1, ROWS // 2, ROWS):
            path = self._sample(tmp_path, "", monkeypatch)
            if not self.spoil(path, row):
                return
            with _raises(BadRow) as caught:
                self._blocks(path)
            assert (Path(caught[0].file).name, caught[0].row) == (path.name, row)
            bad = BadRows("skip")
            blocks = self._blocks(path, bad=bad)
            assert [r for b in blocks for r in _texts(b.table)] == rows[: row - 1] + rows[row:]
            assert [n for b in blocks for n in b.rows.tolist()] == [n for n in range(1, ROWS + 1) if n != row]
            assert sum(bad.counts.values()) == 1

    def test_any_bytes_give_rows_or_named_errors(self, tmp_path: Path, packing: str) -> None:
        from hypothesis import given, settings
        from hypothesis import strategies as st

        path = self._sample(tmp_path, packing)
        files = {file: file.read_bytes() for file in (path, *self.reader.companions(path, self.schema))}
        edit = st.tuples(st.integers(0, 1 << 16), st.integers(0, 40), st.binary(max_size=6) | st.sampled_from(_NASTY))

        @settings(max_examples=self.examples, deadline=None)
        @given(which=st.sampled_from(sorted(files)), edits=st.lists(edit, min_size=1, max_size=4), mode=_modes(st))
        def tried(which: Path, edits: Sequence[tuple[int, int, bytes]], mode: Any) -> None:
            data = files[which]
            for at, cut, put in edits:
                at %= len(data) + 1
                data = data[:at] + put + data[at + cut :]
            which.write_bytes(data)
            try:
                with suppress(PocketrecError), _in_time():
                    self._read_to_the_end(path, BadRows(mode))
            finally:
                which.write_bytes(files[which])

        late = None
        try:
            tried()
        except _Late as found:
            late = found
        assert late is None, f"a file of some kilobytes took more than {_SECONDS} seconds"

    # ------------------------------------------------------------ how

    def _sample(self, folder: Path, packing: str, patch: pytest.MonkeyPatch | None = None) -> Path:
        """The sample of ROWS rows, packed; with a patch it comes in small blocks."""
        assert packing in _KNOWN_PACKINGS, packing
        plain = folder / self.name
        self.write(plain, ROWS)
        if patch is not None:
            self.small_blocks(patch, plain.stat().st_size)
        if not packing:
            return plain
        path = plain.with_name(plain.name + packing)
        path.write_bytes(_packed(plain.read_bytes(), packing))
        plain.unlink()
        return path

    def _blocks(self, path: Path, *, start: Place | None = None, bad: BadRows | None = None) -> list[Block]:
        """All blocks that have rows."""
        found = self.reader.blocks(path, self.schema, bad or BadRows("fail"), start or Place())
        return [block for block in found if len(block.rows)]

    def _most_held_bytes(self, path: Path) -> int:
        """How much the reader holds at most, in Arrow's memory and in Python's, while it gives its blocks."""
        before, most = pa.total_allocated_bytes(), 0
        gc.freeze()  # so that collecting what the blocks leave takes no time
        tracemalloc.start()
        try:
            for _ in self.reader.blocks(path, self.schema, BadRows("fail"), Place()):
                most = max(most, pa.total_allocated_bytes() - before)
                gc.collect()
            return most + tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            gc.unfreeze()

    def _read_to_the_end(self, path: Path, bad: BadRows) -> None:
        """Read a file as training and predicting do."""
        self.reader.companions(path, self.schema)
        self.reader.fitting(path, self.schema, [self.schema, self.schema.unlabelled()])
        last = 0
        for block in self.reader.blocks(path, self.schema, bad, Place()):
            numbers = block.rows.tolist()
            assert len(numbers) == len(block.table)
            assert numbers == sorted(set(numbers))
            assert not numbers or numbers[0] > last
            last = max([last, *numbers])
            read_columns(block.table, self.schema, file=str(path), rows=block.rows, bad=bad)


_NASTY = (b'"', b"\n", b"\r", b"\0", b"\xff\xfe", b",", b"::", b"\t", b":", b"1e999", b"-", b"\xef\xbb\xbf", b"9" * 400)


def _modes(st: Any) -> Any:
    return st.sampled_from(["fail", "skip"])


def _packed(data: bytes, packing: str) -> bytes:
    """As one gzip member or zstd frame; mtime 0, so that every run tries the same bytes."""
    if packing == ".gz":
        return gzip.compress(data, mtime=0)
    return bytes(pa.Codec("zstd").compress(data, asbytes=True)) if packing == ".zst" else data


def _texts(table: pa.Table) -> list[tuple[Any, ...]]:
    """Rows as tuples of texts, lists of texts, and None."""
    return list(zip(*([_text(value) for value in column.to_pylist()] for column in table.columns), strict=True))


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(one) for one in value]
    return value.decode() if isinstance(value, bytes) else None if value is None else str(value)


def _same(one: Sequence[Block], other: Sequence[Block]) -> bool:
    return len(one) == len(other) and all(
        a.after == b.after and a.rows.tolist() == b.rows.tolist() and a.table.equals(b.table)
        for a, b in zip(one, other, strict=True)
    )


@contextmanager
def _raises(kind: type[Any]) -> Iterator[list[Any]]:
    """As pytest.raises, which must not be needed to import this file; what was caught is in the list."""
    caught: list[Any] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    assert caught, f"there was no {kind.__name__}"


class _Late(BaseException):
    """Raised through everything, so that hypothesis does not look for a shorter hang."""


@contextmanager
def _in_time() -> Iterator[None]:
    """Turn a hang into a failure."""

    def late(signum: int, frame: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
