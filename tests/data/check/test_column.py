from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.check.column import ColumnCheck, Gatherer
from pocketrec.data.columns import read_columns
from pocketrec.spec.schema import Field, Schema


def gathered(field: Field, *blocks: list[object]) -> ColumnCheck:
    schema = Schema(fields=(field, Field(name="_", kind="dense")))
    gatherer = Gatherer(field)
    for block in blocks:
        table = pa.table({field.name: block, "_": [0.0] * len(block)})
        rows = np.arange(len(block)) + 1
        gatherer.take(read_columns(table, schema, file="f", rows=rows, bad=BadRows("fail")))
    return gatherer.found()


def test_tokens() -> None:
    found = gathered(Field(name="c", kind="categorical"), ["a", "b", "a", ""], ["a", None, "c", "a"])
    assert (found.distinct, found.distinct_error_fraction, found.missing_fraction) == (3, 0.0, 0.25)
    assert (found.top_fraction, found.top_ten_fraction) == (4 / 6, 1.0)
    assert found.singleton_fraction == pytest.approx(2 / 3)
    assert (found.low, found.mean, found.values_mean) == (None, None, None)


def test_plain_ids() -> None:
    found = gathered(Field(name="p", kind="categorical", ids="plain", rows=9), [1, 2, 8], [1, 1, 1])
    assert (found.distinct, found.missing_fraction, found.top_fraction) == (3, 0.0, 4 / 6)


@pytest.mark.parametrize("ids", ["rank", "hash63"])
def test_bags(ids: str) -> None:
    field = Field(name="g", kind="categorical", many=True, ids=ids)  # type: ignore[arg-type]
    found = gathered(field, ["a|b", "", "c"], ["a|b|a|d", None, "a"])
    assert (found.values_low, found.values_mean, found.values_high) == (1, 2.0, 4)
    assert (found.distinct, found.missing_fraction) == (4, 2 / 6)
    assert found.top_fraction == 4 / 8


def test_bags_of_plain_ids() -> None:
    field = Field(name="g", kind="categorical", many=True, ids="plain", rows=10)
    found = gathered(field, ["1|2", "", "9"])
    assert (found.distinct, found.values_high, found.missing_fraction) == (3, 2, pytest.approx(1 / 3))


def test_numbers() -> None:
    found = gathered(Field(name="d", kind="dense"), [1.0, None, 3.0], [5.0, 7.0])
    assert (found.low, found.mean, found.high, found.missing_fraction) == (1.0, 4.0, 7.0, 0.2)
    assert found.std == pytest.approx(5**0.5)
    assert found.distinct is None


def test_labels_and_times() -> None:
    assert gathered(Field(name="y", kind="label"), [0, 1, 1, 1]).mean == 0.75
    assert gathered(Field(name="y", kind="label", threshold=4), [1, 4, 5, 2]).mean == 0.5
    time = gathered(Field(name="t", kind="time", clock="iso8601"), ["1970-01-01T00:00:01"], ["1970-01-01T00:00:00"])
    assert (time.low, time.high, time.mean) == (0, 1_000_000, None)


def test_no_rows() -> None:
    for kind in ("categorical", "dense", "label", "time", "weight"):
        found = gathered(Field(name="x", kind=kind))  # type: ignore[arg-type]
        assert (found.missing_fraction, found.low, found.mean) == (0.0, None, None)
