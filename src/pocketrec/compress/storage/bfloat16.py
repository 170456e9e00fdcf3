"""The upper half of a float32: its range, 8 bits of mantissa.

Bytes: 2 per weight.
Trained as float32, rounded to nearest when frozen.
"""

from __future__ import annotations

from pocketrec.compress.storage._storage import FloatStorage

__all__ = ["STORAGE", "Bfloat16"]


class Bfloat16(FloatStorage):
    """bfloat16 rows and arrays."""

    name = "bfloat16"
    dtype = "bfloat16"
    relative_error = 2.0**-8
    element_bytes = 2


STORAGE = Bfloat16()
