from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pocketrec.data.check.check import check
from pocketrec.data.check.text import check_text
from pocketrec.spec.schema import Field, Schema


def test_everything_is_said(all_kinds: Schema, write_log: Callable[..., Path], tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", 200, shuffled_time=True)
    log.write_text(log.read_text() + "9,1,1,1,1,a,b,c,1\n")
    text = check_text(check(log, all_kinds, dim=8))
    assert f"{log}: {log.stat().st_size:,} bytes, 201 rows" in text
    assert "200 good rows, " in text
    assert "1 bad" in text
    for name in ("c ", "c2", "h ", "p ", "d ", "e ", "w "):
        assert f"\n{name}" in text, name
    assert "bad  column y: label not 0 or 1 (once)" in text
    assert f"{log}, row 201: '9'" in text
    assert "look t: Rows are not in order of time." in text
    assert "of dim 8: " in text
    assert "a budget of 16x is" in text
    assert text.endswith("1 bad row; the others can be read.")


def test_moments_are_dates(tmp_path: Path) -> None:
    inputs = Field(name="c", kind="categorical")
    (tmp_path / "a.csv").write_text("t,c,z\n2026-01-02T03:04:05,a,1\n2026-01-02T03:04:06,b,1\n")
    iso = Schema(fields=(Field(name="t", kind="time", clock="iso8601"), inputs))
    text = check_text(check(tmp_path / "a.csv", iso))
    assert "time t: from 2026-01-02 03:04:05 to 2026-01-02 03:04:06" in text
    assert "Not in the schema, so left alone: z." in text
    assert text.endswith("Every row can be read.")
    (tmp_path / "a.csv").write_text("t,c\n1650810000000,a\n1650810000001,b\n")
    number = Schema(fields=(Field(name="t", kind="time"), inputs))
    assert "1,650,810,000,000 (2022-04-24 14:20:00 if milliseconds)" in check_text(check(tmp_path / "a.csv", number))
    (tmp_path / "a.csv").write_text("t,c\n5,a\n7.5,b\n")
    assert "time t: from 5 to 7.5" in check_text(check(tmp_path / "a.csv", number))


def test_estimates_and_bags_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("c,g\n" + "".join(f"t{i},a|b{i % 5}\n" for i in range(900)))
    schema = Schema(fields=(Field(name="c", kind="categorical"), Field(name="g", kind="categorical", many=True)))
    text = check_text(check(tmp_path / "a.csv", schema, keep=100, rows=900))
    assert "+-10.1%" in text
    assert "2 to 2, mean 2.0" in text


def test_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("c\n")
    text = check_text(check(tmp_path / "a.csv", Schema(fields=(Field(name="c", kind="categorical"),))))
    assert "empty file" in text
    assert text.endswith("Not one row can be read.")
