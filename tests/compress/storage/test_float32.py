from __future__ import annotations

from pocketrec.compress.storage.float32 import STORAGE
from pocketrec.testing.storage_contract import StorageContract


class TestFloat32(StorageContract):
    storage = STORAGE
