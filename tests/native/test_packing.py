from __future__ import annotations

import pytest
import torch

from pocketrec.native import Storage, program_row
from pocketrec.native.packing import contiguous, pack, pack_ids, require_cpu
from pocketrec.native.request import Request
from pocketrec.native.threads import use_threads

PROGRAM = torch.tensor([program_row(size=4)] * 3)
IDS = torch.zeros((2, 3), dtype=torch.int64)


def test_numbers_stand_where_the_kernels_read_them() -> None:
    regions = [torch.zeros(4, 5), torch.zeros(6, 5).half(), torch.zeros(7, 5).bfloat16(), torch.zeros(8, 13).byte(),
               torch.zeros(9, 7).byte()]  # fmt: skip
    maps = torch.zeros(9, dtype=torch.int32)
    call = Request(regions, IDS, None, None, PROGRAM, maps, [0, 0, 0, Storage.INT8, Storage.INT4], 5, 1, 2, 0)
    with use_threads(3):
        data, rows, codes, numbers = pack(call)
    assert data == [region.data_ptr() for region in regions]
    assert rows == [4, 6, 7, 8, 9]
    assert codes == [0, 1, 2, 8, 4]
    assert numbers == [IDS.data_ptr(), 2, 3, 0, 0, 0, PROGRAM.data_ptr(), 3, maps.data_ptr(), 4, 9, 5, 1, 2, 0, 3]


@pytest.mark.parametrize("shape", [(13,), (3, 5)])
def test_both_forms_of_offsets_become_starts_and_a_stride(shape: tuple[int, ...]) -> None:
    ids, offsets = torch.zeros(20, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
    numbers = pack_ids(ids, offsets, PROGRAM, None)
    assert numbers[1:5] == [4, 20, offsets.data_ptr(), 4 if shape == (13,) else 5]


def test_the_address_of_weights_is_packed() -> None:
    ids, weights = torch.zeros(3, dtype=torch.int64), torch.ones(3)
    call = Request([torch.zeros(4, 5)], ids, torch.arange(4), weights, PROGRAM, None, [0], 5, 1, 0, 1)
    assert pack(call)[3][5] == weights.data_ptr()


def test_contiguous_copies_only_what_is_not() -> None:
    plain = Request([], IDS, None, None, PROGRAM, None, [], 5, 1, 0, 0)
    assert contiguous(plain) is plain
    strided = plain._replace(
        ids=IDS.t().contiguous().t(),
        offsets=torch.arange(8)[::2],
        weights=torch.ones(8)[::2],
        maps=torch.arange(6)[::3],
    )
    copied = contiguous(strided)
    for name in ("ids", "offsets", "weights", "program", "maps"):
        assert getattr(copied, name).is_contiguous()
        assert torch.equal(getattr(copied, name), getattr(strided, name))
    assert copied.program is PROGRAM


def test_tensors_on_two_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="one device, found cpu and meta"):
        require_cpu([PROGRAM, None, torch.zeros(4, 3, device="meta")])
