from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pocketrec.data import text_blocks
from pocketrec.data.journal import Journal
from pocketrec.data.read_pass import ReadPass, silent
from pocketrec.data.split import Split
from pocketrec.native.hash63 import hash_tokens
from pocketrec.spec.schema import Field, Schema

SCHEMA = Schema(
    fields=(
        Field(name="d", kind="dense"),
        Field(name="e", kind="dense"),
        Field(name="a", kind="categorical"),
        Field(name="b", kind="categorical", table="a"),
        Field(name="p", kind="categorical", ids="plain", rows=9),
    )
)


def run(folder: Path, lines: str, *, known: dict[str, np.ndarray] | None = None, split: Split | None = None) -> Journal:
    log = folder / "log.csv"
    log.write_text("d,e,a,b,p\n" + lines)
    (folder / "work").mkdir()
    journal = Journal(folder / "work")
    ReadPass(journal, SCHEMA, split or Split(), known or {}).run([log], "fail", silent)
    return journal


def joined(journal: Journal, name: str, axis: int = 0) -> list[object]:
    values: list[object] = np.concatenate([journal.array(c, name) for c in range(journal.chunks)], axis=axis).tolist()
    return values


@pytest.mark.parametrize("size", [5, 30, 1000])
def test_tokens_are_numbered_by_row_and_then_by_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", size)
    journal = run(tmp_path, "1,2,x,y,0\n,2,y,z,1\n1,,x,,2\n,,w,x,3\n")
    assert joined(journal, "ids0") == [0, 1, 0, 4]
    assert joined(journal, "ids1") == [1, 2, 3, 0]
    assert joined(journal, "new0") == hash_tokens(pa.array(["x", "y", "z", "", "w"])).tolist()
    assert joined(journal, "ids2") == [0, 1, 2, 3]
    assert (journal.chunks > 1) == (size < 1000)


def test_missing_numbers_are_remembered_as_bits(tmp_path: Path) -> None:
    journal = run(tmp_path, "1,2,x,y,0\n,2,y,z,1\n1,,x,,2\n")
    assert np.unpackbits(journal.array(0, "absent"), axis=0, count=2).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert journal.array(0, "dense").tolist() == [[1.0, 2.0], [0.0, 2.0], [1.0, 0.0]]


def test_known_tokens_have_the_first_numbers(tmp_path: Path) -> None:
    known = hash_tokens(pa.array(["z", "x"]))
    journal = run(tmp_path, "1,2,x,y,0\n1,2,y,z,1\n", known={"a": known})
    assert joined(journal, "ids0") == [1, 2]
    assert joined(journal, "ids1") == [2, 0]
    assert joined(journal, "new0") == hash_tokens(pa.array(["y"])).tolist()


def test_a_split_by_hash_is_decided_row_by_row(tmp_path: Path) -> None:
    split = Split(by="hash", key="a", train="1/2", validation="1/2", test=0)
    journal = run(tmp_path, "".join(f"1,2,t{i % 20},y,0\n" for i in range(60)), split=split)
    want = split.parts_of(hash_tokens(pa.array([f"t{i % 20}" for i in range(60)])))
    assert joined(journal, "part") == want.tolist()
    assert len(set(want.tolist())) == 2


def test_a_second_pass_over_a_finished_journal_reads_nothing(tmp_path: Path) -> None:
    journal = run(tmp_path, "1,2,x,y,0\n")
    ReadPass(journal, SCHEMA, Split(), {}).run([tmp_path / "log.csv"], "fail", silent)
    assert journal.chunks == 1


def test_being_silent_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silent("read", 1, 2)
    assert capsys.readouterr().out == ""
