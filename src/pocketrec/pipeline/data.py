"""The data of a run: the encoded cache, and its parts as the trainer asks for them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pocketrec.data.dataset import Dataset
from pocketrec.data.encoder import Encoder
from pocketrec.data.prepare import prepare
from pocketrec.data.read_pass import Progress, silent
from pocketrec.data.sources import source_files
from pocketrec.data.split import Part
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.errors import SchemaError
from pocketrec.spec.schema import Schema
from pocketrec.spec.schemas import SCHEMAS
from pocketrec.spec.table import WantedIds
from pocketrec.train import Batch, BatchSource

__all__ = ["PartSource", "RunData", "default_cache", "open_data", "schema_of", "spaces_by_table"]


def default_cache() -> Path:
    """Where encoded data is kept when nobody says where: ``$XDG_CACHE_HOME/pocketrec``, or ``~/.cache/pocketrec``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pocketrec"


def schema_of(named: str | Mapping[str, Any]) -> Schema:
    """A built-in schema by its name (``criteo``), the schema in a file, or the one that these plain values say."""
    if not isinstance(named, str):
        return Schema.from_json(named)
    known = SCHEMAS.names()
    if named in known:
        return SCHEMAS.get(named)
    if not Path(named).exists():
        near = difflib.get_close_matches(named, known, n=1)
        raise SchemaError(
            f"{named}: there is no such schema file, and no built-in schema of that name. "
            f"{f'Did you mean {near[0]!r}? ' if near else ''}Built in: {', '.join(known)}."
        )
    return Schema.load(named)


def open_data(
    config: RunConfig, cache: Path, *, encoder: Encoder | None = None, progress: Progress = silent
) -> Dataset:
    """The encoded cache of a run's files; made at the first call, opened at once afterwards.

    Args:
        config: names files, schema and split.
        cache: folder of all caches.
        encoder: continue this vocabulary, under its schema (the next day's data).
        progress: told how far reading is.
    """
    schema = schema_of(config.schema) if encoder is None else encoder.schema
    files = [file for place in config.data for file in source_files(place, schema)]
    return prepare(
        files, schema, cache=cache, split=config.split.split(), bad_rows=config.bad_rows, encoder=encoder,
        progress=progress,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSource:
    """Some parts of a dataset, in some id spaces, as batches.

    Attributes:
        dataset: the encoded rows.
        parts: which of them.
        id_spaces: per table, which ids a batch holds.
    """

    dataset: Dataset
    parts: tuple[Part, ...]
    id_spaces: Mapping[str, WantedIds]

    def batch_count(self, batch_size: int) -> int:
        """Batches per epoch."""
        return self.dataset.batch_count(self.parts, batch_size)

    def batches(
        self, *, batch_size: int, order: Literal["shuffle", "time"], seed: int, epoch: int, start: int
    ) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on."""
        return self.dataset.batches(
            self.parts, batch_size=batch_size, order=order, seed=seed, epoch=epoch, id_spaces=self.id_spaces,
            start=start,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """Training and validation rows of a dataset, as the trainer asks for them.

    Attributes:
        dataset: the encoded rows.
        train: parts that train.
        validation: parts that choose the epoch; () for none.
    """

    dataset: Dataset
    train: tuple[Part, ...] = ("train",)
    validation: tuple[Part, ...] = ("validation",)

    def source(self, part: Literal["train", "validation"], id_spaces: Sequence[WantedIds]) -> BatchSource | None:
        """One part in these id spaces (one per column of ids); None if it has no rows."""
        parts = self.train if part == "train" else self.validation
        if not sum(self.dataset.parts[p] for p in parts):
            return None
        return PartSource(dataset=self.dataset, parts=parts, id_spaces=spaces_by_table(self.dataset.schema, id_spaces))


def spaces_by_table(schema: Schema, id_spaces: Sequence[WantedIds]) -> dict[str, WantedIds]:
    """Id spaces per table from id spaces per column of ids."""
    columns = zip(schema.categorical, id_spaces, strict=True)
    return {field.table_name: space for field, space in columns}
