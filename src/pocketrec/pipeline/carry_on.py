"""Carry on: continue a trained model on the next day's data.

The vocabulary is continued: tokens keep their ids, new ones get the next. Rows, nets and the state of both optimizers
are taken over. A method whose tables can grow is sized anew, so that new ids get rows of their own if the budget
allows; every other sizing stays as it is, and new ids read what the method gives to ids that it was not told of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pocketrec.artifact import load_artifact
from pocketrec.compress import attach, of
from pocketrec.data.dataset import Dataset
from pocketrec.data.encoder import Encoder
from pocketrec.data.split import Through
from pocketrec.pipeline.config import RunConfig
from pocketrec.pipeline.size import size_run
from pocketrec.spec.errors import ArtifactError, BudgetTooSmall
from pocketrec.spec.sizing import Sizing
from pocketrec.train import WarmStart

__all__ = ["Start", "size_onward", "start_from"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """What yesterday left.

    Attributes:
        config: of yesterday's run.
        sizing: of yesterday's tables.
        warm: their training form, the nets, and the state of both optimizers.
        encoder: with the whole vocabulary.
    """

    config: RunConfig
    sizing: Sizing
    warm: WarmStart
    encoder: Encoder


def start_from(path: str | Path) -> Start:
    """Open an artifact to continue it.

    Raises:
        ArtifactError: it was saved for serving only.
    """
    folder = Path(path)
    if not (folder / "manifest.json").exists() and (folder / "model" / "manifest.json").exists():
        folder = folder / "model"
    artifact = load_artifact(folder)
    content = artifact.manifest.content
    if "training" not in artifact.parts:
        raise ArtifactError(f"{folder} holds no training state; it can serve, but not be continued.")
    sizing = Sizing.from_json(content["training_sizing"])
    arrays = {name: t.numpy() for name, t in artifact.tensors("training_vocabulary").items()}
    warm = WarmStart(
        bank=attach(sizing, artifact.tensors("training"), form="train"),
        nets=artifact.tensors("nets"),
        optimizer=artifact.tensors("optimizer"),
    )
    return Start(
        config=RunConfig.from_json(content["config"], source=str(folder)), sizing=sizing, warm=warm,
        encoder=Encoder.from_parts(content["encoder"], arrays),
    )  # fmt: skip


def size_onward(start: Start, config: RunConfig, dataset: Dataset, through: Through) -> Sizing:
    """The next day's sizing: with more rows if the method's tables can grow within the budget, else yesterday's."""
    grows = all(of(g.method, g.options).traits.grows for g in start.sizing.groups)
    if not grows:
        return start.sizing
    try:
        grown = size_run(config, dataset, through)
    except BudgetTooSmall as refusal:
        note = f"New ids got no rows of their own: {refusal}"
        return replace(start.sizing, notes=(*start.sizing.notes, note))
    widths = [g.settings.get("width") for g in (*start.sizing.groups, *grown.groups)]
    return grown if len(set(widths)) == 1 else start.sizing
