"""The suite finds faults in readers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.readers import Block, Place
from pocketrec.data.readers.csv import CsvReader
from pocketrec.spec.schema import Field, Schema
from pocketrec.testing.reader_contract import ReaderContract

SCHEMA = Schema(fields=(Field(name="y", kind="label"), Field(name="x", kind="dense")))
Change = Callable[[Iterator[Block], Place], Iterator[Block]]


class Sample(ReaderContract):
    """The contract on a sound reader."""

    reader: Any = CsvReader()
    schema = SCHEMA
    name = "log.csv"
    packings = ("", ".gz")
    examples = 5

    def rows(self, rows: int) -> list[tuple[Any, ...]]:
        return [(str(n % 2), str(n)) for n in range(rows)]

    def write(self, path: Path, rows: int) -> None:
        path.write_text("y,x\n" + "".join(f"{n % 2},{n}\n" for n in range(rows)))

    def spoil(self, path: Path, row: int) -> bool:
        lines = path.read_text().splitlines(keepends=True)
        lines[row] = "1\n"
        path.write_text("".join(lines))
        return True


def broken(change: Change) -> Sample:
    """The contract on a CSV reader whose blocks are changed."""

    class Broken:
        accepts, fitting, companions = Sample.reader.accepts, Sample.reader.fitting, Sample.reader.companions

        def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
            return change(Sample.reader.blocks(file, schema, bad, start), start)

    return type("Contract", (Sample,), {"reader": Broken()})()  # type: ignore[no-any-return]


def numbers_from_zero(blocks: Iterator[Block], start: Place) -> Iterator[Block]:
    for block in blocks:
        yield replace(block, rows=block.rows - 1)


def one_column(blocks: Iterator[Block], start: Place) -> Iterator[Block]:
    for block in blocks:
        yield replace(block, table=block.table.select(["y"]))


def everything_at_once(blocks: Iterator[Block], start: Place) -> Iterator[Block]:
    yield from list(blocks)


def no_place(blocks: Iterator[Block], start: Place) -> Iterator[Block]:
    for block in blocks:
        yield replace(block, after=replace(block.after, offset=block.after.offset + 1))


def restless(blocks: Iterator[Block], start: Place) -> Iterator[Block]:
    restless.calls += 1  # type: ignore[attr-defined]
    for block in blocks:
        drop = restless.calls % 2  # type: ignore[attr-defined]
        yield replace(block, table=block.table.slice(drop), rows=block.rows[drop:])


restless.calls = 1  # type: ignore[attr-defined]


def silent(blocks: Iterator[Block], start: Place) -> Iterator[Block]:
    while True:
        try:
            yield next(blocks)
        except Exception:
            return


def unnamed(blocks: Iterator[Block], start: Place) -> Iterator[Block]:
    for block in blocks:
        if any(value == b"" for value in block.table["x"].to_pylist()) or not len(block.rows):
            raise IndexError
        yield block
    if not start.row:
        raise ZeroDivisionError


FAULTS: dict[str, tuple[Change, Callable[[Sample, Path, pytest.MonkeyPatch], None]]] = {
    "rows numbered from 0": (numbers_from_zero, lambda c, p, m: c.test_rows_are_those_of_the_sample(p, "")),
    "a column is missing": (one_column, lambda c, p, m: c.test_rows_are_those_of_the_sample(p, "")),
    "a place that is none": (no_place, lambda c, p, m: c.test_reading_goes_on_at_every_place_it_named(p, "", m)),
    "passes differ": (restless, lambda c, p, m: c.test_blocks_are_small_and_two_passes_agree(p, "", m)),
    "the file is held whole": (everything_at_once, lambda c, p, m: c.test_memory_does_not_grow_with_the_file(p, m)),
    "an absent column is passed over": (silent, lambda c, p, m: c.test_a_missing_column_is_an_error_of_the_schema(p)),
    "an empty file is passed over": (silent, lambda c, p, m: c.test_an_empty_file_is_named_or_counted(p, ".gz")),
    "damage is passed over": (
        silent, lambda c, p, m: c.test_a_truncated_file_is_named_and_its_first_rows_are_kept(p, ".gz", m),
    ),
    "a bad row is passed over": (
        silent, lambda c, p, m: c.test_a_bad_row_is_named_or_counted_and_spoils_no_other(p, m),
    ),
    "an error without a name": (unnamed, lambda c, p, m: c.test_any_bytes_give_rows_or_named_errors(p, "")),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, check = FAULTS[fault]
    with pytest.raises((AssertionError, ZeroDivisionError, IndexError)):
        check(broken(change), tmp_path, monkeypatch)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_passes_without_the_fault(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS[fault][1](Sample(), tmp_path, monkeypatch)


def test_a_hang_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def for_ever(blocks: Iterator[Block], start: Place) -> Iterator[Block]:
        while True:
            np.zeros(1)
        yield from blocks

    monkeypatch.setattr("pocketrec.testing.reader_contract._SECONDS", 0.2)
    with pytest.raises(AssertionError, match=r"took more than 0\.2 seconds"):
        broken(for_ever).test_any_bytes_give_rows_or_named_errors(tmp_path, "")


def test_a_name_that_is_not_accepted_is_found() -> None:
    with pytest.raises(AssertionError):
        type("Contract", (Sample,), {"name": "log.parquet"})().test_accepts_its_files_and_no_others("")


def test_a_suite_without_a_sample_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError):
        ReaderContract().write(tmp_path / "x", 1)
    with pytest.raises(NotImplementedError):
        ReaderContract().rows(1)
    assert ReaderContract().spoil(tmp_path / "x", 1) is False


def test_importing_the_suite_needs_neither_pytest_nor_hypothesis() -> None:
    program = (
        "import sys; sys.modules['pytest'] = sys.modules['hypothesis'] = None\nimport pocketrec.testing.reader_contract"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
