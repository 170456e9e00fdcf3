"""Measures, found by the names of their files."""

from __future__ import annotations

from pocketrec.metrics.measure import Metric
from pocketrec.spec.registry import Folder

__all__ = ["MEASURES"]

MEASURES: Folder[Metric] = Folder("pocketrec.metrics.measures", "measure", "METRIC")
