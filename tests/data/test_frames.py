from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from pocketrec.data.frames import as_table
from pocketrec.spec.errors import SchemaError

LISTS = {"d": [1.5, None], "c": ["x", None], "i": [1, 2]}
WANT = [{"d": 1.5, "c": "x", "i": 1}, {"d": None, "c": None, "i": 2}]


@pytest.mark.parametrize(
    "frame",
    [LISTS, pa.table(LISTS), pa.RecordBatch.from_pydict(LISTS), pd.DataFrame(LISTS)],
    ids=["dict", "table", "batch", "pandas"],
)
def test_frames_of_every_kind_are_the_same_rows(frame: object) -> None:
    assert as_table(frame).select(["d", "c", "i"]).to_pylist() == WANT


def test_polars_frames_too() -> None:
    polars = pytest.importorskip("polars")
    assert as_table(polars.DataFrame(LISTS)).to_pylist() == WANT


def test_nan_in_lists_and_pandas_is_missing() -> None:
    assert as_table({"d": [float("nan"), 1.0]})["d"].null_count == 1
    assert as_table(pd.DataFrame({"d": [float("nan"), 1.0]}))["d"].null_count == 1


@pytest.mark.parametrize("wrong", [7, "text", [1, 2], {"a": [1], "b": [1, 2]}, {"a": [1, "x"]}, None])
def test_what_is_no_frame_is_refused(wrong: object) -> None:
    with pytest.raises(SchemaError, match="cannot be read as rows"):
        as_table(wrong)
