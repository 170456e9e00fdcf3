"""Recommender: a trained model with all that raw rows need to become scores; and the artifact it lives in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketrec.artifact import Artifact, Manifest, load_artifact, save_artifact
from pocketrec.artifact.export import export_program, save_program
from pocketrec.compress import attach, layout
from pocketrec.data.columns import Columns
from pocketrec.data.encoder import Encoded, Encoder
from pocketrec.models import MODELS, Model, ModelConfig
from pocketrec.models.parts.matmul import serving
from pocketrec.pipeline.data import spaces_by_table
from pocketrec.pipeline.portions import portions
from pocketrec.pipeline.size import told_apart
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError, OptionError, PocketrecError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import Head, WantedIds

__all__ = [
    "TRAINING_SIZING",
    "Recommender",
    "artifact_folder",
    "load",
    "opened",
    "probabilities",
    "save",
]

# The key of an artifact's content under which only `train --from` looks.
TRAINING_SIZING = "training_sizing"


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

    def predict(self, frame: Any) -> NDArray[np.float32]:
        """Probabilities of a click, float32 [rows] in 0..1; see :meth:`logits`."""
        return probabilities(self.logits(frame))

    def logits(self, frame: Any) -> NDArray[np.float32]:
        """Log-odds of a click, float32 [rows].

        Args:
            frame: pyarrow table, pandas or polars frame, or dict of lists, with the schema's raw columns; label,
                weight and time may be absent, other columns are left alone.

        Raises:
            SchemaError: a column is missing. BadRow: a value cannot be read.
        """
        encoded = self.encoder.encode(frame, id_spaces=self._spaces())
        found = [logits for _, logits in self._scored([encoded])]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def inputs(self, frame: Any) -> tuple[Tensor, ...]:
        """Raw rows as the model takes them, and as an exported program does: dense, ids, and offsets and weights where
        the schema has bags.

        Args:
            frame: as for :meth:`logits`.
        """
        return _tensors(self.encoder.encode(frame, id_spaces=self._spaces()))

    def score_blocks(self, blocks: Iterable[Columns]) -> Iterator[tuple[Encoded, NDArray[np.float32]]]:
        """Rows that a reader has checked already, encoded, with their log-odds, float32 [rows]; in bounded memory.

        How the rows are cut into blocks changes nothing, not even in the last bit.
        """
        spaces = self._spaces()
        return self._scored(self.encoder.encode_columns(columns, id_spaces=spaces) for columns in blocks)

    def save(self, path: str | Path) -> Artifact:
        """Write it for serving only: tables, nets and vocabulary, without what `train --from` would need."""
        content = {key: value for key, value in self.content.items() if key != TRAINING_SIZING}
        return save(Path(path), self.model, self.encoder, content)

    def export(self, path: str | Path) -> dict[str, Any]:
        """Write the model as a program for :func:`torch.export.load`, which needs no pocketrec.

        It takes what :meth:`inputs` gives and returns log-odds; see :mod:`pocketrec.artifact.export`.

        Args:
            path: of the file, ending in ``.pt2``.

        Returns:
            What also stands inside, as ``pocketrec.json``: ``model``, ``inputs`` in their order, ``dense`` (names of
            the columns), ``ids`` (field, table and id space of each column), ``outputs``; and ``file_bytes``, which
            does not.

        Raises:
            ArtifactError: another ending, or a place that cannot be written to.
        """
        schema, spaces = self.encoder.schema, self.model.bank.id_spaces()
        bags = bool(schema.bags)
        factors = any(f.pool == "mean" for f in schema.bags)
        about = {
            "model": self.model.name,
            "inputs": ["dense", "ids", *(["offsets"] if bags else []), *(["weights"] if factors else [])],
            "dense": list(schema.dense_columns),
            "ids": [
                {"field": f.name, "table": f.table_name, **_said(space)}
                for f, space in zip(schema.categorical, spaces, strict=True)
            ],
            "outputs": "log-odds",
        }
        program = export_program(self.model, bags=bags, factors=factors)
        return {**about, "file_bytes": save_program(program, Path(path), about)}

    def _spaces(self) -> dict[str, WantedIds]:
        return spaces_by_table(self.encoder.schema, self.model.bank.id_spaces())

    def _scored(self, encoded: Iterable[Encoded]) -> Iterator[tuple[Encoded, NDArray[np.float32]]]:
        for rows in portions(encoded):
            with torch.inference_mode(), serving(len(rows.dense)):
                logits: Tensor = self.model(*_tensors(rows))
            yield rows, logits.numpy()


def _said(space: WantedIds) -> dict[str, Any]:
    """Ids that a table takes, as JSON."""
    return {"id_space": "head", "ranks": space.ranks} if isinstance(space, Head) else {"id_space": space}


def _tensors(rows: Encoded) -> tuple[Tensor, ...]:
    found = (rows.dense, rows.ids, rows.offsets, rows.value_weights)
    return tuple(torch.from_numpy(array) for array in found if array is not None)


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + exp(-logit)), float32.

    Rounded from float64: in float32 the last bit of a number depends on its place, because some processors' vectors and
    the numbers that are left over at the end take other ways.
    """
    return torch.sigmoid(torch.from_numpy(logits).double()).float().numpy()


def save(
    path: Path, model: Model, encoder: Encoder, content: Mapping[str, Any], *,
    training: Mapping[str, Mapping[str, Any]] | None = None,
) -> Artifact:  # fmt: skip
    """Write a recommender, atomically, and open what was written.

    Args:
        path: the artifact's folder; one that is there is replaced.
        model: over a frozen bank.
        encoder: with all vocabularies; they are cut to the tokens that the tables tell apart.
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
        verify: ``full`` checks every byte's hash, ``lazy`` those of the parts that serving reads (what only
            ``train --from`` needs is left alone).

    Raises:
        ArtifactCorrupt: what is there does not add up; nothing of it was used. ArtifactVersion: of a newer pocketrec.
        ArtifactError: there is no artifact.
    """
    folder = artifact_folder(path)
    artifact = load_artifact(folder, verify=verify, kind="model")
    try:
        return opened(artifact)
    except ArtifactCorrupt:
        raise
    except (PocketrecError, KeyError, TypeError, ValueError, RuntimeError) as wrong:
        raise ArtifactCorrupt(f"{folder}: the parts of this artifact do not fit each other: {wrong}") from wrong


def artifact_folder(path: str | Path) -> Path:
    """The artifact in a folder of a run, or the path itself."""
    folder = Path(path)
    if (folder / "manifest.json").exists():
        return folder
    if (folder / "model" / "manifest.json").exists():
        return folder / "model"
    if (folder / "checkpoints").is_dir():
        raise ArtifactError(
            f"The run in {folder} has not finished: there are checkpoints, but no model yet. "
            "Run its command again; it goes on where it stopped."
        )
    return folder


def opened(artifact: Artifact) -> Recommender:
    """The recommender in an open artifact; errors say which parts do not fit each other."""
    content = artifact.manifest.content
    arrays = {name: t.numpy() for name, t in artifact.tensors("vocabulary").items()}
    encoder = Encoder.from_parts(content["encoder"], arrays)
    sizing, features = Sizing.from_json(content["sizing"]), len(encoder.schema.dense_columns)
    columns = {f.name: f.table_name for f in encoder.schema.categorical}
    if sizing.order != tuple(columns.values()):
        raise OptionError(f"the schema has other categorical fields than the tables' columns {', '.join(sizing.order)}")
    bank = attach(sizing, artifact.tensors("tables"), form="serve", fields=columns)
    about, nets = content["model"], artifact.tensors("nets")
    if about["dense_features"] != features:
        raise OptionError(f"the model reads {about['dense_features']} dense numbers, the schema gives {features}")
    config = ModelConfig.from_json({key: value for key, value in about.items() if key != "dense_features"})
    model = MODELS.get(config.name).from_nets(bank, dense_features=features, config=config, nets=nets)
    return Recommender(model=model.eval(), encoder=encoder, content=content, artifact=artifact)


def _in_order(sizing: Sizing, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {place.name: tensors[place.name] for place in layout(sizing, "serve")}
