"""``pocketrec train``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketrec.pipeline import load
from pocketrec.spec.result import read_results

Say = Callable[..., Any]
TINY = ("--dim", 4, "--epochs", 1, "--set", "model.bottom=[4]", "--set", "model.top=[4]", "-q")


def test_it_trains_judges_saves_and_says_so(pocketrec: Say, log: Path, cache: Path, tmp_path: Path) -> None:
    said = pocketrec("train", log, "--out", "run", "--cache", cache, "--storage", "int8", *TINY)
    assert said.code == 0
    (result,) = read_results(tmp_path / "run" / "result.jsonl")
    assert said.err.splitlines() == [f"warning: {warning}" for warning in result.warnings]
    assert f"tables, promised  {result.promised_bytes:>14,}".split() in [x.split() for x in said.out.splitlines()]
    assert said.out.startswith("min_count (int8), budget 16x = ")
    assert "artifact: run/model    result: run/result.jsonl" in said.out
    assert result.promised_bytes == result.held_bytes == result.file_bytes
    assert (result.test.rows, result.validation.rows) == (150, 150)
    assert load(tmp_path / "run").sizing.serve_bytes == result.promised_bytes


def test_a_second_call_says_so_and_counts_one_run_once(
    pocketrec: Say, log: Path, cache: Path, run_folder: Path, tmp_path: Path
) -> None:
    command = ("train", log, "--out", run_folder, "--cache", cache, *TINY, "--results", "all.jsonl", "--json")
    first, second = pocketrec(*command), pocketrec(*command)
    assert first.code == second.code == 0
    assert first.json() == second.json()
    assert "had finished before; nothing was trained" in second.err
    assert len(read_results(tmp_path / "all.jsonl")) == 1


def test_warnings_are_told_on_standard_error_and_kept_in_the_result(
    pocketrec: Say, log: Path, cache: Path, tmp_path: Path
) -> None:
    words = ("train", log, "--out", "run", "--cache", cache, *TINY, "--epochs", 3, "--json")
    said = pocketrec(*words, "--set", "train.dense_lr=1e-4", "--set", "optimizer.lr=1e-4")
    found = said.json()
    assert found["warnings"]
    assert any(warning.startswith("Underfitting: the validation log-loss still fell") for warning in found["warnings"])
    assert said.err.splitlines() == [f"warning: {warning}" for warning in found["warnings"]]
    assert found["progressive"]["rows"] == 1200
    assert found["curve"][0]["validation_auc_standard_error"] > 0


def test_another_run_in_the_folder_is_refused_with_the_next_step(
    pocketrec: Say, log: Path, cache: Path, run_folder: Path
) -> None:
    said = pocketrec("train", log, "--out", run_folder, "--cache", cache, *TINY, "--seed", 9)
    assert (said.code, said.out) == (2, "")
    assert "holds another run: seed was 0, is 9. Take another folder (--out)" in said.err


def test_a_file_of_settings_and_words_that_win_over_it(pocketrec: Say, log: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(
        f"data: ['{log}']\nmethod: robe\noptions: {{block: 2}}\nbudget: 8x\ndim: 4\nseed: 5\n"
        "model: {bottom: [4], top: [4]}\ntrain: {epochs: 1, batch_size: 256}\n"
    )
    found = pocketrec(
        "train", "--config", "run.yaml", "--cache", cache, "-b", "4x", "-o", "sign=false", "--set",
        "optimizer.lr=0.1", "--split", "train=0.5", "-q", "--json",
    ).json()  # fmt: skip
    assert (found["method"], found["budget"], found["seed"]) == ("robe", "4x", 5)
    assert found["options"] == {"block": 2, "sign": False}
    assert found["data"] == "log.tsv.gz (time 0.5/1/10/1/10)"
    config = load(tmp_path / "run").content["config"]
    assert (config["optimizer"]["lr"], config["train"]["batch_size"]) == (0.1, 256)


def test_a_mistake_in_the_file_names_file_and_key(pocketrec: Say, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("data: [x]\ntrain: {epohcs: 3}\n")
    said = pocketrec("train", "--config", "run.yaml")
    assert said.code == 2
    assert said.err == "run.yaml: train.epohcs: there is no such key; did you mean 'epochs'?\n"


def test_a_budget_that_is_too_small_names_the_floor(pocketrec: Say, log: Path, cache: Path) -> None:
    said = pocketrec("train", log, "--cache", cache, *TINY, "-b", "100")
    assert said.code == 2
    assert "min_count needs at least 416 serve bytes for these tables, the budget is 100." in said.err
    said = pocketrec("train", log, "--cache", cache, *TINY, "--set", "train_budget=450")
    assert "train bytes for these tables, the budget is 450." in said.err


def test_the_next_day(pocketrec: Say, log: Path, cache: Path, run_folder: Path, tmp_path: Path) -> None:
    pocketrec("synth", "day2.tsv", "--rows", 600, "--scale", "1/50000", "--seed", 8)
    words = ("train", "day2.tsv", "--from", run_folder, "--cache", cache, "-q")
    found = pocketrec(*words, "--out", "day2", "--json").json()
    (before,) = read_results(run_folder / "result.jsonl")
    assert (found["method"], found["budget"], found["epochs"]) == ("min_count", "16x", 1)
    assert found["promised_bytes"] == before.promised_bytes
    assert pocketrec(*words, "--out", "day2").err.startswith("The run in day2 had finished before")
    said = pocketrec(*words, "--out", "other", "--method", "robe")
    assert said.code == 2
    assert "method was 'min_count', is 'robe'" in said.err
    load(run_folder).save(tmp_path / "served")
    said = pocketrec("train", "day2.tsv", "--from", "served", "--out", "third")
    assert said.code == 2
    assert "saved for serving only" in said.err


def test_refit_and_bad_rows_reach_the_run(pocketrec: Say, log: Path, cache: Path, tmp_path: Path) -> None:
    assert pocketrec("train", log, "--cache", cache, *TINY, "--refit", "--bad-rows", "skip").code == 0
    config = load(tmp_path / "run").content["config"]
    assert (config["refit"], config["bad_rows"]) == (True, "skip")
    assert any((tmp_path / "run" / "checkpoints" / "refit").iterdir())


def test_a_bad_row_is_named(pocketrec: Say, tmp_path: Path) -> None:
    (tmp_path / "bad.tsv").write_text("1\t2\n")
    said = pocketrec("train", "bad.tsv")
    assert said.code == 2
    assert "bad.tsv, row 1: 2 columns instead of 40" in said.err


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_goes_to_standard_error(quiet: bool, pocketrec: Say, log: Path, cache: Path, tmp_path: Path) -> None:
    words = [word for word in TINY if word != "-q" or quiet]
    said = pocketrec("train", log, "--cache", cache, *words, "--json", "--tensorboard", "board")
    assert said.json()["method"] == "min_count"
    assert ("min_count train epoch 1: loss" in said.err) is not quiet
    assert list((tmp_path / "board").glob("events*"))


def test_without_tensorboard_one_sentence_says_what_to_install(
    pocketrec: Say, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    said = pocketrec("train", log, "--tensorboard", "board", "--out", "run")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "pip install 'pocketrec[tensorboard]'" in said.err
