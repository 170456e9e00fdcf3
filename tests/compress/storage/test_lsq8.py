from __future__ import annotations

import torch

from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage.lsq8 import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestLsq8(StorageContract):
    storage = STORAGE

    def test_it_is_served_as_int8_is(self) -> None:
        other = STORAGES.get("int8")
        assert (STORAGE.code, STORAGE.dtype) == (other.code, other.dtype)
        assert STORAGE.rows_shape(5, 7) == other.rows_shape(5, 7)
        assert STORAGE.array_shape(130) == other.array_shape(130)


def test_codes_are_signed_and_cut() -> None:
    rows = torch.tensor([[2.0, -2.0, 0.013, 0.0]])
    found = STORAGE.decode(STORAGE.encode_on(rows, torch.tensor([[0.01]])), 4)
    torch.testing.assert_close(found, torch.tensor([[1.27, -1.28, 0.01, 0.0]]))
