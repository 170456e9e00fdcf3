from __future__ import annotations

import torch

from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage.int16 import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestInt16(StorageContract):
    storage = STORAGE

    def test_a_row_by_hand(self) -> None:
        """Codes, the lower byte first, then scale, then bias, as float32 in little endian."""
        stored = STORAGE.encode(torch.tensor([[-1.0, 0.0, 65534.0, 257.4]]))
        assert stored[0, :8].tolist() == [0, 0, 1, 0, 255, 255, 2, 1]
        assert stored[0, 8:].view(torch.float32).tolist() == [1.0, -1.0]
        assert STORAGE.row_bytes(16) == 40

    def test_the_ends_of_a_row_are_exact(self) -> None:
        rows = torch.randn(50, 9, generator=torch.Generator().manual_seed(1))
        back = STORAGE.decode(STORAGE.encode(rows), 9)
        torch.testing.assert_close(back.amin(dim=1), rows.amin(dim=1))
        torch.testing.assert_close(back.amax(dim=1), rows.amax(dim=1))

    def test_it_is_nearer_than_float16_where_numbers_lie_together(self) -> None:
        rows = 1 + 0.1 * torch.randn(50, 16, generator=torch.Generator().manual_seed(2))
        off = {name: _off(name, rows) for name in ("int16", "float16", "int8")}
        assert off["int16"] < 0.1 * off["float16"] < 0.1 * off["int8"]


def _off(name: str, rows: torch.Tensor) -> float:
    storage = STORAGES.get(name)
    return float((storage.decode(storage.encode(rows), rows.shape[1]) - rows).abs().max())
