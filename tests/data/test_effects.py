"""Effects of ids: the method of moments against draws, and every kind of column."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketrec.data.dataset import Dataset
from pocketrec.data.effects import prior_rows, worths
from pocketrec.data.prepare import prepare
from pocketrec.data.split import Split
from pocketrec.data.synthetic import SyntheticReport
from pocketrec.spec.schema import Field, Schema, criteo


@pytest.mark.parametrize("k", [10.0, 80.0])
def test_moments_find_the_variance_that_was_drawn(k: float) -> None:
    rng, p = np.random.default_rng(0), 0.3
    rates = rng.beta(p * (k - 1), (1 - p) * (k - 1), 4000)  # its variance is p (1 - p) / k
    rows = rng.geometric(0.02, 4000)
    assert prior_rows(rows, rng.binomial(rows, rates).astype(float)) == pytest.approx(k, rel=0.2)


def test_ids_that_do_not_differ_have_no_effects() -> None:
    rows = np.full(3000, 20)
    assert prior_rows(rows, np.random.default_rng(1).binomial(rows, 0.2).astype(float)) > 2000
    for nothing in (np.zeros(5), np.full(5, 7.0)):  # nobody clicked, everybody did
        assert prior_rows(np.full(5, 7), nothing) == math.inf
    assert prior_rows(np.ones(9, np.int64), np.arange(9) % 2.0) == math.inf  # single rows tell nothing
    assert prior_rows(np.empty(0, np.int64), np.empty(0)) == math.inf
    assert prior_rows(np.full(4, 10), np.array([0.0, 0, 10, 10])) == 1.0  # an id tells all


def test_worth_of_planted_tables(criteo_log: SyntheticReport, tmp_path: Path) -> None:
    split = Split.rows(train=len_of(criteo_log) // 2, validation=10, test=10)
    dataset = prepare(criteo_log.path, criteo(), cache=tmp_path, split=split)
    found = worths(dataset)
    assert list(found) == [t.name for t in dataset.table_specs(4)]
    assert all(w.stats == dataset.table_stats()[n] for n, w in found.items())
    assert any(math.isfinite(w.prior_rows) for w in found.values())
    few = worths(dataset, most_rows=1)  # a batch at least
    assert {n: w.stats for n, w in few.items()} == {n: w.stats for n, w in found.items()}


def len_of(log: SyntheticReport) -> int:
    return log.rows


def test_ids_of_bags_and_of_shared_tables_are_counted_one_by_one(tmp_path: Path) -> None:
    """Against counting in plain Python."""
    schema = Schema(
        fields=(
            Field(name="y", kind="label"), Field(name="tags", kind="categorical", many=True),
            Field(name="item", kind="categorical"), Field(name="seen", kind="categorical", many=True, table="item"),
            Field(name="where", kind="categorical", ids="hash63"),
        )
    )  # fmt: skip
    rng, lines, tally = (
        np.random.default_rng(3),
        ["y,tags,item,seen,where"],
        {t: Counter() for t in ("tags", "item", "where")},
    )
    for _ in range(400):
        tags, item, seen, where = (rng.integers(5, size=n).tolist() for n in (rng.integers(4), 1, rng.integers(3), 1))
        click = int(rng.random() < 0.2 + 0.1 * item[0])
        lines.append(f"{click},{'|'.join(map(str, tags))},{item[0]},{'|'.join(map(str, seen))},{where[0]}")
        for table, ids in (("tags", tags), ("item", item + seen), ("where", where)):
            for token in ids:
                tally[table][token, "rows"] += 1
                tally[table][token, "clicks"] += click
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    split = Split.rows(train=400, validation=0, test=0)
    dataset = prepare(tmp_path / "log.csv", schema, cache=tmp_path / "cache", split=split)
    for table, worth in worths(dataset).items():
        pairs = np.array([[tally[table][token, what] for what in ("rows", "clicks")] for token in range(5)])
        assert worth.prior_rows == pytest.approx(prior_rows(pairs[:, 0], pairs[:, 1].astype(float)), rel=1e-9)


def test_bags_and_open_tables_are_counted_id_by_id(
    tmp_path: Path, write_log: Callable[..., Path], all_kinds: Schema
) -> None:
    log = write_log(tmp_path / "log.csv", 200)
    dataset = prepare(log, all_kinds, cache=tmp_path / "cache", split=Split.rows(train=150, validation=25, test=20))
    assert isinstance(dataset, Dataset)
    assert set(worths(dataset)) == {f.table_name for f in all_kinds.tables}
