"""RunConfig: everything that one run is asked for, from YAML, JSON or keyword arguments."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pocketrec.models import ModelConfig
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.train.config import TrainConfig

if TYPE_CHECKING:
    from pydantic import ConfigDict, TypeAdapter

__all__ = ["RunConfig", "SplitConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Which rows train, which choose, which judge.

    Attributes:
        by: ``time`` (file order, or the schema's time column) or ``hash``.
        train: share of the rows, such as "8/10" or "0.8".
        validation: share of the rows.
        test: share of the rows.
        rows: numbers of rows (train, validation, test) in place of shares; by time only.
        key: by hash only: the field whose token decides, so that all its rows fall into one part.
        seed: by hash only.
    """

    by: Literal["time", "hash"] = "time"
    train: str = "8/10"
    validation: str = "1/10"
    test: str = "1/10"
    rows: tuple[int, int, int] | None = None
    key: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """One run.

    Attributes:
        data: files or folders, read one after the other.
        schema: ``criteo``, or the path of a schema file.
        split: which rows train, which choose the epoch, which judge.
        bad_rows: ``fail`` at the first row that cannot be read, or ``skip`` and count them.
        method: how tables are stored.
        options: the method's options (``storage`` among them).
        budget: ceiling for the tables: ``"64MiB"``, ``"16x"``, ``"5%"`` or bytes.
        train_budget: second ceiling, for training; absolute bytes, or None.
        dim: numbers per vector.
        model: which model, how wide.
        optimizer: of looked-up rows.
        train: settings of the trainer.
        refit: after the epochs are chosen, train anew on training and validation rows together for as many epochs.
        seed: of starting values, hashes and the order of rows.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    data: tuple[str, ...]
    schema: str = "criteo"
    split: SplitConfig = field(default_factory=SplitConfig)
    bad_rows: Literal["fail", "skip"] = "fail"
    method: str = "min_count"
    options: Mapping[str, Any] = field(default_factory=dict)
    budget: str | int = "16x"
    train_budget: str | int | None = None
    dim: int = 16
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    train: TrainConfig = field(default_factory=TrainConfig)
    refit: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.data:
            raise OptionError("data names no file. Give one file or folder at least.")
        if self.dim < 1:
            raise OptionError(f"dim must be 1 or more, got {self.dim}.")

    @staticmethod
    def from_json(data: Mapping[str, Any], *, source: str = "the configuration") -> RunConfig:
        """From plain values; OptionError names the source, the key and what is wrong with it."""
        from pydantic import ValidationError

        try:
            return _adapter().validate_python(data)
        except ValidationError as wrong:
            faults = []
            for fault in wrong.errors(include_url=False, include_input=False):
                where = ".".join(map(str, fault["loc"]))
                said = "there is no such key" if fault["type"] == "unexpected_keyword_argument" else fault["msg"]
                faults.append(f"{where}: {said.removeprefix('Value error, ')}" if where else said)
            raise OptionError(f"{source}: {'; '.join(faults)}") from wrong

    @staticmethod
    def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> RunConfig:
        """From a YAML (or JSON) file.

        Args:
            path: the file.
            overrides: values that win over the file's, by dotted key (``"train.epochs": 3``).
        """
        import yaml

        try:
            found = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as wrong:
            raise OptionError(f"{path}: this configuration cannot be read: {' '.join(str(wrong).split())}") from wrong
        if not isinstance(found, dict):
            raise OptionError(f"{path}: a configuration is a mapping, this is a {type(found).__name__}.")
        return RunConfig.from_json(overridden(found, overrides or {}), source=str(path))

    def to_json(self) -> dict[str, Any]:
        """Plain values; :meth:`from_json` gives an equal configuration back."""
        return asdict(self)


def overridden(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with values replaced by dotted key.

    >>> overridden({"train": {"epochs": 10, "batch_size": 512}}, {"train.epochs": 3, "seed": 1})
    {'train': {'epochs': 3, 'batch_size': 512}, 'seed': 1}
    """
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in data.items()}
    for dotted, value in overrides.items():
        *path, last = dotted.split(".")
        place = result
        for key in path:
            inner = place.setdefault(key, {})
            if not isinstance(inner, dict):
                raise OptionError(f"{dotted}: {key} is {inner!r}, it has no keys of its own.")
            place[key] = dict(inner)
            place = place[key]
        place[last] = value
    return result


@functools.cache
def _adapter() -> TypeAdapter[RunConfig]:
    from pydantic import TypeAdapter

    return TypeAdapter(RunConfig)
