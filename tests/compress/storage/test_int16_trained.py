from __future__ import annotations

from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage.int16_trained import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestInt16Trained(StorageContract):
    storage = STORAGE

    def test_it_is_served_as_int16_is(self) -> None:
        other = STORAGES.get("int16")
        assert (STORAGE.code, STORAGE.dtype) == (other.code, other.dtype)
        assert STORAGE.rows_shape(5, 7) == other.rows_shape(5, 7)
        assert STORAGE.array_shape(130) == other.array_shape(130)
