"""What commands that train say about a result, and which source ran."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import pocketrec
from pocketrec.cli._reading import ReadingBar
from pocketrec.cli._run import commit, describe, identity, warn, watcher
from pocketrec.metrics import GroupMetrics, Metrics
from pocketrec.pipeline import RunConfig
from pocketrec.spec.metrics import Progressive
from pocketrec.spec.result import Result

METRICS = Metrics(rows=100, positives=25, auc=0.75, logloss=0.5, normalised_entropy=0.9, calibration=1.01)
RESULT = Result(
    commit="1", data="d", model="dlrm", method="robe", storage="int8", budget="16x", budget_bytes=12_345, seed=3,
    promised_bytes=12_000, held_bytes=12_000, file_bytes=12_000, train_bytes=50_000, vocabulary_bytes=600,
    dense_bytes=1_400, epochs=2, validation=METRICS, test=METRICS, rows_per_s=1234.5, seconds=6.7,
    by_frequency={"head": GroupMetrics(rows=60, positives=15, auc=0.8), "unseen": GroupMetrics(rows=0, positives=0,
                                                                                               auc=None)},
    peak_rss_bytes=2**28, notes=("Zipf assumed.",),
)  # fmt: skip


def test_a_result_is_told_with_all_its_bytes_and_their_sum() -> None:
    lines = [" ".join(line.split()) for line in describe(RESULT).splitlines()]
    assert lines[0] == "robe (int8), budget 16x = 12,345 bytes, seed 3"
    for expected in (
        "tables, promised 12,000", "tables, held 12,000", "tables, in the file 12,000", "vocabulary 600",
        "dense nets 1,400", "all that serves 14,000", "tables while training 50,000",
        "test 0.75000 0.50000 0.90000 1.0100 100", "validation 0.75000 0.50000 0.90000 1.0100 100",
        "- head 0.80000 60", "- unseen - 0", "2 epochs chosen, 1,234 rows/s, 6.7 s, peak memory 256 MiB",
        "Zipf assumed.",
    ):  # fmt: skip
        assert expected in lines
    assert "dense nets, bfloat16 1,400" in " ".join(describe(replace(RESULT, serving_precision="bfloat16")).split())


def test_users_and_progressive_losses_are_told_where_there_are_any() -> None:
    assert "GAUC" not in describe(RESULT)
    assert "progressive" not in describe(RESULT)
    progressive = Progressive(
        rows=1234, logloss=0.45678, normalised_entropy=0.9, calibration=None, curve=(), rates=(), precision="bfloat16"
    )
    within = replace(METRICS, gauc=0.65, user_auc=0.64, gauc_rows_fraction=0.875, gauc_users=1500)
    lines = [line.strip() for line in describe(replace(RESULT, test=within, progressive=progressive)).splitlines()]
    assert (
        "test GAUC 0.65000, every user counting once 0.64000 (1,500 users with both classes, 87.5 % of rows)" in lines
    )
    assert (
        "progressive log-loss 0.45678, entropy 0.90000, calibration - (1,234 rows of the first epoch, each before it "
        "was learned from, nets in bfloat16)"
    ) in lines
    nobody = replace(METRICS, gauc_rows_fraction=0.0, gauc_users=0)
    assert "test GAUC -, every user counting once - (0 users" in describe(replace(RESULT, test=nobody))


def test_warnings_are_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    warn(RESULT)
    assert capsys.readouterr() == ("", "")
    warn(replace(RESULT, warnings=("One.", "Two.")))
    assert capsys.readouterr() == ("", "warning: One.\nwarning: Two.\n")


def test_what_was_not_measured_is_not_told() -> None:
    bare = replace(
        RESULT, file_bytes=None, test=None, validation=None, by_frequency={}, seconds=None, rows_per_s=None,
        peak_rss_bytes=None, epochs=1, notes=(), held_bytes=None,
    )  # fmt: skip
    said = describe(bare)
    assert "AUC" not in said
    assert said.splitlines()[-1] == "  1 epoch chosen"
    assert re.search(r"tables, in the file +-$", said, re.MULTILINE)
    assert re.search(r"all that serves +-$", said, re.MULTILINE), "a sum of what is not known is not known"
    assert "None" not in said


def test_the_commit_is_that_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    if subprocess.run(["git", "rev-parse"], capture_output=True, cwd=Path(__file__).parent).returncode:
        pytest.skip("not a git checkout")
    assert re.fullmatch(r"[0-9a-f]{12,40}\+?", commit())


def test_an_installed_package_is_not_of_the_repository_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e", *words], check=True)

    installed = tmp_path / "venv" / "pocketrec"
    installed.mkdir(parents=True)
    shutil.copy(pocketrec.__file__, installed / "__init__.py")
    (tmp_path / "notes.txt").touch()
    git("init", "-q")
    git("add", "notes.txt")
    git("commit", "-q", "-m", "theirs")
    monkeypatch.setattr(pocketrec, "__file__", str(installed / "__init__.py"))
    assert commit() == f"version {pocketrec.__version__}"


def test_a_run_is_named_by_its_files_and_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/pocketrec", "train", "a b.tsv", "--seed", "3"])
    named = identity(RunConfig(data=("/data/a b.tsv", "/data/c.tsv")))
    assert named["data"] == "a b.tsv, c.tsv (time 8/10/1/10/1/10)"
    assert named["command"] == "pocketrec train 'a b.tsv' --seed 3"
    by_rows = RunConfig.from_json({"data": ["x"], "split": {"rows": [5, 1, 2]}})
    assert identity(by_rows)["data"] == "x (time 5/1/2)"


def test_all_watchers_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ReadingBar(quiet=True) as reading:
        told = watcher(RunConfig(data=("x",)), reading, quiet=False, tensorboard=tmp_path / "board")
        told.begin(stage="train", epochs=1, batches=1, batch_size=8, epoch=0, batch=0)
        told.step(step=1, batch=1, loss=0.5)
        told.epoch({"stage": "train", "epoch": 1, "step": 1, "train_loss": 0.5, "rows_per_s": 10.0, "seconds": 1.0})
        told.end()
    assert list((tmp_path / "board").glob("events*"))
    assert "min_count train epoch 1" in capsys.readouterr().err
