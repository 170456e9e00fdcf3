from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketrec.data import text_blocks
from pocketrec.data.bad_rows import BadRows
from pocketrec.data.scan import scan
from pocketrec.data.synthetic import SyntheticReport
from pocketrec.spec.errors import BadFile
from pocketrec.spec.schema import criteo


def test_blocks_together_are_the_log(criteo_log: SyntheticReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 50_000)
    blocks = list(scan(criteo_log.path, criteo(), BadRows("fail")))
    assert len(blocks) > 5
    assert sum(b.n for b in blocks) == 3000
    labels = np.concatenate([b.label for b in blocks if b.label is not None])
    assert int(labels.sum()) == criteo_log.positives


def test_skipped_rows_are_counted_over_all_files(tmp_path: Path) -> None:
    line = "1" + "\t" * 39 + "\n"
    (tmp_path / "day_0").write_text(line + "x" + line)
    (tmp_path / "day_1").write_text("")
    (tmp_path / "day_2").write_text(line + "1\t2\n")
    bad = BadRows("skip")
    assert sum(b.n for b in scan(tmp_path, criteo(), bad)) == 2
    assert bad.counts == {"column label: not a number": 1, "file: empty file": 1, "2 columns instead of 40": 1}


def test_no_file_no_rows(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no such file"):
        next(scan(tmp_path / "absent", criteo(), BadRows("fail")))
