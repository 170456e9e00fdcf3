"""Models take a bank and return logits; they never ask which method is inside. One model per file."""

from __future__ import annotations

from pocketrec.models._config import ModelConfig
from pocketrec.models._model import Model
from pocketrec.spec.registry import Folder

__all__ = ["MODELS", "Model", "ModelConfig"]

MODELS: Folder[type[Model]] = Folder("pocketrec.models", "model", "MODEL")
