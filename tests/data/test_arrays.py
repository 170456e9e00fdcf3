from __future__ import annotations

import pyarrow as pa

from pocketrec.data.arrays import one_array


def test_any_number_of_chunks_is_one_array() -> None:
    for chunks in ([], [[1]], [[1], [], [2, 3]]):
        found = one_array(pa.chunked_array(chunks, pa.int8()))
        assert isinstance(found, pa.Array)
        assert (found.type, found.to_pylist()) == (pa.int8(), [n for chunk in chunks for n in chunk])
    assert one_array(pa.array([1])).to_pylist() == [1]
