from __future__ import annotations

import pytest
import torch

from pocketrec.native import Combining, Storage, program_row
from pocketrec.native.request import Request, bag_shape, check_request, check_value, units

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
    floats, codes = torch.zeros(7, 5), torch.zeros(7, 72, dtype=torch.uint8)
    assert units(floats, Storage.FLOAT, Combining.COPY) == 7
    assert units(codes, Storage.INT8, Combining.COPY) == 7
    assert units(torch.zeros(7), Storage.FLOAT, Combining.CONCAT) == 7
    assert units(codes, Storage.INT8, Combining.CONCAT) == 7 * 64


@pytest.mark.parametrize(
    ("region", "storage", "fits"),
    [
        (torch.zeros(9), 0, True),
        (torch.zeros(9, 5), 0, False),
        (torch.zeros(2, 72, dtype=torch.uint8), 8, True),
        (torch.zeros(2, 13, dtype=torch.uint8), 8, False),
        (torch.zeros(144, dtype=torch.uint8), 8, False),
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
