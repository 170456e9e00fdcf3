"""What of a study is to run next, given the lines that it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from pocketrec.bench.cells import Cell, CellMaker, Key
from pocketrec.bench.objective import objective
from pocketrec.bench.ranking import best_methods
from pocketrec.bench.space import Space
from pocketrec.bench.study import BudgetText, StudyData, StudyMethod, Tuning
from pocketrec.bench.tuning import Trial, best, propose
from pocketrec.spec.budget import Budget
from pocketrec.spec.result import Result

__all__ = ["Plan"]


class Plan:
    """The cells of a study, in the order in which they are wanted.

    One data set after the other, in the order of the study, so that those before it can be read while it runs. Of each,
    trials come first, one after the other for each method; then a method's cells, with what its trials chose, seed by
    seed, so that all methods grow together; when all have a line, the further seeds of the best methods.

    Args:
        maker: makes the cells.
        refused: why a cell's method does not run, or None; asked of one cell per budget at which tuning is tried.
    """

    def __init__(self, maker: CellMaker, refused: Callable[[Cell], str | None]) -> None:
        self._maker, self._study, self._refused = maker, maker.study, refused
        self._tuned_at: dict[tuple[str, str], tuple[BudgetText, str | None] | None] = {}
        self._proposed: dict[tuple[str, str, int], dict[str, Any]] = {}

    def check(self) -> list[Cell]:
        """One cell for everything that the study names, made and so checked before anything runs.

        Raises:
            OptionError: names the file, the place and what is wrong.
        """
        study, cells = self._study, [cell for data in self._study.data for cell in self._written(data)]
        for data, entry in product(study.data, study.methods):
            cells += self._of(data, entry, study.seeds[:1], {})
            space = {} if study.tuning is None else study.tuning.space_of(entry.name)
            for key, of in space.items():
                for value in of.ends():
                    self._maker.of_method(data, entry, self._budgets(data, entry)[0], 0, tuned={key: value})
        return cells

    def count(self) -> int:
        """How many lines the study will have at most, trials included."""
        study, total = self._study, sum(len(self._written(data)) for data in self._study.data)
        for data in study.data:
            ranked = [m for m in study.methods if not m.budgets]
            for entry in study.methods:
                each = len(self._budgets(data, entry)) * max(1, len(entry.storages))
                seeds = len(study.seeds)
                if study.final is not None and (entry.budgets or entry in ranked[: study.final.best]):
                    seeds = len(study.final.seeds)
                total += each * seeds
                if study.tuning is not None and study.tuning.space_of(entry.name):
                    total += study.tuning.trials
        return total

    def ready(self, lines: Mapping[Key, Result], trials: Mapping[Key, Result]) -> list[Cell]:
        """The cells that could run now, trials first.

        Args:
            lines: of the study so far.
            trials: of its tuning so far.
        """
        study, found = self._study, []
        seeds = study.seeds
        for data in study.data:
            found += self._trials(data, trials)
            first = self._first(data, trials)
            own = [cell for cells in first.values() for cell in cells]
            cells = self._written(data) + own
            found += sorted(cells, key=lambda cell: seeds.index(cell.config.seed))  # within a seed the file's order
            complete = len(first) == len(study.methods) and all(cell.key in lines for cell in own)
            if study.final is not None and complete:
                found += self._further(data, first, lines, trials)
        return [cell for cell in found if cell.key not in lines]

    # -- cells -------------------------------------------------------------------------------------------------------

    def _written(self, data: StudyData) -> list[Cell]:
        """The study's own list."""
        study = self._study
        return [
            self._maker.written(k, data, seed)
            for seed, k in product(study.seeds, range(len(study.cells)))
            if study.cells[k].get("data", data.name) == data.name
        ]

    def _first(self, data: StudyData, trials: Mapping[Key, Result]) -> dict[str, list[Cell]]:
        """Per method whose tuning is over: its cells with the seeds of all."""
        found = {}
        for entry in self._study.methods:
            tuned = self._chosen(data, entry, trials)
            if tuned is not None:
                found[entry.label] = self._of(data, entry, self._study.seeds, tuned)
        return found

    def _further(
        self, data: StudyData, first: Mapping[str, list[Cell]], lines: Mapping[Key, Result],
        trials: Mapping[Key, Result],
    ) -> list[Cell]:  # fmt: skip
        """The seeds that only the best methods get, and those with budgets of their own."""
        study = self._study
        assert study.final is not None
        ranked = {m.label: m for m in study.methods if not m.budgets}
        figures = {label: self._figures(data, m, first[label], lines) for label, m in ranked.items()}
        chosen = best_methods(figures, study.final.best)
        seeds = [seed for seed in study.final.seeds if seed not in study.seeds]
        cells = []
        for entry in study.methods:
            if entry.budgets or entry.label in chosen:
                cells += self._of(data, entry, tuple(seeds), self._chosen(data, entry, trials) or {})
        return sorted(cells, key=lambda cell: seeds.index(cell.config.seed))

    def _figures(
        self, data: StudyData, entry: StudyMethod, cells: list[Cell], lines: Mapping[Key, Result]
    ) -> list[float | None]:
        """Per budget: the mean over seeds on validation rows, of the best storage; None where none ran."""
        found: list[float | None] = []
        for budget in self._budgets(data, entry):
            means = []
            at = [cell for cell in cells if cell.config.budget == budget]
            for text in dict.fromkeys(cell.text for cell in at):
                values = [objective(lines[c.key], c.config.train.choose_by) for c in at if c.text == text]
                known = [value for value in values if value is not None]
                means += [sum(known) / len(known)] if known else []
            found.append(max(means, default=None))
        return found

    def _of(self, data: StudyData, entry: StudyMethod, seeds: tuple[int, ...], tuned: Mapping[str, Any]) -> list[Cell]:
        return [
            self._maker.of_method(data, entry, budget, seed, storage=storage, tuned=tuned)
            for seed, budget, storage in product(seeds, self._budgets(data, entry), entry.storages or (None,))
        ]

    def _budgets(self, data: StudyData, entry: StudyMethod) -> tuple[BudgetText, ...]:
        return entry.budgets or data.budgets or self._study.budgets

    # -- tuning ------------------------------------------------------------------------------------------------------

    def _trials(self, data: StudyData, trials: Mapping[Key, Result]) -> list[Cell]:
        """The next trial of every method that has not had all on a data set."""
        tuning, found = self._study.tuning, []
        if tuning is None:
            return []
        for entry in self._study.methods:
            at = self._tuning_at(data, entry)
            had = self._had(data, entry, trials)
            if at is not None and len(had) < tuning.trials:
                asked = (data.name, entry.label, len(had))
                if asked not in self._proposed:
                    written = _flat(self._trial(data, entry, at, tuning, {}, len(had)).config.to_json())
                    space, who = tuning.space_of(entry.name), f"{data.name} {entry.label}"
                    self._proposed[asked] = propose(space, written, had, seed=tuning.seed, who=who)
                found.append(self._trial(data, entry, at, tuning, self._proposed[asked], len(had)))
        return found

    def _trial(
        self, data: StudyData, entry: StudyMethod, at: tuple[BudgetText, str | None], tuning: Tuning,
        values: Mapping[str, Any], number: int,
    ) -> Cell:  # fmt: skip
        return self._maker.of_method(data, entry, at[0], tuning.seed, storage=at[1], tuned=values, trial=number)

    def _chosen(self, data: StudyData, entry: StudyMethod, trials: Mapping[Key, Result]) -> dict[str, Any] | None:
        """What tuning chose; {} where nothing is tuned, None while it is not over."""
        tuning = self._study.tuning
        if tuning is None or self._tuning_at(data, entry) is None:
            return {}
        had = self._had(data, entry, trials)
        return None if len(had) < tuning.trials else best(had[: tuning.trials])

    def _had(self, data: StudyData, entry: StudyMethod, trials: Mapping[Key, Result]) -> list[Trial]:
        """The trials so far, in order, up to the first that is missing."""
        at, tuning = self._tuning_at(data, entry), self._study.tuning
        if at is None or tuning is None:
            return []
        plain = self._trial(data, entry, at, tuning, {}, 0)
        by = plain.config.train.choose_by
        space = tuning.space_of(entry.name)
        # the values and the number are what is asked for here, so all others must be equal
        of_it = ((key[-1], line) for key, line in trials.items() if key[:-2] == plain.key[:-2])
        own = {number: line for number, line in of_it if _within(line.tuned, space)}
        numbers = range(next(n for n in range(len(own) + 1) if n not in own))
        return [(own[n].tuned, objective(own[n], by)) for n in numbers]

    def _tuning_at(self, data: StudyData, entry: StudyMethod) -> tuple[BudgetText, str | None] | None:
        """Budget and storage of the trials; None where there is nothing to tune, or the method runs at none of them.

        It is the tuning's budget, or the next larger one of the study that the method takes; of a method with budgets
        of its own, the least of them that it takes.
        """
        tuning = self._study.tuning
        if tuning is None or not tuning.space_of(entry.name):
            return None
        asked = (data.name, entry.label)
        if asked not in self._tuned_at:
            at, rising = data.tuning_at or tuning.at, sorted(self._budgets(data, entry), key=_size)
            budgets = rising if entry.budgets else [at, *(budget for budget in rising if _size(budget) > _size(at))]
            tries = product(budgets, entry.storages or (None,))
            self._tuned_at[asked] = next(
                (at for at in tries if self._refused(self._trial(data, entry, at, tuning, {}, 0)) is None), None
            )
        return self._tuned_at[asked]


def _within(tuned: Mapping[str, Any], space: Space) -> bool:
    """Whether these are values of the space: trials of before the study was changed are not of its tuning."""
    return set(tuned) == set(space) and all(of.holds(tuned[key]) for key, of in space.items())


def _size(budget: BudgetText) -> float:
    """Grows with the bytes that a budget allows, among ratios and shares and among bytes."""
    found = Budget.parse(budget)
    return float(found.fraction if found.fraction is not None else found.absolute())


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return found
