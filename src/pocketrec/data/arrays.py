"""Columns of Arrow tables as single arrays."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["one_array"]


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """All chunks as one array, also where there are none (for which combine_chunks gives chunks in some versions)."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column
