from __future__ import annotations

import numpy as np
import pytest
import torch

from pocketrec.artifact.dtypes import CODES, ITEM_BYTES, NAMES, TORCH, name_of
from pocketrec.spec.errors import ArtifactError
from pocketrec.spec.sizing import DTYPE_BYTES


def test_the_tables_agree_with_each_other_and_with_torch() -> None:
    assert set(CODES) == set(ITEM_BYTES) == set(TORCH) == set(NAMES.values())
    assert set(DTYPE_BYTES) <= set(CODES)
    for name, dtype in TORCH.items():
        assert dtype.itemsize == ITEM_BYTES[name]
        assert name_of(torch.empty(0, dtype=dtype), "it") == name


def test_numpy() -> None:
    for name in ("float64", "float32", "float16", "uint8", "int8", "int32", "int64"):
        assert name_of(np.empty(0, dtype=name), "it") == name


@pytest.mark.parametrize(
    "value",
    [
        torch.empty(1, dtype=torch.bool),
        torch.empty(1, dtype=torch.complex64),
        np.array(["text"]),
        np.array([object()]),
        np.empty(1, dtype=">f4"),
        np.empty(1, dtype=np.uint64),
        np.empty(1, dtype=[("a", "f4")]),
    ],
    ids=lambda value: str(value.dtype),
)
def test_other_types_are_refused(value: torch.Tensor | np.ndarray) -> None:
    with pytest.raises(ArtifactError, match=r"it holds .* an artifact holds float64, .* Convert"):
        name_of(value, "it")
