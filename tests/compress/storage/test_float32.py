from __future__ import annotations

import torch

from pocketrec.compress.storage.float32 import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestFloat32(StorageContract):
    storage = STORAGE

    def test_nothing_is_lost(self) -> None:
        rows = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
        assert torch.equal(STORAGE.decode(STORAGE.encode(rows), 7), rows)
