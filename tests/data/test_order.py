from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketrec.data import order
from pocketrec.data.journal import Journal
from pocketrec.data.order import RowOrder
from pocketrec.data.split import Split

ROWS = 1000
BY_HASH = Split(by="hash", train="1/2", validation="1/4", test="1/8")
BY_TIME = Split(train="1/2", validation="1/4", test="1/8")


def journal(folder: Path, times: np.ndarray | None, split: Split, size: int = 90) -> Journal:
    out = Journal(folder)
    for start in range(0, ROWS, size):
        rows = np.arange(start, min(ROWS, start + size))
        arrays = {} if times is None else {"time": times[rows]}
        if split.by == "hash":
            arrays["part"] = split.parts_of(rows)
        out.append(arrays, {"rows": len(rows)})
    return out


def expected(times: np.ndarray | None, split: Split) -> np.ndarray:
    """By one stable sort over everything."""
    rows = np.arange(ROWS)
    by_time = rows if times is None else np.argsort(times, kind="stable")
    if split.by == "time":
        ordered = by_time[: split.ends(ROWS)[-1]]
    else:
        part = split.parts_of(rows)
        ordered = np.concatenate([by_time[part[by_time] == p] for p in range(3)])
    out = np.full(ROWS, -1)
    out[ordered] = np.arange(len(ordered))
    return out


TIMES = {
    "none": None,
    "rising": np.arange(ROWS) // 4,
    "integers": np.random.default_rng(0).integers(-500, 500, ROWS),
    "floats": np.random.default_rng(1).normal(size=ROWS),
    "few": np.random.default_rng(2).integers(0, 3, ROWS),
    "heavy": np.where(np.random.default_rng(3).random(ROWS) < 0.8, 7, np.random.default_rng(4).integers(0, 20, ROWS)),
    "falling": np.arange(ROWS)[::-1].copy(),
    "one": np.full(ROWS, 3.5),
}


@pytest.mark.parametrize("split", [BY_TIME, BY_HASH], ids=["time", "hash"])
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("heap", [16, 1 << 22])
def test_rows_go_where_one_big_sort_would_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: str, split: Split, heap: int
) -> None:
    monkeypatch.setattr(order, "_HEAP_ROWS", heap)
    log = journal(tmp_path, TIMES[times], split)
    got = RowOrder(log, split, timed=TIMES[times] is not None)
    positions = np.concatenate([got.positions(chunk) for chunk in range(log.chunks)])
    assert positions.tolist() == expected(TIMES[times], split).tolist()
    assert got.total == ROWS
    assert got.kept == (positions >= 0).sum()


def test_parts_follow_from_positions(tmp_path: Path) -> None:
    got = RowOrder(journal(tmp_path, None, BY_TIME), BY_TIME, timed=False)
    assert got.ends == (500, 750, 875)
    assert got.parts(np.array([0, 499, 500, 749, 750, 874])).tolist() == [0, 0, 1, 1, 2, 2]


def test_rows_in_order_of_time_need_no_file(tmp_path: Path) -> None:
    RowOrder(journal(tmp_path, TIMES["rising"], BY_TIME), BY_TIME, timed=True)
    assert not (tmp_path / "positions.npy").exists()


def test_heaps_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "_HEAP_ROWS", 64)
    for name in ("integers", "floats", "falling"):
        times = TIMES[name]
        assert times is not None
        assert max(len(rows) for rows, _ in order._rows_by_time(times, None)) <= 3 * 64
