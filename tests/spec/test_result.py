from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.spec.errors import BadFile, DataError, OptionError
from pocketrec.spec.metrics import GroupMetrics, Metrics, Progressive
from pocketrec.spec.result import Result, append_result, read_results

AMOUNTS = st.none() | st.integers(0, 2**70)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
METRICS = st.builds(
    Metrics,
    rows=st.integers(0),
    positives=st.integers(0),
    auc=st.none() | FINITE,
    logloss=FINITE,
    normalised_entropy=st.none() | FINITE,
    calibration=st.none() | FINITE,
    auc_error=FINITE,
    extra=st.dictionaries(st.text(), st.none() | FINITE, max_size=2),
    gauc=st.none() | FINITE,
    gauc_users=st.none() | st.integers(0),
)
GROUPS = st.builds(
    GroupMetrics, rows=st.integers(0), positives=st.integers(0), auc=st.none() | FINITE, auc_error=FINITE
)
PROGRESSIVE = st.builds(
    Progressive,
    rows=st.integers(0),
    logloss=FINITE,
    normalised_entropy=st.none() | FINITE,
    calibration=st.none() | FINITE,
    curve=st.lists(st.tuples(st.integers(0), FINITE), max_size=3).map(tuple),
    rates=st.lists(FINITE, max_size=3).map(tuple),
    precision=st.text(),
)
RESULTS = st.builds(
    Result,
    commit=st.text(),
    command=st.text(),
    data=st.text(),
    model=st.text(),
    method=st.text(),
    options=st.dictionaries(st.text(), JSON, max_size=3),
    storage=st.text(),
    budget=st.text(),
    budget_bytes=st.integers(0, 2**70),
    promised_bytes=AMOUNTS,
    train_bytes=AMOUNTS,
    table_bytes=st.dictionaries(st.text(), st.integers(0, 2**70), max_size=3),
    seed=st.integers(),
    epochs=st.none() | st.integers(0),
    test=st.none() | METRICS,
    by_frequency=st.dictionaries(st.text(), GROUPS, max_size=3),
    curve=st.lists(st.dictionaries(st.text(), st.none() | st.integers() | FINITE, max_size=3), max_size=3).map(tuple),
    rows_per_s=st.none() | st.floats(0, 1e12),
    ms_per_batch=st.none() | st.floats(0, 1e12),
    ns_per_lookup=st.none() | st.floats(0, 1e12),
    tuned=st.dictionaries(st.text(), JSON, max_size=2),
    progressive=st.none() | PROGRESSIVE,
    notes=st.lists(st.text(), max_size=2).map(tuple),
    warnings=st.lists(st.text(), max_size=2).map(tuple),
)


def result(**changes: object) -> Result:
    plain = {
        "commit": "3f1c",
        "data": "tiny",
        "model": "dlrm",
        "method": "robe",
        "budget": "16x",
        "budget_bytes": 65536,
        "seed": 1,
    }
    return Result(**(plain | changes))  # type: ignore[arg-type]


@given(RESULTS)
def test_a_line_gives_the_result_back(made: Result) -> None:
    line = made.to_json_line()
    assert "\n" not in line
    assert Result.from_json_line(line) == made
    assert Result.from_json_line(line.encode()).to_json_line() == line


def test_the_least_line_is_enough() -> None:
    line = '{"commit":"3f1c","data":"tiny","model":"dlrm","method":"robe","budget":"16x","budget_bytes":65536,"seed":1}'
    assert Result.from_json_line(line) == result()


def test_a_line_from_before_users_and_progressive_losses_is_read() -> None:
    old = (
        '{"commit":"3f1c","data":"tiny","model":"dlrm","method":"robe","budget":"16x","budget_bytes":65536,"seed":1,'
        '"test":{"rows":4,"positives":1,"auc":0.5,"logloss":0.7,"normalised_entropy":1.0,"calibration":1.0,'
        '"auc_error":0.0,"extra":{"calibration_error":0.1}},"curve":[{"epoch":1,"train_loss":0.5}]}'
    )
    read = Result.from_json_line(old)
    assert read.test is not None
    assert (read.test.gauc, read.test.user_auc, read.test.gauc_rows_fraction, read.test.gauc_users) == (None,) * 4
    assert (read.progressive, read.warnings) == (None, ())
    assert (read.ms_per_batch, read.ns_per_lookup, read.tuned, read.failed) == (None, None, {}, False)
    assert Result.from_json_line(read.to_json_line()) == read


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"promised_bytes": -1}, "promised_bytes must be 0 or more and finite, got -1"),
        ({"table_bytes": {"item": -2}}, r"table_bytes\['item'\] must be 0 or more"),
        ({"rows_per_s": float("nan")}, "rows_per_s must be .* got nan"),
        ({"seconds": float("inf")}, "seconds must be .* got inf"),
        ({"ms_per_batch": -1.0}, "ms_per_batch must be 0 or more"),
        ({"ns_per_lookup": -1.0}, "ns_per_lookup must be 0 or more"),
        ({"epochs": -1}, "epochs must be"),
        ({"ms_per_batch": -0.5}, "ms_per_batch must be"),
        ({"ns_per_lookup": float("nan")}, "ns_per_lookup must be"),
        ({"failed": True}, "nothing says why"),
    ],
)
def test_amounts_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        result(**changes)


def test_a_skipped_run_has_no_metrics() -> None:
    metrics = Metrics(rows=1, positives=0, auc=None, logloss=0.1, normalised_entropy=None, calibration=None)
    assert result(skipped="needs 9 bytes").skipped == "needs 9 bytes"
    with pytest.raises(OptionError, match=r"skipped \(too small\), yet it has metrics"):
        result(skipped="too small", test=metrics)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Path("x"), {1, 2}])
def test_what_is_not_json_is_refused_with_the_run_named(value: object) -> None:
    with pytest.raises(OptionError, match=r"robe \(budget 16x, seed 1\) is not JSON"):
        result(options={"x": value}).to_json_line()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sed": 1}, "sed: Unexpected keyword argument"),
        ({"seed": "1"}, "seed: Input should be a valid integer"),
        ({"seed": 1.5}, "seed: Input should be a valid integer"),
        ({"promised_bytes": -3}, r"promised_bytes must be 0 or more and finite, got -3\.$"),
        ({"test": {"rows": 1}}, "test.positives: Field required; .*test.logloss: Field required"),
        ({"by_frequency": {"head": {"rows": 1, "positives": 0, "auc": None, "ayc": 1}}}, "by_frequency.head.ayc"),
        ({"curve": [{"epoch": "one"}]}, "curve.0.epoch"),
    ],
)
def test_a_wrong_line_names_the_key(changes: dict[str, object], message: str) -> None:
    line = json.dumps(json.loads(result().to_json_line()) | changes)
    with pytest.raises(DataError, match=message):
        Result.from_json_line(line)


@pytest.mark.parametrize("line", ["", "{", "[]", "null", '{"commit":"3f1c"}', "[" * 100_000, b"\xff\xfe"])
def test_a_line_that_is_no_result_is_refused(line: str | bytes) -> None:
    with pytest.raises(DataError, match="This is not a result"):
        Result.from_json_line(line)


def test_a_metric_that_is_not_finite_is_refused() -> None:
    metrics = Metrics(rows=1, positives=0, auc=0.25, logloss=0.1, normalised_entropy=None, calibration=None)
    line = result(test=metrics).to_json_line().replace("0.25", "NaN")
    with pytest.raises(DataError, match=r"test\.auc: Input should be a finite number"):
        Result.from_json_line(line)


def test_results_are_appended_and_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    made = [result(seed=seed, notes=("a line\nbreak", "\u00fcber \u2028 \u2603")) for seed in range(3)]
    for one in made:
        append_result(path, one)
    assert read_results(path) == tuple(made)
    assert path.read_bytes().count(b"\n") == 3
    path.write_bytes(b"\n" + path.read_bytes() + b"  \n")
    assert read_results(path) == tuple(made)


def test_a_wrong_line_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append_result(path, result())
    path.write_text(path.read_text() + '{"commit": 1}\n')
    with pytest.raises(BadFile, match=r"results.jsonl: line 2: .*commit: Input should be a valid string"):
        read_results(path)


@pytest.mark.parametrize("half", ["{", "x" * 200_000, result().to_json_line()[:-1], ""])
def test_a_half_written_last_line_is_passed_over_and_taken_away(half: str, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(result().to_json_line() + "\n" + half)
    assert read_results(path, growing=True) == (result(),)
    if half:
        with pytest.raises(BadFile, match="line 2"):
            read_results(path)
    append_result(path, result(seed=7))
    assert [r.seed for r in read_results(path)] == [1, 7]
    assert len(path.read_text().splitlines()) == 2


def test_a_whole_last_line_without_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(result(seed=3).to_json_line())
    assert [r.seed for r in read_results(path, growing=True)] == [3]
    append_result(path, result(seed=7))
    assert [r.seed for r in read_results(path)] == [3, 7]


def test_half_a_line_in_the_middle_is_never_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("{\n" + result().to_json_line() + "\n")
    with pytest.raises(BadFile, match="line 1"):
        read_results(path, growing=True)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    append_result(path, result())
    before = path.read_bytes()
    real_write, calls = os.write, []

    def write_half_then_fail(file: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real_write(file, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", write_half_then_fail)
    with pytest.raises(OSError, match="No space left"):
        append_result(path, result(seed=2))
    monkeypatch.undo()
    assert len(calls) == 2
    assert path.read_bytes() == before
    append_result(path, result(seed=2))
    assert [r.seed for r in read_results(path)] == [1, 2]


def test_a_write_in_pieces_ends_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real_write(file, data[:50]))
    append_result(tmp_path / "results.jsonl", result())
    monkeypatch.undo()
    assert read_results(tmp_path / "results.jsonl") == (result(),)


def _append_many(path: str, seed: int) -> None:
    for k in range(20):
        append_result(path, result(seed=seed, notes=("x" * 1000 * k,)))


def test_processes_that_append_at_once_keep_their_lines_whole(tmp_path: Path) -> None:
    path = str(tmp_path / "results.jsonl")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_many, args=(path, seed)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seeds = [r.seed for r in read_results(path)]
    assert sorted(seeds) == sorted([0, 1, 2] * 20)


def test_importing_results_imports_neither_torch_nor_pydantic() -> None:
    code = "import sys, pocketrec.spec.result; sys.exit(bool({'torch', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
