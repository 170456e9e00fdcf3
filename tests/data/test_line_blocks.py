from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pocketrec.data import text_blocks
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.line_blocks import Parsed, line_blocks
from pocketrec.data.readers import Place
from pocketrec.spec.errors import BadFile, BadRow


def parse(text: bytes) -> Parsed:
    """Lines of digits; all others are wrong."""
    lines = text.splitlines()
    good = [i for i, line in enumerate(lines) if line.isdigit()]
    return Parsed(
        table=pa.table({"a": pa.array([int(lines[i]) for i in good], pa.int64())}),
        good=np.array(good, dtype=np.int64),
        wrong=[(i, "no digits", lines[i].decode()) for i in range(len(lines)) if i not in good],
    )


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 20)
    path = tmp_path / "log"
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(b"%d\n" % i if i % 7 else b"x\n" for i in range(50)))
    return path


def test_rows_keep_their_numbers_and_wrong_ones_are_counted(log: Path) -> None:
    bad = BadRows("skip")
    blocks = list(line_blocks(log, parse, bad, Place()))
    assert len(blocks) > 4
    rows = [(int(n), a) for b in blocks for n, a in zip(b.rows, b.table["a"].to_pylist(), strict=True)]
    assert rows == [(i + 1, i) for i in range(50) if i % 7]
    assert bad.counts == {"no digits": 8}
    assert blocks[-1].after == Place(offset=log.stat().st_size, row=50)


def test_any_place_goes_on_with_the_same_blocks(log: Path) -> None:
    blocks = list(line_blocks(log, parse, BadRows("skip"), Place()))
    for i, block in enumerate(blocks):
        again = list(line_blocks(log, parse, BadRows("skip"), block.after))
        assert [(b.rows.tolist(), b.table, b.after) for b in again] == [
            (b.rows.tolist(), b.table, b.after) for b in blocks[i + 1 :]
        ]


def test_the_rows_before_a_wrong_one_are_given_before_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1\n2\nx\n4\n")
    blocks = line_blocks(path, parse, BadRows("fail"), Place())
    first = next(blocks)
    assert (first.table["a"].to_pylist(), first.after) == ([1, 2], Place(offset=4, row=2))
    with pytest.raises(BadRow, match="log, row 3: no digits: 'x'"):
        next(blocks)


def test_an_empty_file_is_bad_and_a_read_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    with pytest.raises(BadFile, match="empty file"):
        list(line_blocks(path, parse, BadRows("fail"), Place()))
    path.write_bytes(b"1\n")
    assert list(line_blocks(path, parse, BadRows("fail"), Place(offset=2, row=1))) == []
