"""Frappe as it came first, in libFM's form: ``-1 451:1 4149:1 ...``, the k-th pair is the k-th field of `frappe`."""

from __future__ import annotations

from dataclasses import replace

from pocketrec.spec.schemas.frappe import SCHEMA as _CSV

__all__ = ["SCHEMA"]

SCHEMA = replace(_CSV, format="libsvm")
