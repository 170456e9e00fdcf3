from __future__ import annotations

from pocketrec.compress.storage.bfloat16 import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestBfloat16(StorageContract):
    storage = STORAGE
