"""A study: which cells (data, method, budget, seed) are to run, read from TOML and checked before anything runs.

A file of the least form is a table ``base`` (a run's configuration without data), a list of ``cells`` (values that
replace the base's, by dotted key) and ``seeds``; every cell runs with every seed. Lists of ``data``, ``methods`` and
``budgets`` multiply out into further cells. The guide `docs/guides/studies.md` shows all of it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from pocketrec.bench.keys import Keys, nearest
from pocketrec.bench.space import Space, space_from
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.errors import OptionError

__all__ = ["Finalists", "Study", "StudyData", "StudyMethod", "Tuning", "read_study"]

BudgetText = str | int

_OF_A_RUN: Final = tuple(f.name for f in fields(RunConfig) if f.name != "data")
# Trials must be of the same rows, at the budget and seed of the tuning.
_TUNABLE: Final = ("options", "model", "optimizer", "train", "dim")
# Lines of before studies had names are of this data.
_NAME: Final = "criteo sample, 6/7 to 1/7 by time"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyData:
    """One data set of a study.

    Attributes:
        name: as results name it.
        path: file, or folder of `files`, below the folder that is given when the study runs; "" for that place itself.
        files: names below `path`, read one after the other; None: `path` itself.
        synthetic: settings of a log that is made on the fly (`preset` and others of
            :class:`pocketrec.data.synthetic.SyntheticSpec`), in place of `path`.
        md5: by file name, what the files must hold.
        budgets: of this data, in place of the study's; () for those.
        tuning_at: the budget at which methods are tuned on this data; None: the tuning's.
        values: of a run, by dotted key; they replace the base's.
    """

    name: str
    path: str = ""
    files: tuple[str, ...] | None = None
    synthetic: Mapping[str, Any] | None = None
    md5: Mapping[str, str] = field(default_factory=dict)
    budgets: tuple[BudgetText, ...] = ()
    tuning_at: BudgetText | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyMethod:
    """One method of a study, with settings of its own.

    Attributes:
        name: of the method.
        storages: one cell each; () for the method's own.
        budgets: in place of those of data and study: then it takes no part in the ranking and gets the seeds of the
            best, as what others are compared with; () for those.
        values: of a run, by dotted key, its options among them; they replace those of base and data.
    """

    name: str
    storages: tuple[str, ...] = ()
    budgets: tuple[BudgetText, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Tells it apart from other entries of the same method."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in sorted(self.values.items()))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How settings are chosen, once per method and data set, on validation rows.

    Attributes:
        at: the budget at which.
        trials: how many runs each.
        seed: of the runs and of the proposals.
        space: what is chosen, for every method.
        methods: what is chosen besides, by name of the method; the same key replaces that of `space`.
    """

    at: BudgetText
    trials: int
    seed: int
    space: Space
    methods: Mapping[str, Space]

    def space_of(self, method: str) -> Space:
        """All that is chosen for a method."""
        return {**self.space, **self.methods.get(method, {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalists:
    """The best methods get more seeds.

    Attributes:
        best: how many methods per data set.
        seeds: theirs, those of the study among them.
    """

    best: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What a file of a study says.

    Attributes:
        path: the file.
        seeds: of every cell.
        base: a run's configuration without data.
        cells: values that replace the base's, by dotted key; ``files`` and ``data`` are the study's.
        data: data sets; a study that names none has one, which is what it is given.
        named_data: whether it names any.
        methods: multiplied with data and budgets.
        budgets: of the methods.
        tuning: of the methods, or None.
        final: of the methods, or None.
    """

    path: Path
    seeds: tuple[int, ...]
    base: Mapping[str, Any]
    cells: tuple[Mapping[str, Any], ...]
    data: tuple[StudyData, ...]
    named_data: bool
    methods: tuple[StudyMethod, ...]
    budgets: tuple[BudgetText, ...]
    tuning: Tuning | None
    final: Finalists | None

    @property
    def title(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def read_study(path: str | Path) -> Study:
    """Read and check a file.

    Raises:
        OptionError: names file, key and, where there is one, the nearest key.
    """
    path = Path(path)
    try:
        keys = Keys(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except FileNotFoundError:
        raise OptionError(f"{path}: there is no such study.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
        raise OptionError(f"{path}: this study cannot be read: {' '.join(str(wrong).split())}.") from wrong
    name = keys.take("name", str, _NAME)
    files = keys.take("files", tuple[str, ...])
    data = [_data(table, f"{path}: data[{k}]", files) for k, table in enumerate(keys.take("data", list[Any], []))]
    methods = [_method(value, f"{path}: methods[{k}]") for k, value in enumerate(keys.take("methods", list[Any], []))]
    base = Keys(keys.take("base", dict[str, Any], {}), f"{path}: base").rest(_OF_A_RUN)
    cells = [_cell(table, f"{path}: cells[{k}]") for k, table in enumerate(keys.take("cells", list[Any], []))]
    tuning, final = keys.take("tuning", dict[str, Any]), keys.take("final", dict[str, Any])
    seeds = _seeds(keys, str(path))
    study = Study(
        path=path, seeds=seeds, base=base, cells=tuple(cells), methods=tuple(methods), named_data=bool(data),
        data=tuple(data) or (StudyData(name=name, files=files),),
        budgets=keys.take("budgets", tuple[BudgetText, ...], ()),
        tuning=None if tuning is None else _tuning(tuning, f"{path}: tuning"),
        final=None if final is None else _final(final, f"{path}: final"),
    )  # fmt: skip
    keys.rest(())
    _check(study)
    return study


def _data(table: object, where: str, files: tuple[str, ...] | None) -> StudyData:
    keys = Keys(table, where)
    name = keys.take("name", str)
    if not name:
        raise OptionError(f"{where}: name is missing. Name the data as results should.")
    path, synthetic = keys.take("path", str, ""), keys.take("synthetic", dict[str, Any])
    own, md5 = keys.take("files", tuple[str, ...], files), keys.take("md5", str | dict[str, str], {})
    if synthetic is not None and (path or own or md5):
        raise OptionError(f"{where}: synthetic data is made on the fly: leave out path, files and md5.")
    named = {Path(path).name: md5} if isinstance(md5, str) else md5
    known = own if own is not None else (Path(path).name,)
    for file in named:
        if file not in known:
            raise OptionError(f"{where}: md5: {file} is none of the files{nearest(file, known)}.")
    tuning = Keys(keys.take("tuning", dict[str, Any], {}), f"{where}: tuning")
    at = tuning.take("at", BudgetText)
    tuning.rest(())
    return StudyData(
        name=name, path=path, files=None if synthetic is not None else own, synthetic=synthetic, md5=named,
        budgets=keys.take("budgets", tuple[BudgetText, ...], ()), tuning_at=at, values=keys.rest(_OF_A_RUN),
    )  # fmt: skip


def _method(value: object, where: str) -> StudyMethod:
    if isinstance(value, str):
        return StudyMethod(name=value)
    keys = Keys(value, where)
    name = keys.take("name", str)
    if not name:
        raise OptionError(f"{where}: name is missing. Name the method, or write its name alone in a list.")
    options = {f"options.{key}": value for key, value in keys.take("options", dict[str, Any], {}).items()}
    storages, budgets = keys.take("storages", tuple[str, ...], ()), keys.take("budgets", tuple[BudgetText, ...], ())
    values = {**options, **keys.rest([key for key in _OF_A_RUN if key not in ("method", "budget", "seed")])}
    if storages and "options.storage" in values:
        raise OptionError(f"{where}: storages and options.storage say the same; give one of them.")
    return StudyMethod(name=name, storages=storages, budgets=budgets, values=values)


def _cell(table: object, where: str) -> Mapping[str, Any]:
    keys = Keys(table, where)
    study = {"files": keys.take("files", tuple[str, ...]), "data": keys.take("data", str)}
    return {**{k: v for k, v in study.items() if v is not None}, **keys.rest(_OF_A_RUN)}


def _seeds(keys: Keys, where: str) -> tuple[int, ...]:
    seeds: tuple[int, ...] = keys.take("seeds", tuple[int, ...], ())
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise OptionError(f"{where}: seeds: give one or more different numbers from 0 on, got {list(seeds)}.")
    return seeds


def _tuning(table: object, where: str) -> Tuning:
    keys = Keys(table, where)
    tuning = Tuning(
        at=keys.take("at", BudgetText, "100x"), trials=keys.take("trials", int, 8), seed=keys.take("seed", int, 0),
        space=space_from(keys.take("space", dict[str, Any], {}), f"{where}.space"),
        methods={
            name: space_from(space, f"{where}.methods.{name}")
            for name, space in keys.take("methods", dict[str, Any], {}).items()
        },
    )  # fmt: skip
    keys.rest(())
    if tuning.trials < 1 or tuning.seed < 0:
        raise OptionError(f"{where}: trials must be 1 or more and seed 0 or more.")
    for place, space in (("space", tuning.space), *((f"methods.{n}", s) for n, s in tuning.methods.items())):
        for key in space:
            if key.split(".")[0] not in _TUNABLE:
                raise OptionError(f"{where}.{place}: {key}: this cannot be tuned{nearest(key, _TUNABLE)}.")
    return tuning


def _final(table: object, where: str) -> Finalists:
    keys = Keys(table, where)
    final = Finalists(best=keys.take("best", int, 6), seeds=_seeds(keys, where))
    keys.rest(())
    if final.best < 1:
        raise OptionError(f"{where}: best must be 1 or more, got {final.best}.")
    return final


def _check(study: Study) -> None:
    """What several keys say together."""
    path, names = study.path, [data.name for data in study.data]
    if not study.cells and not study.methods:
        raise OptionError(f"{path}: nothing to run: give cells, or methods and budgets.")
    for what, found in (("data", names), ("methods", [m.label for m in study.methods])):
        twice = next((name for k, name in enumerate(found) if name in found[:k]), None)
        if twice is not None:
            raise OptionError(f"{path}: {what}: {twice!r} is there twice.")
    for data in study.data:
        for method in study.methods:
            if not (method.budgets or data.budgets or study.budgets):
                raise OptionError(f"{path}: budgets is missing: {method.name} has none on {data.name!r}.")
    for k, cell in enumerate(study.cells):
        if "data" in cell and (not study.named_data or cell["data"] not in names):
            raise OptionError(f"{path}: cells[{k}]: no data is called {cell['data']!r}{nearest(cell['data'], names)}.")
    for what, value in (("tuning", study.tuning), ("final", study.final)):
        if value is not None and not study.methods:
            raise OptionError(f"{path}: {what} is of methods, and the study has none: cells run as they are written.")
    if study.final is not None and not set(study.seeds) <= set(study.final.seeds):
        raise OptionError(f"{path}: final: seeds must hold those of all methods, {list(study.seeds)}.")
    for name in {} if study.tuning is None else study.tuning.methods:
        if name not in (known := [m.name for m in study.methods]):
            raise OptionError(f"{path}: tuning.methods: {name} is no method of the study{nearest(name, known)}.")
