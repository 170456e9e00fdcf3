"""How preparing tells where it is."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "silent"]

Progress = Callable[[str, int, int], None]
"""Called with the stage (``read``, ``rank``, ``write``), what is done, and the whole of it (0: not known)."""


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
