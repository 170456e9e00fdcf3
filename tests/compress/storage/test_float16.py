from __future__ import annotations

from pocketrec.compress.storage.float16 import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestFloat16(StorageContract):
    storage = STORAGE
