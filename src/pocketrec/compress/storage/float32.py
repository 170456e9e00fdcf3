"""IEEE single precision: what tables are trained in.

Bytes: 4 per weight.
Trained in its own type.
"""

from __future__ import annotations

from typing import final

from pocketrec.compress.storage._storage import FloatStorage

__all__ = ["STORAGE", "Float32"]


@final
class Float32(FloatStorage):
    """float32 rows and arrays."""

    name = "float32"
    dtype = "float32"
    relative_error = 0.0
    element_bytes = 4


STORAGE = Float32()
