from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.dataset import Dataset
from pocketrec.data.prepare import prepare
from pocketrec.data.scan import scan
from pocketrec.data.split import Split
from pocketrec.data.statistics import Statistics, Summary
from pocketrec.data.synthetic import SyntheticReport
from pocketrec.spec.errors import BadFile, OptionError
from pocketrec.spec.schema import Schema, criteo
from pocketrec.spec.table import TableSpec


@pytest.fixture
def dataset(tmp_path: Path, write_log: Callable[..., Path], all_kinds: Schema) -> Dataset:
    log = write_log(tmp_path / "log.csv", 200)
    return prepare(log, all_kinds, cache=tmp_path / "cache", split=Split.rows(train=100, validation=50, test=40))


def test_the_numbers_on_the_cover(dataset: Dataset) -> None:
    assert dataset.parts == {"train": 100, "validation": 50, "test": 40}
    assert (dataset.rows, dataset.left_out_rows, dataset.skipped_rows) == (190, 10, {})


def test_tables_have_a_row_per_training_token_and_one_for_unknown(dataset: Dataset) -> None:
    c, h, p = dataset.table_specs(8)
    assert c.rows is not None
    assert c == TableSpec(name="c", rows=len(dataset.counts("c")), dim=8, ids="rank")
    assert h == TableSpec(name="h", rows=None, dim=8, ids="hash63")
    assert p == TableSpec(name="p", rows=6, dim=8, ids="plain")
    assert dataset.counts("c")[0] == 0
    assert dataset.counts("c").sum() == 200  # two fields share the table
    assert dataset.counts("p").sum() == 100
    later = dataset.table_specs(8, "validation")[0].rows
    assert later is not None
    assert later > c.rows
    assert dataset.counts("c", "validation").sum() == 300


def test_ids_beyond_the_rows_of_a_table_are_those_of_later_parts(dataset: Dataset) -> None:
    rows = [spec.rows for spec in (dataset.table_specs(1)[0], dataset.table_specs(1, "validation")[0])]
    (train,) = dataset.batches(("train",), batch_size=100)
    (validation,) = dataset.batches(("validation",), batch_size=100)
    (test,) = dataset.batches(("test",), batch_size=100)
    assert rows[0] is not None
    assert rows[1] is not None
    assert int(train.ids[:, :2].max()) == rows[0] - 1
    assert rows[0] <= int(validation.ids[:, :2].max()) == rows[1] - 1
    assert int(test.ids[:, :2].max()) >= rows[1]
    assert int(train.ids[:, :2].min()) == 1  # training rows have no unknown tokens


def test_counts_are_those_of_the_batches(dataset: Dataset) -> None:
    (train,) = dataset.batches(("train",), batch_size=100)
    assert np.bincount(train.ids[:, :2].reshape(-1).numpy()).tolist() == dataset.counts("c").tolist()
    assert (np.diff(dataset.counts("c")[1:]) <= 0).all()
    (hashed,) = dataset.batches(("train",), batch_size=100, id_spaces={"c": "hash63"})
    assert np.array_equal(hashed.ids[:, 0].numpy(), dataset.tokens("c")[train.ids[:, 0].numpy()])


def test_hashes_of_tokens_of_later_parts_are_their_own(dataset: Dataset) -> None:
    (test,) = dataset.batches(("test",), batch_size=100, id_spaces={"c": "hash63"})
    (ranks,) = dataset.batches(("test",), batch_size=100)
    assert len(np.unique(test.ids[:, :2])) == len(np.unique(ranks.ids[:, :2]))
    assert int(test.ids[:, :2].min()) > 2**31  # and none of them is unknown


def test_statistics_are_of_training_rows_only(dataset: Dataset, tmp_path: Path) -> None:
    got = dataset.statistics()
    assert (got.rows, dataset.statistics("validation").rows) == (100, 150)
    assert got.tables["c"].counts.sum() == 200
    assert dataset.table_stats()["c"].occurrences == 200
    assert dataset.table_stats()["h"].occurrences == 100
    for through in ("train", "validation"):
        assert dataset.summary(through) == dataset.statistics(through).summary()
        assert dataset.table_stats(through) == dataset.statistics(through).table_stats()
    saved = json.loads((dataset.path / "statistics.json").read_text())
    assert Summary.from_json(saved) == dataset.summary()
    assert "100 training rows" in str(dataset.summary())


def test_they_are_the_merged_statistics_of_the_files(criteo_log: SyntheticReport, tmp_path: Path) -> None:
    every = Split(train=1, validation=0, test=0)
    got = prepare(criteo_log.path, criteo(), cache=tmp_path, split=every).statistics()
    blocks = [Statistics.of(columns, criteo()) for columns in scan(criteo_log.path, criteo(), BadRows("fail"))]
    want = blocks[0]
    for block in blocks[1:]:
        want = want.merge(block)
    assert (got.rows, got.positives) == (want.rows, want.positives) == (3000, criteo_log.positives)
    for name, counts in want.tables.items():
        assert np.array_equal(got.tables[name].tokens, counts.tokens)
        assert np.array_equal(got.tables[name].counts, counts.counts)
    assert got.table_stats() == want.table_stats()
    for name, dense in want.dense.items():
        assert got.dense[name].missing == dense.missing
        assert got.dense[name].present.mean == pytest.approx(dense.present.mean, rel=1e-12)


def test_parts_are_read_together_when_they_are_neighbours(dataset: Dataset) -> None:
    assert dataset.batch_count(("train", "validation"), 64) == 3
    assert dataset.batch_count(("train", "validation", "test"), 1000) == 1
    assert sum(len(b.label) for b in dataset.batches(("validation", "train"), batch_size=64, order="shuffle")) == 150
    for wrong in ((), ("train", "test"), ("train", "train"), ("all",)):
        with pytest.raises(OptionError, match="must be neighbours"):
            dataset.batch_count(wrong, 64)  # type: ignore[arg-type]


def test_wrong_names_and_sizes_are_refused_at_once(dataset: Dataset) -> None:
    with pytest.raises(OptionError, match=r"No table called 'c2'. Tables: c, h, p"):
        dataset.counts("c2")
    with pytest.raises(OptionError, match="plain ids and no tokens"):
        dataset.tokens("p")
    with pytest.raises(OptionError, match="batch_size must be 1 or more, got 0"):
        dataset.batches(("train",), batch_size=0)
    with pytest.raises(OptionError, match="through must be"):
        dataset.counts("c", "test")  # type: ignore[arg-type]


def test_opening_reads_no_rows_and_refuses_damage(dataset: Dataset) -> None:
    again = Dataset.open(dataset.path)
    assert again.parts == dataset.parts
    (dataset.path / "ranks.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(BadFile, match=r"ranks.npy"):
        Dataset.open(dataset.path)
    with pytest.raises(BadFile, match="not a cache"):
        Dataset.open(dataset.path.parent)
