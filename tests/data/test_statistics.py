from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.columns import Columns, read_columns
from pocketrec.data.statistics import DenseCounts, Statistics, Summary, TokenCounts
from pocketrec.native.hash63 import hash_tokens
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import DenseTransform, Field, Schema

SCHEMA = Schema(
    fields=(
        Field(name="y", kind="label"),
        Field(name="d", kind="dense", transform=DenseTransform(log1p=True)),
        Field(name="a", kind="categorical"),
        Field(name="b", kind="categorical", table="a"),
        Field(name="p", kind="categorical", ids="plain", rows=5),
    )
)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.none() | st.integers(-3, 50),
        st.sampled_from(["x", "y", "z", ""]),
        st.text("xq", max_size=2),
        st.integers(0, 4),
    ),
    max_size=30,
)
Row = tuple[int, int | None, str, str, int]


def columns(rows: list[Row]) -> Columns:
    names = [f.name for f in SCHEMA.fields]
    kinds = [pa.int8(), pa.int64(), pa.string(), pa.string(), pa.int64()]
    table = pa.table({n: pa.array([row[i] for row in rows], kinds[i]) for i, n in enumerate(names)})
    return read_columns(table, SCHEMA, file="log", rows=np.arange(len(rows)) + 1, bad=BadRows("fail"))


def plain(statistics: Statistics) -> object:
    tables = {name: (t.tokens.tolist(), t.counts.tolist()) for name, t in statistics.tables.items()}
    return statistics.rows, statistics.positives, tables


@given(ROWS, ROWS, ROWS)
def test_statistics_of_heaps_merge_into_those_of_all(a: list[Row], b: list[Row], c: list[Row]) -> None:
    one, two, three = (Statistics.of(columns(rows), SCHEMA) for rows in (a, b, c))
    whole = Statistics.of(columns(a + b + c), SCHEMA)
    for merged in (one.merge(two).merge(three), one.merge(two.merge(three))):
        assert plain(merged) == plain(whole)
        assert merged.dense["d"].missing == whole.dense["d"].missing
        assert merged.dense["d"].present.mean == pytest.approx(whole.dense["d"].present.mean, abs=1e-9)
        assert merged.dense["d"].present.std == pytest.approx(whole.dense["d"].present.std, abs=1e-6)


def test_what_is_counted_by_hand() -> None:
    rows: list[Row] = [(1, None, "x", "x", 0), (0, 0, "x", "", 4), (0, 9, "", "y", 4), (1, -3, "z", "x", 4)]
    got = Statistics.of(columns(rows), SCHEMA)
    stats = got.table_stats()
    assert stats["a"].histogram == ((4, 1), (2, 1), (1, 2))  # x four times, missing twice, y and z once
    assert stats["a"].missing == 2
    assert stats["p"].histogram == ((3, 1), (1, 1))
    summary = got.summary()
    a = summary.tables[0]
    assert (a.distinct, a.occurrences, a.singleton_fraction, a.missing_fraction) == (4, 8, 0.5, 0.25)
    assert (a.top_fraction, a.top_percent_fraction) == (0.5, 0.5)
    d = summary.dense[0]
    assert d.missing_fraction == 0.25
    assert (d.low, d.high) == (0.0, pytest.approx(np.log(10), rel=1e-6))
    assert (summary.rows, summary.positives) == (4, 2)


def test_a_summary_survives_json_and_prints() -> None:
    rng = np.random.default_rng(0)
    rows: list[Row] = [(int(i % 4 == 0), i % 9, str(rng.zipf(1.5)), "", i % 5) for i in range(400)]
    summary = Statistics.of(columns(rows), SCHEMA).summary()
    assert Summary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
    said = str(summary)
    assert "400 training rows, 25.00% positive" in said
    assert "Zipf" in said
    assert len({len(line) for line in said.splitlines() if line.startswith(("a ", "p ", "table"))}) == 1
    with pytest.raises(OptionError, match="not a summary"):
        Summary.from_json({"rows": 1})


def test_without_rows_there_is_nothing_to_divide_by() -> None:
    summary = Statistics.of(columns([]), SCHEMA).summary()
    assert summary.tables[0].missing_fraction == 0.0
    assert summary.dense[0].mean is None
    assert json.loads(json.dumps(summary.to_json(), allow_nan=False))["rows"] == 0
    assert "0 training rows" in str(summary)


def test_dense_counts_survive_json() -> None:
    for counts in (DenseCounts(), Statistics.of(columns([(1, 5, "", "", 0), (1, None, "", "", 0)]), SCHEMA).dense["d"]):
        assert DenseCounts.from_json(json.loads(json.dumps(counts.to_json(), allow_nan=False))) == counts


def test_other_fields_do_not_merge() -> None:
    one = Statistics.of(columns([]), SCHEMA)
    with pytest.raises(OptionError, match="cannot be merged"):
        one.merge(Statistics(rows=0, positives=0, tables={}, dense={}))


def test_token_counts_add_up_what_comes_twice() -> None:
    got = TokenCounts.of(np.array([5, 3, 5, 9]), np.array([1, 2, 3, 0]))
    assert (got.tokens.tolist(), got.counts.tolist(), got.missing) == ([3, 5], [2, 4], 0)
    empty = int(hash_tokens(pa.array([""]))[0])
    assert TokenCounts.of(np.array([1, empty]), np.array([1, 8])).missing == 8


def test_values_of_bags_are_counted() -> None:
    schema = Schema(
        fields=(
            Field(name="one", kind="categorical"),
            Field(name="bag", kind="categorical", many=True, table="one"),
            Field(name="ids", kind="categorical", many=True, ids="plain", rows=5),
        )
    )
    table = pa.table({"one": ["a", "b"], "bag": [["a", "c", "a"], []], "ids": ["4|4", "0"]})
    got = Statistics.of(read_columns(table, schema, file="log", rows=np.arange(2) + 1, bad=BadRows("fail")), schema)
    assert sorted(got.tables["one"].counts.tolist()) == [1, 1, 3]
    assert (got.tables["ids"].tokens.tolist(), got.tables["ids"].counts.tolist()) == ([0, 4], [1, 2])
    assert got.table_stats()["one"].occurrences == 5
    assert got.tables["one"].missing == 0
