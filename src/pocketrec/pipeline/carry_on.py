"""Carry on: continue a trained model on the next day's data.

The vocabulary is continued: tokens keep their ids, new ones get the next. Rows, nets and the state of both optimizers
are taken over. A method whose tables can grow is sized anew, so that new ids get rows of their own if the budget
allows; every other sizing stays as it is, and new ids read what the method gives to ids that it was not told of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketrec.artifact import Artifact, load_artifact
from pocketrec.compress import attach, of
from pocketrec.data.dataset import Dataset
from pocketrec.data.encoder import Encoder
from pocketrec.data.split import Through
from pocketrec.pipeline.config import RunConfig, overridden
from pocketrec.pipeline.data import schema_of
from pocketrec.pipeline.recommender import artifact_folder
from pocketrec.pipeline.size import size_run
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError, BudgetTooSmall, OptionError, PocketrecError
from pocketrec.spec.sizing import Sizing
from pocketrec.train import WarmStart

__all__ = ["Start", "check_onward", "onward", "size_onward", "start_from"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """What yesterday left.

    Attributes:
        config: of yesterday's run.
        sizing: of yesterday's tables.
        warm: their training form, the nets, and the state of both optimizers.
        encoder: with the whole vocabulary.
        identity: hash of the artifact's manifest, which names the hash of everything in it.
    """

    config: RunConfig
    sizing: Sizing
    warm: WarmStart
    encoder: Encoder
    identity: str

    @property
    def grows(self) -> bool:
        """Whether the tables may get more rows."""
        return all(of(g.method, g.options).traits.grows for g in self.sizing.groups)


def start_from(path: str | Path) -> Start:
    """Open an artifact, or the run that holds one, to continue it.

    Raises:
        ArtifactError: there is none, or it was saved for serving only. ArtifactCorrupt: its parts do not add up.
    """
    folder = artifact_folder(path)
    artifact = load_artifact(folder, kind="model")
    if "training" not in artifact.parts:
        raise ArtifactError(
            f"{folder} was saved for serving only: it has no training tables and no optimizer state to go on from. "
            "Continue the artifact that `pocketrec train` wrote (the folder `model` of its run)."
        )
    try:
        return _opened(artifact)
    except (PocketrecError, KeyError, TypeError, ValueError) as wrong:
        if isinstance(wrong, ArtifactCorrupt):
            raise
        raise ArtifactCorrupt(f"{folder}: the parts of this artifact do not fit each other: {wrong}") from wrong


def _opened(artifact: Artifact) -> Start:
    content = artifact.manifest.content
    sizing = Sizing.from_json(content["training_sizing"])
    arrays = {name: t.numpy() for name, t in artifact.tensors("training_vocabulary").items()}
    warm = WarmStart(
        bank=attach(sizing, artifact.tensors("training"), form="train"),
        nets=artifact.tensors("training_nets" if "training_nets" in artifact.parts else "nets"),
        optimizer=artifact.tensors("optimizer"),
    )
    return Start(
        config=RunConfig.from_json(content["config"], source=str(artifact.path)), sizing=sizing, warm=warm,
        encoder=Encoder.from_parts(content["encoder"], arrays),
        identity=hashlib.sha256(artifact.manifest.to_bytes()).hexdigest(),
    )  # fmt: skip


def onward(start: Start, given: Mapping[str, Any], *, source: str = "the configuration") -> RunConfig:
    """Yesterday's settings for today's data; one epoch, and yesterday's shares of rows, if nobody says otherwise.

    Args:
        start: what yesterday left.
        given: what is asked for today, by dotted key; ``data`` must be among it.
        source: what to call it in errors.
    """
    before = overridden(start.config.to_json(), {"data": (), "train.epochs": 1, "split.rows": None})
    return RunConfig.from_json(overridden(before, given), source=source)


def check_onward(start: Start, config: RunConfig) -> None:
    """OptionError for settings that cannot change from one day to the next, because rows and state depend on them."""
    before, now = start.config, config
    pairs: dict[str, tuple[Any, Any]] = {
        "method": (before.method, now.method), "options": (dict(before.options), dict(now.options)),
        "dim": (before.dim, now.dim), "model": (before.model, now.model),
        "optimizer.name": (before.optimizer.name, now.optimizer.name),
        "train.dense_optimizer": (before.train.dense_optimizer, now.train.dense_optimizer),
    }  # fmt: skip
    if not start.grows:
        pairs["budget"] = (str(before.budget), str(now.budget))
    changed = [f"{key} was {was!r}, is {wanted!r}" for key, (was, wanted) in pairs.items() if was != wanted]
    if config.schema != before.schema and schema_of(config.schema) != start.encoder.schema:
        changed.append("the schema is another one")
    if changed:
        raise OptionError(
            f"A model is continued with the settings that it has: {'; '.join(changed)}. "
            "Leave them as they were, or train a new model."
        )


def size_onward(start: Start, config: RunConfig, dataset: Dataset, through: Through) -> Sizing:
    """The next day's sizing: with more rows if the method's tables can grow within the budget, else yesterday's."""
    kept = replace(start.sizing, optimizer=config.optimizer)
    if not start.grows:
        return kept
    try:
        grown = size_run(config, dataset, through)
    except BudgetTooSmall as refusal:
        return _with_note(kept, str(refusal))
    widths = {group.settings.get("width") for group in (*kept.groups, *grown.groups)}
    if len(widths) > 1:
        return _with_note(kept, "with them, every row would have to become narrower.")
    return grown


def _with_note(sizing: Sizing, reason: str) -> Sizing:
    return replace(sizing, notes=(*sizing.notes, f"New ids got no rows of their own: {reason}"))
