"""Criteo logs (Kaggle, Terabyte): label, I1..I13, C1..C26, tab-separated, no header."""

from __future__ import annotations

from pocketrec.spec.schema import criteo

__all__ = ["SCHEMA"]

SCHEMA = criteo()
