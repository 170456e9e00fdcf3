"""RunConfig: everything that one run is asked for, from YAML, JSON or keyword arguments."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pocketrec.compress import METHODS, of
from pocketrec.data.split import Split
from pocketrec.models import MODELS, ModelConfig
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import OptionError, PocketrecError
from pocketrec.spec.kinds import adapter, sentences
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.train.config import TrainConfig

if TYPE_CHECKING:
    from pydantic import ConfigDict

__all__ = ["RunConfig", "SplitConfig", "overridden"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Which rows train, which choose, which judge.

    Attributes:
        by: ``time`` (file order, or the schema's time column), ``hash``, or ``files``.
        train: share of the rows, such as "8/10" or "0.8".
        validation: share of the rows.
        test: share of the rows.
        rows: numbers of rows (train, validation, test) in place of shares; by time only.
        cuts: by time only, in place of shares: the time of the first validation row and of the first test row, in the
            unit of the schema's time column (or ISO 8601 texts, where its clock is iso8601).
        files: by files only: how many files train, choose and judge; None: all but the last two, one, one.
        key: by hash only: the field whose token decides, so that all its rows fall into one part.
        seed: by hash only.
    """

    by: Literal["time", "hash", "files"] = "time"
    train: str = "8/10"
    validation: str = "1/10"
    test: str = "1/10"
    rows: tuple[int, int, int] | None = None
    cuts: tuple[float | str, float | str] | None = None
    files: tuple[int, int, int] | None = None
    key: str | None = None
    seed: int = 0

    def split(self) -> Split:
        """The split itself; OptionError for shares that do not add up."""
        if self.rows is None:
            return Split(
                by=self.by, train=self.train, validation=self.validation, test=self.test, key=self.key, seed=self.seed,
                cuts=self.cuts, file_counts=self.files,
            )  # fmt: skip
        if self.by != "time" or self.cuts is not None:
            raise OptionError("Numbers of rows belong to a split by time without cuts; a split by hash takes shares.")
        train, validation, test = self.rows
        return Split.rows(train=train, validation=validation, test=test)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """One run.

    Attributes:
        data: files or folders, read one after the other.
        schema: ``criteo``, the path of a schema file, or what stands in one.
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
        serving_precision: what the nets are held in by the artifact and judged in on the test rows: ``float32``, or
            ``bfloat16`` for half their bytes and quicker answers to a few rows. Training is left alone.
        refit: after the epochs are chosen, train anew on training and validation rows together for as many epochs.
        seed: of starting values, hashes and the order of rows; 0 or more.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    data: tuple[str, ...]
    schema: str | Mapping[str, Any] = "criteo"
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
    serving_precision: Literal["float32", "bfloat16"] = "float32"
    refit: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.data:
            raise OptionError("data names no file. Give one file or folder at least.")
        if self.dim < 1 or self.seed < 0:
            raise OptionError(f"dim must be 1 or more and seed 0 or more, got {self.dim} and {self.seed}.")

    @staticmethod
    def from_json(data: Mapping[str, Any], *, source: str = "the configuration") -> RunConfig:
        """From plain values; OptionError names the source, the key and what is wrong with it."""
        from pydantic import ValidationError

        try:
            config: RunConfig = adapter(RunConfig).validate_python(_shares_as_text(data))
        except ValidationError as wrong:
            raise OptionError(f"{source}: {sentences(wrong, _no_such_key)}") from wrong
        _check_values(config, source)
        return config

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
        except FileNotFoundError:
            raise OptionError(f"{path}: there is no such configuration file.") from None
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
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    for dotted, value in overrides.items():
        *path, last = dotted.split(".")
        place = result
        for key in path:
            inner = place.setdefault(key, {})
            if not isinstance(inner, Mapping):
                raise OptionError(f"{dotted}: {key} is {inner!r}, it has no keys of its own.")
            place[key] = dict(inner)
            place = place[key]
        place[last] = value
    return result


# -- checks ----------------------------------------------------------------------------------------------------------


def _shares_as_text(data: Mapping[str, Any]) -> dict[str, Any]:
    """Shares of a split that were written as numbers, as the text they were written as: 0.1 in a file means 1/10."""
    split = data.get("split")
    if not isinstance(split, Mapping):
        return dict(data)
    shares = {key: repr(split[key]) for key in ("train", "validation", "test") if type(split.get(key)) in (int, float)}
    return {**data, "split": {**split, **shares}}


def _check_values(config: RunConfig, source: str) -> None:
    """Refuse before any data is read what can be refused without it."""
    checks: dict[str, Callable[[], object]] = {
        "method": lambda: METHODS.get(config.method),
        "options": lambda: of(config.method, config.options),
        "budget": lambda: Budget.parse(config.budget, train=config.train_budget),
        "model.name": lambda: MODELS.get(config.model.name),
        "split": config.split.split,
    }
    for key, check in checks.items():
        try:
            check()
        except PocketrecError as wrong:
            raise OptionError(f"{source}: {key}: {wrong}") from wrong


def _no_such_key(path: tuple[int | str, ...]) -> str:
    """With the nearest key that there is at that place."""
    place: Any = RunConfig(data=("",))
    for part in path[:-1]:
        place = getattr(place, str(part), None)
    known = [f.name for f in fields(place)] if is_dataclass(place) else []
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    return "there is no such key" + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")
