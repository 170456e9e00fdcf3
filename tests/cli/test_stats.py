"""``pocketrec stats``."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

Say = Callable[..., Any]


def test_only_training_rows_count(pocketrec: Say, log: Path, cache: Path) -> None:
    found = pocketrec("stats", log, "--cache", cache, "--json").json()
    assert found["parts"] == {"train": 1200, "validation": 150, "test": 150}
    assert (found["rows"], found["skipped_rows"]) == (1200, {})
    assert [t["name"] for t in found["tables"]] == [f"C{i + 1}" for i in range(26)]
    all_rows = ("--split", "train=1", "--split", "validation=0", "--split", "test=0")
    whole = pocketrec("stats", log, "--cache", cache, *all_rows, "--json").json()
    assert whole["rows"] == 1500
    assert [t["occurrences"] for t in whole["tables"]] == [1500] * 26
    assert [t["occurrences"] for t in found["tables"]] == [1200] * 26


def test_a_person_sees_a_table(pocketrec: Say, log: Path, cache: Path) -> None:
    said = pocketrec("stats", log, "--cache", cache)
    assert said.code == 0
    assert said.out.startswith("1,200 training rows, ")
    assert "distinct" in said.out
    assert "C26" in said.out
    assert "I13" in said.out


def test_another_schema(pocketrec: Say, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("y,site\n" + "1,a\n0,b\n" * 20)
    (tmp_path / "s.yaml").write_text("fields: [{name: y, kind: label}, {name: site, kind: categorical}]")
    found = pocketrec("stats", "log.csv", "--schema", "s.yaml", "--json").json()
    assert (found["tables"][0]["name"], found["tables"][0]["distinct"], found["positives"]) == ("site", 2, 16)


def test_bad_rows_fail_or_are_counted(pocketrec: Say, log: Path, tmp_path: Path) -> None:
    lines = gzip.decompress(log.read_bytes()).decode().splitlines(keepends=True)
    lines[4] = lines[4].replace(lines[4][0], "7", 1)
    (tmp_path / "bad.tsv").write_text("".join(lines))
    said = pocketrec("stats", "bad.tsv")
    assert (said.code, said.out) == (2, "")
    assert "bad.tsv, row 5, column label: label not 0 or 1" in said.err
    said = pocketrec("stats", "bad.tsv", "--bad-rows", "skip")
    assert said.code == 0
    assert "skipped 1: column label: label not 0 or 1" in said.err
    found = pocketrec("stats", "bad.tsv", "--bad-rows", "skip", "--json").json()
    assert found["skipped_rows"] == {"column label: label not 0 or 1": 1}


def test_the_cache_lies_in_the_users_folder(pocketrec: Say, log: Path, tmp_path: Path) -> None:
    assert pocketrec("stats", log).code == 0
    assert len(list((tmp_path / "xdg" / "pocketrec").iterdir())) == 1
