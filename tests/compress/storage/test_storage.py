"""What is the same for all number formats. What every one must do is in the contract suite."""

from __future__ import annotations

import pytest
import torch

from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage._storage import ARRAY_BLOCK
from pocketrec.native.program import WEIGHTS_PER_SCALE
from pocketrec.native.program import Storage as Code
from pocketrec.spec.errors import UnknownName


def test_the_storages() -> None:
    assert STORAGES.names() == [
        "bfloat16", "bfloat16_trained", "float16", "float16_trained", "float32", "int8", "int8_trained",
    ]  # fmt: skip
    with pytest.raises(UnknownName, match="Did you mean 'int8'"):
        STORAGES.get("int4")


def test_codes_and_blocks_are_those_of_the_ops() -> None:
    assert {STORAGES.get(name).code for name in STORAGES.names()} == {Code.FLOAT, Code.INT8}
    assert ARRAY_BLOCK == WEIGHTS_PER_SCALE


@pytest.mark.parametrize(
    ("name", "row_bytes", "array_bytes"),
    [("float32", 64, 400), ("float16", 32, 200), ("bfloat16", 32, 200), ("int8", 24, 144)],
)
def test_bytes_of_rows_and_arrays(name: str, row_bytes: int, array_bytes: int) -> None:
    storage = STORAGES.get(name)
    assert storage.row_bytes(16) == row_bytes
    stored = storage.encode_array(torch.zeros(100))
    assert stored.numel() * stored.element_size() == array_bytes
    assert storage.most_weights(array_bytes) == (128 if name == "int8" else 100)


def test_the_end_of_an_array_does_not_widen_its_scale() -> None:
    """65 weights near 5: filling the second block up with zeros would cost it half of its precision and more."""
    weights = 5 + torch.linspace(0, 0.01, 65)
    storage = STORAGES.get("int8")
    back = storage.decode_array(storage.encode_array(weights), 65)
    assert (back - weights).abs().max() < 1e-4
