"""IEEE half precision: 11 bits of mantissa, largest value 65504 (larger ones are clamped).

Bytes: 2 per weight.
Trained as float32, rounded to nearest when frozen.
"""

from __future__ import annotations

from pocketrec.compress.storage._storage import FloatStorage

__all__ = ["STORAGE", "Float16"]


class Float16(FloatStorage):
    """float16 rows and arrays."""

    name = "float16"
    dtype = "float16"
    relative_error = 2.0**-11
    element_bytes = 2


STORAGE = Float16()
