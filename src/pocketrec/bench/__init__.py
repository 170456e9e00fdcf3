"""QUESTIONS IN, RESULTS OUT. Reports are made from lines of results alone."""

from __future__ import annotations

from pocketrec.bench.report import write_report

__all__ = ["write_report"]
