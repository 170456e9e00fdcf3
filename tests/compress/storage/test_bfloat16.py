from __future__ import annotations

import torch

from pocketrec.compress.storage.bfloat16 import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestBfloat16(StorageContract):
    storage = STORAGE

    def test_rounds_to_nearest(self) -> None:
        ulp = 2.0**-7
        rows = torch.tensor([[1 + 0.49 * ulp, 1 + 0.51 * ulp, -1 - 0.51 * ulp]])
        assert STORAGE.encode(rows)[0].tolist() == [1, 1 + ulp, -1 - ulp]

    def test_the_range_is_that_of_float32(self) -> None:
        assert STORAGE.encode(torch.tensor([[1e30, 1e-30]]))[0].float().log10().round().tolist() == [30, -30]
        assert torch.isfinite(STORAGE.encode(torch.tensor([[3.4028235e38]]))).all()
