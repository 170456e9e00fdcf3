"""Recommender: a trained model with all that raw rows need to become scores; and the artifact it lives in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketrec.artifact import Artifact, Manifest, load_artifact, save_artifact
from pocketrec.compress import attach, layout
from pocketrec.data.columns import Columns
from pocketrec.data.encoder import Encoded, Encoder
from pocketrec.models import MODELS, Model, ModelConfig
from pocketrec.pipeline.data import spaces_by_table
from pocketrec.pipeline.size import told_apart
from pocketrec.spec.errors import ArtifactCorrupt, OptionError, PocketrecError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import IdSpace

__all__ = ["Recommender", "load", "save"]

# Rows that are scored at a time, so that a large frame needs no more memory than a small one.
_CHUNK_ROWS = 8192


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Recommender:
    """A model in its serving form.

    Attributes:
        model: nets and frozen bank, in eval mode.
        encoder: raw rows to numbers and ids.
        content: what the artifact says besides (method, budget, metrics, configuration).
        artifact: where the tensors are mapped from, or None before it was saved.
    """

    model: Model
    encoder: Encoder
    content: Mapping[str, Any]
    artifact: Artifact | None = None

    @property
    def sizing(self) -> Sizing:
        """What the tables are, with exact bytes."""
        return self.model.bank.sizing

    def logits(self, frame: Any) -> NDArray[np.float32]:
        """Log-odds of a click, float32 [rows].

        Args:
            frame: pyarrow table, pandas or polars frame, or dict of lists, with the schema's raw columns; label,
                weight and time may be absent.

        Raises:
            SchemaError, BadRow: a column is missing, a value cannot be read.
        """
        return self._scored(self.encoder.encode(frame, id_spaces=self._spaces()))

    def predict_columns(self, columns: Columns) -> NDArray[np.float32]:
        """Probabilities for rows that a reader has checked already; see :meth:`predict`."""
        return torch.sigmoid(torch.from_numpy(self.logits_of_columns(columns))).numpy()

    def logits_of_columns(self, columns: Columns) -> NDArray[np.float32]:
        """Log-odds for rows that a reader has checked already; see :meth:`logits`."""
        return self._scored(self.encoder.encode_columns(columns, id_spaces=self._spaces()))

    def _spaces(self) -> dict[str, IdSpace]:
        return spaces_by_table(self.encoder.schema, self.model.bank.id_spaces())

    def _scored(self, encoded: Encoded) -> NDArray[np.float32]:
        found = []
        with torch.inference_mode():
            for start in range(0, len(encoded.ids), _CHUNK_ROWS):
                rows = slice(start, start + _CHUNK_ROWS)
                scores = self.model(torch.from_numpy(encoded.dense[rows]), torch.from_numpy(encoded.ids[rows]))
                found.append(scores.numpy())
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def predict(self, frame: Any) -> NDArray[np.float32]:
        """Probabilities of a click, float32 [rows] in 0..1; see :meth:`logits`."""
        return torch.sigmoid(torch.from_numpy(self.logits(frame))).numpy()


def save(
    path: Path, model: Model, encoder: Encoder, content: Mapping[str, Any], *,
    training: Mapping[str, Mapping[str, Any]] | None = None,
) -> Artifact:  # fmt: skip
    """Write a recommender, atomically, and open what was written.

    Args:
        path: the artifact's folder.
        model: over its frozen bank.
        encoder: with at least the tokens that the bank must tell apart; it is cut to them.
        content: JSON to keep beside (method, budget, metrics, configuration).
        training: parts that only ``train --from`` needs (training tensors, optimizer, whole vocabulary).
    """
    sizing = model.bank.sizing
    cut = encoder.cut(told_apart(sizing, encoder.schema))
    about = {
        **content,
        "sizing": sizing.to_json(),
        "model": {**asdict(model.config), "dense_features": model.dense_features},
        "encoder": cut.to_json(),
    }
    parts: dict[str, Mapping[str, Any]] = {
        "tables": _in_order(sizing, model.bank.tensors()),
        "nets": {name: t.detach() for name, t in model.nets().items()},
        "vocabulary": cut.to_arrays(),
        **(training or {}),
    }
    save_artifact(path, Manifest(kind="model", content=about), parts)
    return load_artifact(path, verify="full")


def load(path: str | Path, *, verify: Literal["full", "lazy"] = "full") -> Recommender:
    """A recommender from its artifact. Tables are mapped, not copied.

    Args:
        path: the artifact's folder, or the folder of a run that holds one as ``model``.
        verify: ``full`` checks every byte's hash now, ``lazy`` when a file is first used.

    Raises:
        ArtifactCorrupt: what is there does not add up; nothing of it was used. ArtifactVersion: of a newer pocketrec.
    """
    folder = Path(path)
    if not (folder / "manifest.json").exists() and (folder / "model" / "manifest.json").exists():
        folder = folder / "model"
    artifact = load_artifact(folder, verify=verify)
    if artifact.manifest.kind != "model":
        raise ArtifactCorrupt(f"{folder} holds a {artifact.manifest.kind}, not a model.")
    content = artifact.manifest.content
    try:
        return _assembled(artifact, content)
    except (PocketrecError, KeyError, TypeError, ValueError, RuntimeError) as wrong:
        if isinstance(wrong, ArtifactCorrupt):
            raise
        raise ArtifactCorrupt(f"{folder}: the parts of this artifact do not fit each other: {wrong}") from wrong


def _assembled(artifact: Artifact, content: Mapping[str, Any]) -> Recommender:
    bank = attach(Sizing.from_json(content["sizing"]), artifact.tensors("tables"), form="serve")
    about = content["model"]
    dense_features = int(about["dense_features"])
    config = ModelConfig(name=str(about["name"]), bottom=tuple(about["bottom"]), top=tuple(about["top"]))
    model = MODELS.get(config.name)(bank, dense_features=dense_features, config=config, seed=0)
    nets = artifact.tensors("nets")
    with torch.no_grad():
        for name, target in model.nets().items():
            target.copy_(nets[name])
    arrays = {name: t.numpy() for name, t in artifact.tensors("vocabulary").items()}
    encoder = Encoder.from_parts(content["encoder"], arrays)
    if len(encoder.schema.categorical) != len(bank.sizing.order):
        raise OptionError(f"{len(encoder.schema.categorical)} fields for {len(bank.sizing.order)} columns of ids.")
    return Recommender(model=model.eval(), encoder=encoder, content=content, artifact=artifact)


def _in_order(sizing: Sizing, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {place.name: tensors[place.name] for place in layout(sizing, "serve")}
