from __future__ import annotations

import torch

from pocketrec.compress.storage.float16 import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestFloat16(StorageContract):
    storage = STORAGE

    def test_rounds_to_nearest(self) -> None:
        ulp = 2.0**-10
        rows = torch.tensor([[1 + 0.49 * ulp, 1 + 0.51 * ulp, -1 - 0.51 * ulp]])
        assert STORAGE.encode(rows)[0].tolist() == [1, 1 + ulp, -1 - ulp]

    def test_what_is_too_large_is_clamped_and_not_infinite(self) -> None:
        assert STORAGE.encode(torch.tensor([[1e6, -1e6, 65504.0]]))[0].tolist() == [65504, -65504, 65504]
