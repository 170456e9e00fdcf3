"""Fit: files and a number of bytes in; a configuration that trains, and a certificate of its bytes, out.

First the choice per table by statistics alone (`pocketrec.compress.fit`). Then, if there is time for it, short
trainings: what a model makes of each table corrects the statistics and the choice is made again; the mixtures, and
every method for all tables, train for a little, the best for longer, in other storages and with other settings; those
that are left train whole, with several seeds. Validation rows decide, test rows are not read.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pocketrec.bench.ablation import measured_nats
from pocketrec.bench.lookup_costs import lookup_costs
from pocketrec.bench.probe import Candidate, Finding, Prober, Probing, Rung, Silently, mean_figures
from pocketrec.bench.recipes import methods_tried, recipes, variants
from pocketrec.compress import METHODS
from pocketrec.compress.fit import Chosen, Limits, Tastes, choices_of, choose, topped_up
from pocketrec.compress.storage import STORAGES
from pocketrec.compress.worth import TableWorth
from pocketrec.data.dataset import Dataset
from pocketrec.data.effects import worths
from pocketrec.data.journal import write_durably
from pocketrec.data.read_pass import Progress, silent
from pocketrec.pipeline.config import RunConfig, overridden
from pocketrec.pipeline.data import default_cache, open_data, schema_of
from pocketrec.pipeline.size import check_schema, method_options, row_dim, size_run
from pocketrec.pipeline.train import run
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import OptionError, TrainingError
from pocketrec.spec.schema import Schema
from pocketrec.spec.sizing import Sizing

__all__ = ["Fit", "FitSettings", "fit", "fit_run"]

_STATISTICS: Final = "per table, by statistics"
_MEASURED: Final = "per table, by a trained model"


def fit(
    data: str | Path | Sequence[str | Path], *, budget: str | int, effort: int = 24,
    methods: Sequence[str] | None = None, storages: Sequence[str] | None = None, ns_per_row: float | None = None,
    out: str | Path | None = None, cache: str | Path | None = None, jobs: int = 1, watching: Probing | None = None,
    **settings: Any,
) -> Fit:  # fmt: skip
    """Choose method, storage and size for every table, and settings of training, within a number of bytes.

    Args:
        data: a file, a folder, or several; Criteo's layout unless ``schema`` names another.
        budget: ceiling for the tables: ``"64MiB"``, ``"16x"``, ``"5%"`` or an int of bytes.
        effort: see :class:`FitSettings`, as for `methods`, `storages`, `ns_per_row`, `out` and `jobs`.
        methods: that may be chosen.
        storages: that may be chosen.
        ns_per_row: that looking up may take.
        out: folder of findings, so that an interrupted fit goes on.
        cache: folder of encoded data; ``~/.cache/pocketrec`` when not given.
        jobs: trainings at a time.
        watching: told how probing goes.
        settings: everything else of :class:`~pocketrec.pipeline.config.RunConfig`, as :func:`pocketrec.train` takes it.

    Raises:
        BudgetTooSmall: names the floor. OptionError: limits or names that leave nothing to choose.
    """
    files = [data] if isinstance(data, (str, Path)) else list(data)
    given = {"data": [str(f) for f in files], "budget": budget, **settings}
    plain = {key: value.to_json() if isinstance(value, Schema) else value for key, value in given.items()}
    asked = FitSettings(
        effort=effort, methods=None if methods is None else tuple(methods), ns_per_row=ns_per_row, jobs=jobs,
        storages=None if storages is None else tuple(storages), out=None if out is None else Path(out),
        cache=Path(cache) if cache else default_cache(),
    )  # fmt: skip
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
    return fit_run(RunConfig.from_json(plain), asked, watching=watching)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How a fit is made.

    Attributes:
        effort: about how many whole trainings probing may take; 0 chooses by statistics alone.
        methods: names that may be chosen; None: all that train in one stage. Those of which no arithmetic says what
            they keep take part in probing, for all tables.
        storages: names that may be chosen; None: float32, float16, int8 and int4.
        ns_per_row: processor nanoseconds that looking up the ids of one row may take, or None.
        out: folder for findings, so that an interrupted fit goes on; None keeps nothing.
        cache: folder of encoded data.
        jobs: trainings at a time.
        memory_bytes: what all of them together may need.
    """

    effort: int = 24
    methods: tuple[str, ...] | None = None
    storages: tuple[str, ...] | None = None
    ns_per_row: float | None = None
    out: Path | None = None
    cache: Path
    jobs: int = 1
    memory_bytes: int = 1 << 62

    def __post_init__(self) -> None:
        if self.effort < 0:
            raise OptionError(f"effort must be 0 or more, got {self.effort}.")
        if self.methods is not None:
            object.__setattr__(self, "methods", tuple(METHODS.get(name).name for name in self.methods))
        for name in self.storages or ():
            STORAGES.get(name)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What was chosen.

    Attributes:
        config: trains it; its budget is in bytes.
        sizing: exact bytes of every tensor.
        label: what was chosen, for people.
        chosen: the choice per table, of which `config` is one candidate, or the one that lost against a single method.
        worths: of every table, as they were known in the end.
        figures: by label, mean figures on validation rows, the best first; {} where nothing was trained.
        findings: all trainings.
        cpu_seconds: of processors, by all trainings, that which measured what tables are worth included.
    """

    config: RunConfig
    sizing: Sizing
    label: str
    chosen: Chosen
    worths: Mapping[str, TableWorth]
    figures: Mapping[str, float]
    findings: tuple[Finding, ...]
    cpu_seconds: float

    @property
    def per_table(self) -> bool:
        """Whether the choice per table was taken."""
        return self.config.method == "mixed"

    def certificate(self) -> dict[str, Any]:
        """The bytes, and what they rest on; JSON only."""
        sizing = self.sizing
        text = json.dumps(self.config.to_json(), sort_keys=True)
        return {
            "pocketrec": version("pocketrec"),
            "budget_bytes": sizing.budget_bytes, "promised_bytes": sizing.serve_bytes,
            "unused_bytes": sizing.unused_bytes, "train_bytes": sizing.train_bytes,
            "vocabulary_bytes": sizing.vocabulary_bytes,
            "tensors": [
                {"method": g.method, "name": t.name, "shape": list(t.shape), "dtype": t.dtype, "bytes": t.nbytes}
                for g in sizing.groups for t in g.serve
            ],
            "chosen": self.label, "chosen_by": "probing" if self.findings else "statistics",
            "trainings": len(self.findings), "cpu_seconds": self.cpu_seconds,
            "validation_figures": dict(self.figures),
            "price_nats_per_byte": self.chosen.price, "expected_nats_lost": self.chosen.nats,
            "solver_gap_nats": self.chosen.gap,
            "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }  # fmt: skip


def fit_run(
    config: RunConfig, settings: FitSettings, *, watching: Probing | None = None, progress: Progress = silent
) -> Fit:  # fmt: skip
    """Choose methods, storages and settings for a number of bytes.

    Args:
        config: data, schema, split, budget, model, and the settings of training to begin with. Its method is one of the
            candidates of probing.
        settings: how.
        watching: told how probing goes.
        progress: told how far reading is.

    Raises:
        BudgetTooSmall: names the floor. OptionError: limits or names that leave nothing to choose.
        KeyboardInterrupt: findings so far are in ``settings.out``.
    """
    # hash_rows takes ids of every kind: which methods take these is found out below
    check_schema(replace(config, method="hash_rows", options={}), schema_of(config.schema))
    dataset = open_data(config, settings.cache, progress=progress)
    return _Fitting(config, settings, dataset, watching or Silently()).run()


class _Fitting:
    """One fit.

    Args:
        config: see :func:`fit`.
        settings: see :func:`fit`.
        dataset: the encoded rows.
        watching: told how probing goes.
    """

    def __init__(self, config: RunConfig, settings: FitSettings, dataset: Dataset, watching: Probing) -> None:
        self.settings, self.dataset = settings, dataset
        self.tables = dataset.table_specs(row_dim(config))
        budget = Budget.parse(config.budget, train=config.train_budget)
        self.limits = Limits(
            serve_bytes=budget.resolve(self.tables), train_bytes=budget.train_bytes, ns=settings.ns_per_row
        )
        self.config = replace(config, budget=self.limits.serve_bytes)
        self.worths: Mapping[str, TableWorth] = worths(dataset)
        rows = max(1, dataset.parts["train"])
        self.lookups = {name: worth.stats.occurrences / rows for name, worth in self.worths.items()}
        self.measuring_seconds = 0.0
        self.mixes = True  # whether a choice per table may be the answer
        self.tastes = self._tastes()
        lines = None if settings.out is None else settings.out / "probes.jsonl"
        self.prober = Prober(
            self.config, dataset.path.name, settings.cache, lines=lines, jobs=settings.jobs,
            memory_bytes=settings.memory_bytes, watching=watching,
        )  # fmt: skip

    def run(self) -> Fit:
        """The whole way."""
        chosen = self._chosen(self.worths)
        mixture = Candidate(label=_STATISTICS, values=self._values(chosen))
        if not self.settings.effort:
            return self._fit(mixture, chosen, {}, ())
        if not self.dataset.parts["validation"]:
            raise TrainingError("Probing judges on validation rows, and there are none. Change the split, or effort=0.")
        return self._probed(chosen, mixture)

    # -- by statistics -----------------------------------------------------------------------------------------------

    def _tastes(self) -> Tastes:
        asked = self.settings
        init = {key: value for key, value in method_options(self.config).items() if key == "init"}
        tastes = Tastes(options=init)
        if asked.methods is not None:
            lawful = tuple(name for name in tastes.methods if name in asked.methods)
            self.mixes = bool(lawful)
            if not lawful and not asked.effort:
                raise OptionError(
                    f"No arithmetic says what {', '.join(asked.methods)} would keep of a table. Let trainings tell "
                    f"(effort above 0), or allow one of {', '.join(tastes.methods)}."
                )
            tastes = replace(tastes, methods=lawful or tastes.methods)
        if asked.storages is not None:
            tastes = replace(tastes, storages=asked.storages)
        if asked.ns_per_row is None:
            return tastes
        return replace(tastes, ns=lookup_costs(tastes, self.tables))

    def _chosen(self, known: Mapping[str, TableWorth], storages: tuple[str, ...] | None = None) -> Chosen:
        tastes = self.tastes if storages is None else replace(self.tastes, storages=storages)
        offered = [
            choices_of(
                table, known[table.name], tastes, budget_bytes=self.limits.serve_bytes,
                optimizer=self.config.optimizer, lookups=self.lookups[table.name],
            )
            for table in self.tables
        ]  # fmt: skip
        return topped_up(choose(offered, self.limits), self.tables, known, self.config.optimizer)

    def _values(self, chosen: Chosen) -> dict[str, Any]:
        return {"method": "mixed", "options": {**self.tastes.options, "parts": chosen.parts()}}

    # -- by probing --------------------------------------------------------------------------------------------------

    def _probed(self, chosen: Chosen, mixture: Candidate) -> Fit:
        asked, effort, seed = self.settings, self.settings.effort, self.config.seed
        first, second, whole = _rungs(self.config.train.epochs)
        known = _corrected(self.worths, self._measured(mixture, first)) if self.mixes else self.worths
        better = self._chosen(known)
        mixtures = {_STATISTICS: chosen.parts(), _MEASURED: better.parts()} if self.mixes else {}
        if self.mixes and asked.storages is None:
            mixtures[f"{_MEASURED}, int8"] = self._chosen(known, ("int8",)).parts()
        names = methods_tried(self.config, {t.ids for t in self.tables}, asked.methods)
        tried = recipes(self.config, mixtures, names, asked.storages, allowed=asked.methods)
        if not tried:
            raise OptionError(
                f"None of {', '.join(asked.methods or ())} can hold all tables: their ids are "
                f"{', '.join(sorted({t.ids for t in self.tables}))}"
                + (", and settings with refit train on validation rows too." if self.config.refit else ".")
            )
        left = self._best("every method", tried, first, [seed], max(2, effort // 6))
        more = variants(self.config, left, max(2, 2 * effort // 3), asked.storages, seed=seed)
        left = self._best("storages and settings", more, second, [seed], max(2, effort // 4))
        left = self._best("whole trainings", left, whole, [seed], max(1, effort // 8))
        self._best("further seeds", left, whole, [seed, seed + 1, seed + 2], 1)
        own = {one.label for one in left}
        findings = tuple(self.prober.findings.values())
        figures = mean_figures([f for f in findings if f.label in own and f.rung == whole])
        best = next(one for one in left if one.label == next(iter(figures)))
        self.worths = known
        return self._fit(best, chosen if best.label.startswith(_STATISTICS) else better, figures, findings)

    def _measured(self, mixture: Candidate, rung: Rung) -> dict[str, float]:
        """Nats that each table is worth to a model that trained for a little."""
        file = None if self.settings.out is None else self.settings.out / "worth.json"
        key = hashlib.sha256(json.dumps([self.config.to_json(), mixture.values, self.dataset.path.name]).encode())
        if file is not None and file.exists():
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if found["of"] == key.hexdigest():
                self.measuring_seconds = found["cpu_seconds"]
                return found["nats"]  # type: ignore[no-any-return]
        own = {**mixture.values, "train.epochs": rung.epochs, "train.share": rung.share, "refit": False}
        config = RunConfig.from_json(overridden(self.config.to_json(), own))
        began = time.process_time()
        model = run(config, out=None, cache=self.settings.cache, test=False).recommender.model
        nats = measured_nats(model, self.dataset)
        self.measuring_seconds = time.process_time() - began
        if file is not None:
            kept = {"of": key.hexdigest(), "nats": nats, "cpu_seconds": self.measuring_seconds}
            write_durably(file, json.dumps(kept).encode())
        return nats

    def _best(
        self, stage: str, candidates: Sequence[Candidate], rung: Rung, seeds: Sequence[int], count: int
    ) -> list[Candidate]:
        """The best of these candidates after so much training, the best first."""
        found = self.prober.run(stage, [(one, rung, seed) for one in candidates for seed in seeds])
        allowed = [one for one in found if self._quick_enough(one)]
        if not allowed:
            raise OptionError(
                f"No candidate takes at most {self.limits.ns:,.0f} ns to look one row's ids up; the quickest took "
                f"{min(self._ns(one) for one in found):,.0f}. Allow more."
            )
        means = mean_figures(allowed)
        if not means:
            reasons = "; ".join(dict.fromkeys(f"{one.label}: {one.why}" for one in found))
            raise TrainingError(f"No candidate could be trained. {reasons}")
        by_label = {one.label: one for one in candidates}
        return [by_label[label] for label in list(means)[:count]]

    def _quick_enough(self, one: Finding) -> bool:
        return self.limits.ns is None or one.ns_per_lookup is None or self._ns(one) <= self.limits.ns

    def _ns(self, one: Finding) -> float:
        """Nanoseconds to look one row's ids up."""
        return (one.ns_per_lookup or 0.0) * sum(self.lookups.values())

    # -- the answer --------------------------------------------------------------------------------------------------

    def _fit(
        self, best: Candidate, chosen: Chosen, figures: Mapping[str, float], findings: tuple[Finding, ...]
    ) -> Fit:  # fmt: skip
        config = RunConfig.from_json(overridden(self.config.to_json(), best.values), source=best.label)
        sizing = size_run(config, self.dataset)
        assert sizing.serve_bytes <= self.limits.serve_bytes
        return Fit(
            config=config, sizing=sizing, label=best.label, chosen=chosen, worths=self.worths, figures=figures,
            findings=findings, cpu_seconds=self.measuring_seconds + math.fsum(f.cpu_seconds for f in findings),
        )  # fmt: skip


def _corrected(before: Mapping[str, TableWorth], measured: Mapping[str, float]) -> dict[str, TableWorth]:
    """Worths halfway between what statistics say, at the scale of what was measured, and what was measured.

    A model that trained for a little knows which tables it uses, and cannot tell small worths from none.
    """
    scale = math.fsum(measured.values()) / (math.fsum(worth.nats for worth in before.values()) or 1.0)
    return {name: worth.scaled_to((worth.nats * scale + measured[name]) / 2) for name, worth in before.items()}


def _rungs(epochs: int) -> tuple[Rung, Rung, Rung]:
    """Short, longer and whole trainings: a ninth, a third, all of the epochs."""
    first = Rung(epochs=epochs // 9) if epochs >= 9 else Rung(epochs=1, share=max(0.25, epochs / 9))
    second = Rung(epochs=max(1, epochs // 3))
    return first, second, Rung(epochs=epochs)
