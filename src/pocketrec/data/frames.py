"""Take the frames that people have: pyarrow, pandas, polars, dicts of lists."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pocketrec.spec.errors import SchemaError

__all__ = ["as_table"]


def as_table(frame: Any) -> pa.Table:
    """A pyarrow table of the frame's columns. In pandas frames and lists NaN is a missing value, as it is there.

    Raises:
        SchemaError: for anything that is not a frame, or lists of unequal length or mixed types.
    """
    if isinstance(frame, pa.Table):
        return frame
    try:
        if isinstance(frame, dict):
            return pa.table({name: pa.array(values, from_pandas=True) for name, values in frame.items()})
        # pandas, polars, pyarrow record batches and others hand their columns over by this protocol.
        return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as wrong:
        said = " ".join(str(wrong).split())
        raise SchemaError(
            f"This cannot be read as rows: {said}. Give a pyarrow table, a pandas or polars frame, or a dict of lists."
        ) from wrong
