"""``pocketrec synth``."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

SMALL = ("--rows", 90, "--scale", "1/100000")


def test_a_log_is_written_and_the_oracle_is_said(pocketrec: Callable[..., Any], tmp_path: Path) -> None:
    said = pocketrec("synth", "log.tsv", *SMALL)
    assert said.code == 0
    assert said.out.startswith("log.tsv: 90 rows, ")
    assert "oracle AUC 0." in said.out
    lines = (tmp_path / "log.tsv").read_text().splitlines()
    assert (len(lines), {line.count("\t") for line in lines}) == (90, {39})


def test_settings_reach_the_log(pocketrec: Callable[..., Any], tmp_path: Path) -> None:
    found = pocketrec("synth", "a.tsv.gz", *SMALL, "--base-rate", 0.6, "--seed", 3, "--json").json()
    assert found["rows"] == 90
    assert found["positives"] > 40
    assert found["path"] == "a.tsv.gz"
    assert "schema" not in found
    assert pocketrec("synth", "b.tsv.gz", *SMALL, "--base-rate", 0.6, "--seed", 3).code == 0
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()
    pocketrec("synth", "c.tsv.gz", *SMALL, "--base-rate", 0.6, "--seed", 4)
    assert gzip.decompress((tmp_path / "c.tsv.gz").read_bytes()) != gzip.decompress(
        (tmp_path / "a.tsv.gz").read_bytes()
    )


def test_days_make_a_folder(pocketrec: Callable[..., Any], tmp_path: Path) -> None:
    assert pocketrec("synth", "days", *SMALL, "--days", 3, "--cardinalities", "avazu").code == 0
    files = sorted((tmp_path / "days").iterdir())
    assert [f.name for f in files] == ["day_0", "day_1", "day_2"]
    assert sum(len(f.read_text().splitlines()) for f in files) == 90


def test_a_preset_is_a_log_by_name(pocketrec: Callable[..., Any], tmp_path: Path) -> None:
    """And its schema reads it: a log without numbers, trained on."""
    said = pocketrec(
        "synth", "a.tsv", "--preset", "drifting", "--rows", 300, "--cardinalities", "60,9,4", "--schema", "a.yaml"
    )
    assert said.code == 0
    assert {line.count("\t") for line in (tmp_path / "a.tsv").read_text().splitlines()} == {3}
    assert (
        pocketrec("train", "a.tsv", "--schema", "a.yaml", "--budget", "2x", "--dim", 4, "--epochs", 1, "-q").code == 0
    )


def test_what_cannot_be_is_said(pocketrec: Callable[..., Any]) -> None:
    assert "Did you mean 'alike'" in pocketrec("synth", "a.tsv", "--preset", "alik").err
    assert "sizes such as 5000,300,20" in pocketrec("synth", "a.tsv", "--cardinalities", "60,x").err
    assert "shift belongs to the law independent" in pocketrec("synth", "a.tsv", "--shift", 0.1).err
