"""pocketrec: the best recommender that fits into a number of bytes.

Importing this package is lean: no torch, no compiled part. What it offers is imported at first use.

* ``fit(data, budget=...)`` chooses method, storage and size for each table within the budget.
* ``train(data, budget=...)`` trains a recommender whose tables hold at most the budget.
* ``load(path)`` opens a trained one; its ``predict(frame)`` scores raw rows.
* ``size(tables, budget, ...)`` says what a method would hold, before any tensor exists.
* ``EmbeddingBag(num_embeddings, embedding_dim, method=..., budget=...)`` stands in for ``torch.nn.EmbeddingBag``.
* ``EmbeddingBagCollection([EmbeddingBagConfig(...), ...], method=..., budget=...)`` stands in for torchrec's.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketrec.bench.fitting import fit as fit
    from pocketrec.compress import size as size
    from pocketrec.compress.embedding_bag import EmbeddingBag as EmbeddingBag
    from pocketrec.compress.embedding_bag_collection import EmbeddingBagCollection as EmbeddingBagCollection
    from pocketrec.compress.embedding_bag_collection import EmbeddingBagConfig as EmbeddingBagConfig
    from pocketrec.pipeline import load as load
    from pocketrec.pipeline.train import train as train

    __version__: str

__all__ = [
    "EmbeddingBag",
    "EmbeddingBagCollection",
    "EmbeddingBagConfig",
    "__version__",
    "fit",
    "load",
    "size",
    "train",
]

_HOMES = {
    "EmbeddingBag": "pocketrec.compress.embedding_bag",
    "EmbeddingBagCollection": "pocketrec.compress.embedding_bag_collection",
    "EmbeddingBagConfig": "pocketrec.compress.embedding_bag_collection",
    "fit": "pocketrec.bench.fitting",
    "load": "pocketrec.pipeline",
    "size": "pocketrec.compress",
}


class _Package(ModuleType):
    """This package, whose `train` is the function although a package of that name stands in it.

    Python binds a submodule to its parent as soon as anybody imports it, which would put the package
    ``pocketrec.train`` (the loop) in the place of the function ``pocketrec.train``. The property comes first in every
    look-up, so the function keeps its name; ``from pocketrec.train.trainer import ...`` is not affected.
    """

    @property
    def train(self) -> Any:
        """``pocketrec.pipeline.train``."""
        return importlib.import_module("pocketrec.pipeline").train

    @train.setter
    def train(self, module: ModuleType) -> None:
        """Nothing: called by the import system with the submodule."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pocketrec")
    if name not in _HOMES:
        raise AttributeError(f"module 'pocketrec' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


sys.modules[__name__].__class__ = _Package
