"""How the frozen artifacts of version 1 were made. Run once, for the record; they are never made again.

Usage: python tests/artifact/golden/make_v1.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from pocketrec.artifact import Manifest, save_artifact, save_checkpoint


def numbers(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    """Numbers -50 .. 50 (0 .. 100 where there is no sign) that every type holds exactly."""
    count = int(np.prod(shape))
    low = 0 if dtype == torch.uint8 else -50
    return (torch.arange(seed, seed + count) * 37 % 101 + low).to(dtype).reshape(shape)


def model_parts() -> dict[str, dict[str, torch.Tensor]]:
    """A table of 37 x 4 in several storages, nets, a vocabulary, and a part without tensors."""
    return {
        "tables": {
            "item.rows": numbers((37, 4), torch.float32, 1),
            "item.half": numbers((37, 4), torch.float16, 2),
            "item.brain": numbers((37, 4), torch.bfloat16, 3),
            "item.codes": numbers((37, 4), torch.int8, 4),
            "item.packed": numbers((37, 2), torch.uint8, 5),
            "none": torch.empty(0, 4),
        },
        "nets": {"bottom.0.weight": numbers((3, 5), torch.float32, 6), "step": torch.tensor(7.0, dtype=torch.float64)},
        "vocabulary": {
            "keys": torch.arange(9) * 2**55 + 12_345,
            "ranks": numbers((9,), torch.int32, 7),
        },
        "extra": {},
    }


MODEL_CONTENT = {
    "text": 'Größe — 大小 \U0001f30d "quoted" \\ \n',
    "numbers": [0, -1, 2**62, 0.1, 1e-300, -0.0, True, False, None],
    "nested": {"b": {"a": [[], {}]}, "a": ""},
}
CHECKPOINT_CONTENT = {"step": 14_000, "seed": 3}


def main(folder: Path) -> None:
    """Write the model (its tables in several files) and a folder of checkpoints."""
    save_artifact(
        folder / "model",
        Manifest(kind="model", content=MODEL_CONTENT),
        model_parts(),
        file_limit_bytes=5500,
        chunk_bytes=4096,
    )
    parts = {"nets": {"w": numbers((5,), torch.float32, 8)}}
    save_checkpoint(folder / "checkpoints", 14_000, CHECKPOINT_CONTENT, parts)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
