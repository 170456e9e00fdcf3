"""The element types that an artifact may hold: our name, the safetensors code, the torch dtype."""

from __future__ import annotations

import numpy as np
import torch

from pocketrec.spec.errors import ArtifactError
from pocketrec.spec.sizing import DTYPE_BYTES

__all__ = ["CODES", "ITEM_BYTES", "NAMES", "TORCH", "name_of"]

# float64 is not a type of tables, but optimizers and running statistics use it.
ITEM_BYTES = {**DTYPE_BYTES, "float64": 8}

CODES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "uint8": "U8",
    "int8": "I8",
    "int32": "I32",
    "int64": "I64",
}
NAMES = {code: name for name, code in CODES.items()}
TORCH: dict[str, torch.dtype] = {name: getattr(torch, name) for name in CODES}
_NAME_OF_TORCH = {dtype: name for name, dtype in TORCH.items()}


def name_of(value: torch.Tensor | np.ndarray, what: str) -> str:
    """Our name of a tensor's or an array's element type.

    Raises:
        ArtifactError: artifacts do not hold this type (bool, complex, strings, objects, foreign byte order ...).
    """
    if isinstance(value, torch.Tensor):
        name, kind = _NAME_OF_TORCH.get(value.dtype), str(value.dtype)
    else:
        kind = value.dtype.str
        name = value.dtype.name if value.dtype.isnative and value.dtype.name in CODES else None
    if name is None:
        raise ArtifactError(f"{what} holds {kind}; an artifact holds {', '.join(CODES)}. Convert it before saving.")
    return name
