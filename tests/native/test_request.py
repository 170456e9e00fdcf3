from __future__ import annotations

import pytest
import torch

from pocketrec.native import Combining, Storage, program_row
from pocketrec.native.request import Request, bag_shape, check_request, check_value, code_bytes, units

PROGRAM = torch.tensor([program_row(size=4)] * 3)


def request(**changes: object) -> Request:
    ids = torch.zeros((2, 3), dtype=torch.int64)
    return Request([torch.zeros(4, 5)], ids, None, None, PROGRAM, None, [0], 5, 1, 0, 0)._replace(**changes)


def test_the_plain_request_passes() -> None:
    check_request(request())


@pytest.mark.parametrize("storage", [torch.float32, torch.float16, torch.bfloat16])
def test_all_floats_are_storage_float(storage: torch.dtype) -> None:
    check_request(request(regions=[torch.zeros(4, 5, dtype=storage)]))


@pytest.mark.parametrize(
    ("offsets", "batch"),
    [
        (None, 2),
        (torch.arange(7), 2),
        (torch.zeros(1, dtype=torch.int64), 0),
        (torch.zeros((3, 5), dtype=torch.int64), 4),
        (torch.zeros((3, 1), dtype=torch.int64), 0),
    ],
)
def test_bag_shape(offsets: torch.Tensor | None, batch: int) -> None:
    assert bag_shape(torch.zeros((2, 3), dtype=torch.int64), offsets, PROGRAM) == (batch, 3)


@pytest.mark.parametrize("shape", [(2, 5), (3, 0), (3, 5, 1)])
def test_offsets_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    offsets = torch.zeros(shape, dtype=torch.int64)
    with pytest.raises(ValueError, match="offsets"):
        check_request(request(ids=torch.zeros(4, dtype=torch.int64), offsets=offsets))


def test_units_are_rows_or_weights() -> None:
    floats, codes, halves = torch.zeros(7, 5), torch.zeros(7, 72).byte(), torch.zeros(7, 36).byte()
    assert units(floats, Storage.FLOAT, 3, Combining.COPY) == 7
    assert units(codes, Storage.INT8, 3, Combining.COPY) == 7
    assert units(torch.zeros(7), Storage.FLOAT, 3, Combining.CONCAT) == 7
    assert units(codes, Storage.INT8, 3, Combining.CONCAT) == 7 * 64
    assert units(halves, Storage.INT4, 3, Combining.COPY) == 7
    assert units(halves, Storage.INT4, 3, Combining.CONCAT) == 7 * 64


def test_codes_fill_whole_bytes() -> None:
    assert [code_bytes(Storage.INT4, width) for width in (1, 2, 3, 64)] == [1, 1, 2, 32]
    assert [code_bytes(Storage.INT8, width) for width in (1, 2, 3, 64)] == [1, 2, 3, 64]


@pytest.mark.parametrize(("storage", "row_bytes"), [(Storage.INT4, 3 + 4), (Storage.INT8, 5 + 8)])
def test_rows_of_codes_have_exactly_their_bytes(storage: Storage, row_bytes: int) -> None:
    check_request(request(regions=[torch.zeros(4, row_bytes, dtype=torch.uint8)], storages=[storage]))
    for wrong in (row_bytes - 1, row_bytes + 1):
        with pytest.raises(ValueError, match=rf"region 0 must be uint8 \[rows, {row_bytes}\]"):
            check_request(request(regions=[torch.zeros(4, wrong, dtype=torch.uint8)], storages=[storage]))
    with pytest.raises(TypeError, match=rf"region 0 must be uint8 \[rows, {row_bytes}\]"):
        check_request(request(regions=[torch.zeros(4, row_bytes)], storages=[storage]))


@pytest.mark.parametrize(
    ("region", "storage", "fits"),
    [
        (torch.zeros(9), 0, True),
        (torch.zeros(9, 5), 0, False),
        (torch.zeros(2, 72, dtype=torch.uint8), 8, True),
        (torch.zeros(2, 13, dtype=torch.uint8), 8, False),
        (torch.zeros(144, dtype=torch.uint8), 8, False),
        (torch.zeros(2, 36, dtype=torch.uint8), 4, True),
        (torch.zeros(2, 7, dtype=torch.uint8), 4, False),
        (torch.zeros(2, 72, dtype=torch.uint8), 4, False),
    ],
)
def test_regions_of_blocks(region: torch.Tensor, storage: int, fits: bool) -> None:
    blocks = request(regions=[region], storages=[storage], combining=Combining.CONCAT)
    if fits:
        check_request(blocks)
        return
    with pytest.raises(ValueError, match="region 0 must be"):
        check_request(blocks)


def test_check_value_tells_lazily() -> None:
    check_value(True, lambda: pytest.fail("not to be asked"))
    with pytest.raises(ValueError, match="because"):
        check_value(False, lambda: "because")
