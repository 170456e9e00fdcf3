"""In what numbers vectors are kept. One storage per file; its name is the file's name."""

from __future__ import annotations

from pocketrec.compress.storage._storage import Storage
from pocketrec.spec.registry import Folder

__all__ = ["STORAGES", "Storage"]

STORAGES: Folder[Storage] = Folder("pocketrec.compress.storage", "storage", "STORAGE")
