"""Scores of whole files: the same as of frames, whatever columns a file comes with."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from pocketrec.data import text_blocks
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic
from pocketrec.metrics import evaluate
from pocketrec.pipeline import Recommender, load, train
from pocketrec.pipeline import portions as portions_module
from pocketrec.pipeline.predict import evaluate_files, predict_files, write_scores
from pocketrec.spec.errors import BadFile, BadRow, DataError, SchemaError

TINY: dict[str, Any] = {"dim": 4, "model": {"bottom": [4], "top": [4]}, "train": {"epochs": 1}}


def scores_of(served: Recommender, *files: Path) -> np.ndarray:
    return np.concatenate(list(predict_files(served, files)))


def csv(path: Path, table: pa.Table, *, header: bool = True) -> Path:
    pa_csv.write_csv(table, path, pa_csv.WriteOptions(include_header=header, quoting_style="none"))
    return path


@pytest.fixture(scope="module")
def served(runs: Callable[..., Any]) -> Recommender:
    return load(runs("min_count").out)


@pytest.fixture(scope="module")
def frame(logs: dict[str, Any]) -> pa.Table:
    return logs["ranks"].test_rows()


@pytest.fixture(scope="module")
def headless(logs: dict[str, Any], cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recommender, Any]:
    """A model of a CSV log without a header, and its schema's raw columns in order."""
    folder = tmp_path_factory.mktemp("headless")
    schema = replace(logs["ranks"].schema, header=False)
    table = logs["ranks"].table.select([f.name for f in schema.fields])
    trained = train(csv(folder / "log.csv", table, header=False), schema=schema, budget="4x", cache=cache, **TINY)
    return trained.recommender, table.slice(0, 200)


# ---------------------------------------------------------------- predict


def test_a_file_scores_as_its_frame(served: Recommender, frame: pa.Table, tmp_path: Path) -> None:
    expected = served.predict(frame)
    assert scores_of(served, csv(tmp_path / "a.csv", frame)).tobytes() == expected.tobytes()
    parquet = load_parquet(served, frame, tmp_path)
    assert scores_of(*parquet).tobytes() == expected.tobytes()


def load_parquet(served: Recommender, frame: pa.Table, folder: Path) -> tuple[Recommender, Path]:
    """The same model over a schema that reads Parquet, and the frame as such a file."""
    import pyarrow.parquet as pq

    pq.write_table(frame, folder / "a.parquet", row_group_size=50)
    schema = replace(served.encoder.schema, format="parquet")
    return replace(served, encoder=replace(served.encoder, schema=schema)), folder / "a.parquet"


def test_blocks_and_files_change_nothing(
    served: Recommender, logs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = logs["ranks"].table
    whole = csv(tmp_path / "whole.csv", table)
    monkeypatch.setattr(portions_module, "SCORE_ROWS", 500)
    expected = served.predict(table)
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 3000)
    assert scores_of(served, whole).tobytes() == expected.tobytes()
    pieces = [csv(tmp_path / f"{i}.csv", table.slice(400 * i, 400)) for i in range(3)]
    assert scores_of(served, *pieces).tobytes() == expected.tobytes()


def test_columns_that_scores_do_not_need_may_be_absent_or_wrong(
    served: Recommender, frame: pa.Table, tmp_path: Path
) -> None:
    expected = served.predict(frame)
    bare = csv(tmp_path / "bare.csv", frame.select(["price", "age", "candidate", "last", "site"]))
    np.testing.assert_array_equal(scores_of(served, bare), expected)
    nonsense = frame.set_column(frame.column_names.index("click"), "click", pa.array(["?"] * len(frame)))
    nonsense = nonsense.set_column(nonsense.column_names.index("hour"), "hour", pa.array(["noon"] * len(frame)))
    np.testing.assert_array_equal(scores_of(served, csv(tmp_path / "odd.csv", nonsense)), expected)


@pytest.mark.parametrize("without", [[], ["click", "w"], ["click", "w", "hour"]])
def test_a_file_without_a_header_may_lack_label_weight_and_time(
    headless: tuple[Recommender, pa.Table], without: list[str], tmp_path: Path
) -> None:
    recommender, table = headless
    file = csv(tmp_path / "log.csv", table.drop_columns(without), header=False)
    np.testing.assert_array_equal(scores_of(recommender, file), recommender.predict(table))


def test_a_criteo_file_may_lack_the_label(tmp_path: Path, cache: Path) -> None:
    log = write_synthetic(tmp_path / "log.tsv", SyntheticSpec(rows=600, scale="1/10000", seed=3)).path
    served = train(log, budget="4x", cache=cache, **TINY).recommender
    bare = tmp_path / "bare.tsv.gz"
    lines = [line.split("\t", 1)[1] for line in log.read_text().splitlines(keepends=True)]
    with gzip.open(bare, "wt") as file:
        file.writelines(lines)
    expected = scores_of(served, log)
    assert len(expected) == 600
    np.testing.assert_array_equal(scores_of(served, bare), expected)
    with pytest.raises(SchemaError, match=r"bare\.tsv\.gz: there must be one column 'label'"):
        evaluate_files(served, [bare])


def test_a_bad_row_is_named_and_none_is_skipped(served: Recommender, frame: pa.Table, tmp_path: Path) -> None:
    file = csv(tmp_path / "bad.csv", frame)
    lines = file.read_text().splitlines(keepends=True)
    price = frame.column_names.index("price")
    values = lines[7].split(",")
    values[price] = "cheap"
    file.write_text("".join([*lines[:7], ",".join(values), *lines[8:]]))
    with pytest.raises(DataError, match=r"bad\.csv, row 7, column price: not a number: 'cheap'.*one order") as refusal:
        scores_of(served, file)
    assert "--bad-rows" not in str(refusal.value), "predict has no such option"
    file.write_text("".join([*lines[:7], "1,2\n", *lines[8:]]))
    with pytest.raises(DataError, match=r"row 7: 2 columns instead of"):
        scores_of(served, file)


def test_files_that_cannot_be_read_are_named(
    served: Recommender, headless: tuple[Recommender, pa.Table], tmp_path: Path
) -> None:
    with pytest.raises(BadFile, match="no such file"):
        scores_of(served, tmp_path / "nowhere.csv")
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(gzip.compress(b"1,2,3\n" * 5000)[:30])
    for recommender in (served, headless[0]):
        with pytest.raises(BadFile, match="truncated gzip"):
            scores_of(recommender, torn)
    (tmp_path / "empty.csv").touch()
    for recommender in (served, headless[0]):
        with pytest.raises(BadFile, match="empty file"):
            scores_of(recommender, tmp_path / "empty.csv")


def test_scores_are_written_so_that_they_come_back_exactly(served: Recommender, frame: pa.Table) -> None:
    expected = served.predict(frame)
    out = io.StringIO()
    write_scores([expected[:50], expected[50:]], out)
    found = np.array([float(line) for line in out.getvalue().splitlines()], dtype=np.float32)
    assert found.tobytes() == expected.tobytes()


# ---------------------------------------------------------------- evaluate


def test_metrics_are_those_of_the_scores(served: Recommender, frame: pa.Table, tmp_path: Path) -> None:
    metrics, skipped = evaluate_files(served, [csv(tmp_path / "a.csv", frame)])
    labels, logits = frame["click"].to_numpy(), served.logits(frame)
    assert metrics == evaluate(labels, logits, frame["w"].to_numpy())
    assert skipped == {}


@pytest.mark.parametrize("header", [True, False])
def test_weight_and_time_may_be_absent(
    header: bool, served: Recommender, frame: pa.Table, headless: tuple[Recommender, pa.Table], tmp_path: Path
) -> None:
    recommender, table = (served, frame) if header else headless
    unweighted = evaluate(table["click"].to_numpy(), recommender.logits(table))
    if header:
        file = csv(tmp_path / "a.csv", table.drop_columns(["w", "hour"]))
        assert evaluate_files(recommender, [file])[0] == unweighted
    else:
        weighted = evaluate(table["click"].to_numpy(), recommender.logits(table), table["w"].to_numpy())
        file = csv(tmp_path / "a.csv", table, header=False)
        assert evaluate_files(recommender, [file])[0] == weighted != unweighted


def test_a_file_without_label_is_refused(served: Recommender, frame: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="column 'click' is missing"):
        evaluate_files(served, [csv(tmp_path / "a.csv", frame.drop_columns(["click"]))])
    unlabelled = replace(served, encoder=replace(served.encoder, schema=served.encoder.schema.unlabelled()))
    with pytest.raises(SchemaError, match="no label"):
        evaluate_files(unlabelled, [csv(tmp_path / "b.csv", frame)])


def test_bad_rows_are_counted_where_that_is_asked_for(served: Recommender, frame: pa.Table, tmp_path: Path) -> None:
    wrong = frame["click"].to_pylist()
    wrong[4] = 2
    bad = frame.set_column(frame.column_names.index("click"), "click", pa.array(wrong))
    file = csv(tmp_path / "a.csv", bad)
    with pytest.raises(BadRow, match="row 5, column click"):
        evaluate_files(served, [file])
    metrics, skipped = evaluate_files(served, [file], bad_rows="skip")
    assert metrics.rows == len(frame) - 1
    assert skipped == {"column click: label not 0 or 1": 1}
