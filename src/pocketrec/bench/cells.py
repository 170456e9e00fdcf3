"""Cells: one run each, with all its settings and a key by which its line of result is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pocketrec.bench.places import data_files, synthetic_spec
from pocketrec.bench.study import Study, StudyData, StudyMethod
from pocketrec.compress import METHODS
from pocketrec.pipeline.config import RunConfig, overridden
from pocketrec.spec.errors import OptionError
from pocketrec.spec.result import Result

__all__ = ["Cell", "CellMaker", "Key", "key_of", "tuned_text"]

Key = tuple[str, str, str, int, str, str, int]
"""Data, method, budget, seed, text, tuned values, trial (-1 for none)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """One run of a study.

    Attributes:
        key: tells it apart from all others of the study; that of its line.
        data: name of the data, as its line says it.
        config: the run.
        storage: as the study asks for it, or None.
        text: what the cell says besides method and budget.
        tuned: what tuning chose, by dotted key.
        trial: number of the trial that it is, or None.
        refusal: why the method does not take these settings, or None.
        md5: what the files must hold, by name.
        synthetic: what log is to be made first, or None.
    """

    key: Key
    data: str
    config: RunConfig
    storage: str | None = None
    text: str = ""
    tuned: Mapping[str, Any] = field(default_factory=dict)
    trial: int | None = None
    refusal: str | None = None
    md5: Mapping[str, str] = field(default_factory=dict)
    synthetic: Mapping[str, Any] | None = None

    @property
    def title(self) -> str:
        """For people."""
        words = [self.config.method, str(self.config.budget), f"seed {self.config.seed}", self.text]
        words += [f"trial {self.trial}"] if self.trial is not None else []
        return " ".join(word for word in words if word)

    def of(self, result: Result) -> Result:
        """The result with what only the study knows: the cell's text, what was tuned, which trial it was."""
        own = {"cell": self.text} | ({} if self.trial is None else {"trial": self.trial})
        return replace(result, options={**result.options, **own}, tuned=dict(self.tuned))

    def not_run(self, why: str, identity: Mapping[str, Any], *, budget_bytes: int = 0, failed: bool = False) -> Result:
        """The line of a cell that did not run to its end."""
        options = {key: value for key, value in self.config.options.items() if key != "storage"}
        line = Result(
            **{**identity, "data": self.data}, model=self.config.model.name, method=self.config.method,
            budget=str(self.config.budget), budget_bytes=budget_bytes, seed=self.config.seed, options=options,
            storage=str(self.storage or self.config.options.get("storage", "float32")), skipped=why, failed=failed,
        )  # fmt: skip
        return self.of(line)


@dataclass(frozen=True, kw_only=True)
class CellMaker:
    """Makes the cells of a study; the same ones at every call.

    Attributes:
        study: the study.
        folder: what its paths are below, or None.
        cache: folder of encoded data.
    """

    study: Study
    folder: Path | None
    cache: Path
    _made: dict[str, Cell] = field(default_factory=dict)

    def written(self, number: int, data: StudyData, seed: int) -> Cell:
        """Cell `number` of the study's list, as it is written there, on one data set.

        Raises:
            OptionError: names the file, the cell and what is wrong.
        """
        cell = self.study.cells[number]
        own = {key: value for key, value in cell.items() if key not in ("files", "data")}
        text = _text({key: value for key, value in cell.items() if key not in ("method", "budget", "data")})
        where = f"{self.study.path}: cells[{number}]"
        return self._cell(data, {**own, "seed": seed}, text=text, where=where, files=cell.get("files"))

    def of_method(
        self, data: StudyData, entry: StudyMethod, budget: str | int, seed: int, *, storage: str | None = None,
        tuned: Mapping[str, Any] | None = None, trial: int | None = None,
    ) -> Cell:  # fmt: skip
        """One cell of a method. A storage that the method does not take is a refusal, other mistakes are errors.

        Args:
            data: where.
            entry: the method with its settings.
            budget: as the study writes it.
            seed: of the run.
            storage: one of the entry's, or None for the method's own.
            tuned: what tuning chose; it replaces what base, data and entry say.
            trial: number, for a trial of the tuning.
        """
        asked = {**entry.values, **({} if storage is None else {"options.storage": storage})}
        own = {"method": entry.name, "budget": budget, "seed": seed, **entry.values, **(tuned or {})}
        if trial is not None:
            own["refit"] = False  # a trial ends with its figure on validation rows
        where = f"{self.study.path}: {entry.name} on {data.name}"
        make = partial(self._cell, data, text=_text(asked), where=where, storage=storage, tuned=tuned, trial=trial)
        plain = make(own)
        if storage is None:
            return plain
        try:
            return make({**own, "options.storage": storage})
        except OptionError as refused:
            return replace(plain, refusal=str(refused).removeprefix(f"{where}: "))

    def _cell(
        self, data: StudyData, own: Mapping[str, Any], *, text: str, where: str, files: tuple[str, ...] | None = None,
        storage: str | None = None, tuned: Mapping[str, Any] | None = None, trial: int | None = None,
    ) -> Cell:  # fmt: skip
        asked = json.dumps([data.name, dict(own), text, trial, files], sort_keys=True, default=str)
        if asked not in self._made:
            schema = {} if data.synthetic is None else {"schema": synthetic_spec(data.synthetic).schema.to_json()}
            base = overridden({**self.study.base, **schema}, data.values)
            values = overridden(base, own) | {"data": data_files(data, self.folder, self.cache, files)}
            config = RunConfig.from_json(values, source=where)
            self._made[asked] = Cell(
                key=(
                    data.name if self.study.named_data else "", _own_name(config.method), str(config.budget),
                    config.seed, text, tuned_text(tuned or {}), -1 if trial is None else trial,
                ),
                data=data.name, config=config, storage=storage, text=text, tuned=tuned or {}, trial=trial,
                md5=data.md5, synthetic=data.synthetic,
            )  # fmt: skip
        return self._made[asked]


def key_of(result: Result, *, named_data: bool) -> Key:
    """The key of the cell that left this line.

    Args:
        result: the line.
        named_data: whether the study names its data; lines of one that does not are of it whatever they name.
    """
    trial = result.options.get("trial", -1)
    return (
        result.data if named_data else "", _own_name(result.method), result.budget, result.seed,
        str(result.options.get("cell", "")), tuned_text(result.tuned), trial if isinstance(trial, int) else -1,
    )  # fmt: skip


def tuned_text(tuned: Mapping[str, Any]) -> str:
    """Tuned values as a text: equal for equal values."""
    return json.dumps(dict(tuned), sort_keys=True) if tuned else ""


def _own_name(method: str) -> str:
    """Under whichever name of the literature it was asked for."""
    return METHODS.aliases.get(method, method)


def _text(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={_said(value)}" for key, value in sorted(values.items()))


def _said(value: Any) -> Any:
    """Tuples as the lists that a file has."""
    return list(value) if isinstance(value, tuple) else value
