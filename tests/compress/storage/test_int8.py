from __future__ import annotations

import torch

from pocketrec.compress.storage.int8 import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestInt8(StorageContract):
    storage = STORAGE

    def test_a_row_by_hand(self) -> None:
        """Codes, then scale, then bias, as float32 in little endian."""
        stored = STORAGE.encode(torch.tensor([[-1.0, 0.0, 254.0, 0.4]]))
        assert stored[0, :4].tolist() == [0, 1, 255, 1]
        assert stored[0, 4:].view(torch.float32).tolist() == [1.0, -1.0]

    def test_rows_are_those_of_torchs_quantised_bags(self) -> None:
        rows = torch.randn(20, 16, generator=torch.Generator().manual_seed(0))
        stored = STORAGE.encode(rows)
        theirs = torch.ops.quantized.embedding_bag_byte_prepack(rows)
        assert stored.shape == theirs.shape
        off = (stored[:, :16].int() - theirs[:, :16].int()).abs()
        assert off.max() <= 1, "their rounding differs in the last place"
        torch.testing.assert_close(stored[:, 16:].view(torch.float32), theirs[:, 16:].view(torch.float32))
        ids, offsets = torch.tensor([3, 4, 19]), torch.tensor([0, 2])
        read = torch.ops.quantized.embedding_bag_byte_rowwise_offsets(
            stored, ids, offsets, False, 0, False, None, None, False
        )
        decoded = STORAGE.decode(stored, 16)
        torch.testing.assert_close(read, torch.stack([decoded[3] + decoded[4], decoded[19]]))

    def test_the_ends_of_a_row_are_exact(self) -> None:
        rows = torch.randn(50, 9, generator=torch.Generator().manual_seed(1))
        back = STORAGE.decode(STORAGE.encode(rows), 9)
        torch.testing.assert_close(back.amin(dim=1), rows.amin(dim=1))
        torch.testing.assert_close(back.amax(dim=1), rows.amax(dim=1))
