"""Schemas of well-known logs: one file per log, named after it, defining ``SCHEMA``."""

from __future__ import annotations

from pocketrec.spec.registry import Folder
from pocketrec.spec.schema import Schema

__all__ = ["SCHEMAS"]

SCHEMAS: Folder[Schema] = Folder("pocketrec.spec.schemas", "schema", "SCHEMA")
