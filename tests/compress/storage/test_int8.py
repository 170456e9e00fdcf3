from __future__ import annotations

from pocketrec.compress.storage.int8 import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestInt8(StorageContract):
    storage = STORAGE
