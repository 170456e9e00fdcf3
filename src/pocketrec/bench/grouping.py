"""Put results that differ only by their seed together, and those of one data set and model beside each other."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pocketrec.spec.metrics import Metrics
from pocketrec.spec.result import Result

__all__ = ["Group", "Scene", "Series", "Spread", "ratio_of", "scenes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Several values of one number.

    Attributes:
        mean: their mean.
        deviation: sample standard deviation (n - 1), or None for a single value.
        low: the least.
        high: the largest.
        count: how many.
    """

    mean: float
    deviation: float | None
    low: float
    high: float
    count: int

    @staticmethod
    def of(values: Iterable[float | None]) -> Spread | None:
        """Of those values that are there; None when there is none."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return Spread(
            mean=math.fsum(known) / len(known),
            deviation=statistics.stdev(known) if len(known) > 1 else None,
            low=min(known),
            high=max(known),
            count=len(known),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One way to store tables, over all its budgets.

    Attributes:
        method: name of the method.
        storage: name of the storage.
        label: what to write beside it; says no more than is needed to tell it apart within its scene.
        place: its number among the series of the same method, from 0.
    """

    method: str
    storage: str
    label: str
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs that differ only by their seed. None of them was skipped.

    Attributes:
        number: its place among all groups of the page, from 0.
        series: what was run.
        budget: as it was written.
        budget_bytes: what that meant.
        results: one or more, by rising seed.
    """

    number: int
    series: Series
    budget: str
    budget_bytes: int
    results: tuple[Result, ...]

    @property
    def bytes(self) -> float:
        """Where it stands on an axis of bytes: what was held, else promised, else allowed; the mean over seeds."""
        known = [
            next(b for b in (r.held_bytes, r.promised_bytes, r.budget_bytes) if b is not None) for r in self.results
        ]
        return sum(known) / len(known)

    @property
    def tested(self) -> bool:
        """Whether :meth:`metrics` are those of the test rows (otherwise of the validation rows)."""
        return all(r.test is not None for r in self.results)

    def metrics(self) -> list[Metrics]:
        """One per run that has any."""
        found = [r.test if self.tested else r.validation for r in self.results]
        return [metrics for metrics in found if metrics is not None]

    def amount(self, name: str) -> Spread | None:
        """An amount over the seeds: a field of Result that is a number or None."""
        return Spread.of(getattr(result, name) for result in self.results)

    def metric(self, name: str) -> Spread | None:
        """A metric over the seeds: one of the fields of Metrics, or one of its extra measures."""
        return Spread.of(m.extra[name] if name in m.extra else getattr(m, name, None) for m in self.metrics())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All runs of one model on one data set.

    Attributes:
        data: name of the data set.
        model: name of the model.
        series: in order of first appearance.
        groups: by falling budget, then in the order of the series.
    """

    data: str
    model: str
    series: tuple[Series, ...]
    groups: tuple[Group, ...]

    def panels(self) -> list[tuple[int, str, list[Group]]]:
        """Budgets that were asked of several series, by falling bytes: (bytes, :func:`ratio_of`, groups).

        When no budget was shared, every budget is a panel of its own.
        """
        budgets = dict.fromkeys(g.budget_bytes for g in self.groups)
        panels = [(b, [g for g in self.groups if g.budget_bytes == b]) for b in budgets]
        shared = [(b, groups) for b, groups in panels if len(groups) > 1]
        return [(b, ratio_of(groups), groups) for b, groups in (shared or panels)]

    def landmarks(self) -> list[Group]:
        """Groups outside all panels, such as full tables: to be compared with what is in them."""
        inside = {id(g) for _, _, groups in self.panels() for g in groups}
        return [g for g in self.groups if id(g) not in inside]


def ratio_of(groups: Sequence[Group]) -> str:
    """The budget of these groups as somebody wrote it, when that was a ratio or a share ("16x", "5%"); "" otherwise."""
    written = (g.budget.strip() for g in groups)
    return next((text for text in written if text.endswith(("x", "%")) and len(text) <= 12), "")


def scenes(results: Sequence[Result]) -> list[Scene]:
    """All runs that were not skipped, in order of first appearance of their data set and model."""
    ran: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.skipped is None:
            ran.setdefault((result.data, result.model), []).append(result)
    found: list[Scene] = []
    for (data, model), runs in ran.items():
        found.append(_scene(data, model, runs, first=sum(len(scene.groups) for scene in found)))
    return found


def _scene(data: str, model: str, runs: Sequence[Result], *, first: int) -> Scene:
    by_series: dict[tuple[str, str, str], list[Result]] = {}
    for run in runs:
        by_series.setdefault((run.method, run.storage, json.dumps(_told(run), sort_keys=True)), []).append(run)
    firsts = [of_series[0] for of_series in by_series.values()]
    series: list[Series] = []
    found: list[tuple[int, Series, list[Result]]] = []
    for one, of_series in zip(firsts, by_series.values(), strict=True):
        alike = [other for other in firsts if other.method == one.method]
        place = next(k for k, other in enumerate(alike) if other is one)
        series.append(Series(method=one.method, storage=one.storage, label=_label(one, alike), place=place))
        by_budget: dict[int, list[Result]] = {}
        for run in of_series:
            by_budget.setdefault(run.budget_bytes, []).append(run)
        found += [(b, series[-1], same) for b, same in by_budget.items()]
    found.sort(key=lambda entry: -entry[0])  # stable: the order of the series stays within a budget
    groups = tuple(
        Group(number=n, series=of, budget=same[0].budget, budget_bytes=b, results=tuple(sorted(same, key=_seed)))
        for n, (b, of, same) in enumerate(found, start=first)
    )
    return Scene(data=data, model=model, series=tuple(series), groups=groups)


def _label(run: Result, alike: Sequence[Result]) -> str:
    """The method, its storage unless that is float32, and the options in which runs of the method differ."""
    told = [_told(other) for other in alike]
    differing = [key for key in sorted({k for t in told for k in t}) if len({_json(t.get(key)) for t in told}) > 1]
    options = [f"{key} {_plain(_told(run)[key])}" for key in differing if _told(run).get(key, "") != ""]
    return ", ".join([run.method, *([run.storage] if run.storage != "float32" else []), *options])


def _told(run: Result) -> Mapping[str, Any]:
    """The options, but for the storage, which has a column of its own; nor does the cell's text name it again."""
    told = {key: value for key, value in run.options.items() if key != "storage"}
    if isinstance(told.get("cell"), str):
        told["cell"] = " ".join(word for word in told["cell"].split(" ") if word != f"options.storage={run.storage}")
    return told


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _seed(run: Result) -> int:
    return run.seed
