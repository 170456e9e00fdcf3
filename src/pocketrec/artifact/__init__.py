"""The disk: a JSON manifest and safetensors, written in one step, mapped, hashed, never pickled.

An artifact is a folder. It holds parts (``tables``, ``nets``, ``vocabulary`` ...), each a set of named tensors, and a
``manifest.json`` with the caller's JSON and the hash of everything.

>>> import tempfile, torch
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "model"
...     parts = {"tables": {"item": torch.ones(5, 4), "map": torch.arange(3)}}
...     _ = save_artifact(path, Manifest(kind="model", content={"dim": 4}), parts)
...     artifact = load_artifact(path)
>>> artifact.manifest.content, artifact.tensor_bytes("tables"), artifact.tensors("tables")["map"]
({'dim': 4}, 104, tensor([0, 1, 2]))
"""

from __future__ import annotations

from pocketrec.artifact.checkpoint import latest_checkpoint, save_checkpoint
from pocketrec.artifact.load import Artifact, load_artifact
from pocketrec.artifact.manifest import Manifest
from pocketrec.artifact.mapped import map_tensors
from pocketrec.artifact.save import save_artifact
from pocketrec.artifact.write import write_tensors

__all__ = [
    "Artifact",
    "Manifest",
    "latest_checkpoint",
    "load_artifact",
    "map_tensors",
    "save_artifact",
    "save_checkpoint",
    "write_tensors",
]
