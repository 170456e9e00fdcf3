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
        "alpt", "bfloat16", "bfloat16_trained", "float16", "float16_trained", "float32", "int16", "int16_trained",
        "int4", "int4_qat", "int4_table", "int8", "int8_trained", "lsq", "lsq8",
    ]  # fmt: skip
    with pytest.raises(UnknownName, match="Did you mean 'int8'"):
        STORAGES.get("int9")


def test_codes_and_blocks_are_those_of_the_ops() -> None:
    stores = {Code.SPARSE8, Code.SPARSE16, Code.ENTRIES}  # of numbers, which no row is kept in
    assert {STORAGES.get(name).code for name in STORAGES.names()} == set(Code) - stores
    assert ARRAY_BLOCK == WEIGHTS_PER_SCALE


@pytest.mark.parametrize(
    ("name", "row_bytes", "array_bytes"),
    [("float32", 64, 400), ("float16", 32, 200), ("bfloat16", 32, 200), ("int8", 24, 144), ("int4", 12, 72)],
)
def test_bytes_of_rows_and_arrays(name: str, row_bytes: int, array_bytes: int) -> None:
    storage = STORAGES.get(name)
    assert storage.row_bytes(16) == row_bytes
    stored = storage.encode_array(torch.zeros(100))
    assert stored.numel() * stored.element_size() == array_bytes
    assert storage.most_weights(array_bytes) == (128 if storage.code else 100)


@pytest.mark.parametrize(("name", "error"), [("int8", 1e-4), ("int4", 1e-3)])
def test_the_end_of_an_array_does_not_widen_its_scale(name: str, error: float) -> None:
    """65 weights near 5: filling the second block up with zeros would cost it half of its precision and more."""
    weights = 5 + torch.linspace(0, 0.01, 65)
    storage = STORAGES.get(name)
    back = storage.decode_array(storage.encode_array(weights), 65)
    assert (back - weights).abs().max() < error


@pytest.mark.parametrize("name", STORAGES.names())
@pytest.mark.parametrize("width", [1, 2, 3, 5, 6])
def test_a_single_row_of_any_width_is_decoded(name: str, width: int) -> None:
    """Its scale may lie where no float may: torch takes the slice for contiguous, however it lies."""
    storage, rows = STORAGES.get(name), torch.linspace(-1, 1, 3 * width).reshape(3, width)
    stored = storage.encode(rows)
    for number in range(3):
        one = storage.decode(stored[number : number + 1], width)
        assert torch.equal(one[0], storage.decode(stored, width)[number])
