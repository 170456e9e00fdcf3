"""``pocketrec fit``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Say = Callable[..., Any]
TINY = ("--dim", "4", "--epochs", "1", "--set", "model.bottom=[4]", "--set", "model.top=[4]", "--cache")


@pytest.mark.slow
def test_bytes_in_a_configuration_out_that_trains_to_these_bytes(
    pocketrec: Say, log: Path, cache: Path, tmp_path: Path
) -> None:
    said = pocketrec("fit", log, "-b", "20x", "--effort", "0", "--out", "f", *TINY, cache)
    assert said.code == 0, said.err
    assert "one more KiB is expected to lower the log-loss" in said.out
    assert said.out.splitlines()[-1] == "train it: pocketrec train --config f/config.yaml --out run"
    certificate = json.loads((tmp_path / "f" / "certificate.json").read_text())
    assert (tmp_path / "f" / "explanation.md").read_text() in said.out
    config = yaml.safe_load((tmp_path / "f" / "config.yaml").read_text())
    assert config["budget"] == certificate["budget_bytes"]
    trained = pocketrec("train", "--config", "f/config.yaml", "--out", "run", "-q", "--json", "--cache", cache)
    assert trained.code == 0, trained.err
    line = trained.json()
    assert line["promised_bytes"] == line["held_bytes"] == line["file_bytes"] == certificate["promised_bytes"]
    again = pocketrec("fit", "--config", "f/config.yaml", "--effort", "0", "--out", "g", "--json", "--cache", cache)
    assert again.json()["promised_bytes"] == certificate["promised_bytes"]


@pytest.mark.slow
def test_probing_is_told_and_kept(pocketrec: Say, log: Path, cache: Path, tmp_path: Path) -> None:
    words = (
        "fit",
        log,
        "-b",
        "20x",
        "--effort",
        "2",
        "-m",
        "min_count",
        "--storage",
        "int8",
        "--out",
        "f",
        *TINY,
        cache,
    )
    said = pocketrec(*words)
    assert said.code == 0, said.err
    assert "every method: " in said.err
    assert "min_count int8: 0." in said.err
    assert "On validation rows, the mean over seeds:" in said.out
    lines = (tmp_path / "f" / "probes.jsonl").read_text()
    again = pocketrec(*words, "-q")
    assert (again.out, again.err) == (said.out, "")
    assert (tmp_path / "f" / "probes.jsonl").read_text() == lines


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-b", "7"), "fit needs at least"),
        (("-b", "20x", "--latency", "0.001"), "quickest choices take"),
        (("-b", "20x", "-m", "robo"), "robo"),
        (("-b", "20x", "--effort", "-1"), "effort must be 0 or more"),
        (("-b", "20x", "--jobs", "0"), "--jobs must be 1 or more"),
        (("-b", "20x", "--config", "none.yaml"), "there is no such configuration"),
    ],
)
def test_mistakes_end_with_a_sentence(
    words: tuple[str, ...], message: str, pocketrec: Say, log: Path, cache: Path
) -> None:
    said = pocketrec("fit", log, "--effort", "0", *words, *TINY, cache)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
