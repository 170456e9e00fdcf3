"""From files and bytes to a configuration: within every limit, by statistics and by probing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pocketrec.bench import fitting
from pocketrec.bench.explain import explanation
from pocketrec.bench.fitting import FitSettings, fit, fit_run
from pocketrec.bench.probe import Candidate, Finding, Prober, Rung
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic
from pocketrec.pipeline.config import RunConfig
from pocketrec.pipeline.train import run
from pocketrec.spec.errors import BudgetTooSmall, OptionError, TrainingError, UnknownName

TINY = {"dim": 4, "model": {"bottom": [4], "top": [4]}, "train": {"epochs": 2, "batch_size": 64, "matmul": "torch"}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    path = tmp_path_factory.mktemp("log") / "log.tsv.gz"
    spec = SyntheticSpec(rows=1500, cardinalities=(300, 100, 10), seed=4)
    write_synthetic(path, spec)
    return RunConfig.from_json({"data": [str(path)], "schema": spec.schema.to_json(), "budget": "8x", **TINY})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class Judge:
    """In place of trainings: a made-up figure for each, by its label; every one that was asked for is noted."""

    def __init__(self, figures: dict[str, float], ns: dict[str, float] | None = None) -> None:
        self.figures, self.ns, self.asked = figures, ns or {}, list[tuple[str, Rung, int]]()

    def __call__(self, prober: Prober, name: str, asked: list[tuple[Candidate, Rung, int]]) -> list[Finding]:
        found = []
        for one, rung, seed in asked:
            self.asked.append((one.label, rung, seed))
            figure = next((f for start, f in self.figures.items() if one.label.startswith(start)), 0.5)
            key = f"{one.label} {rung} {seed}"
            prober.findings[key] = Finding(
                label=one.label, rung=rung, seed=seed, asked=key, figure=figure + 1e-4 * seed, cpu_seconds=1.0,
                ns_per_lookup=next((n for start, n in self.ns.items() if one.label.startswith(start)), 10.0),
            )  # fmt: skip
            found.append(prober.findings[key])
        return found


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``judged(figures)``: no processes, and a model's measure of tables that needs no training."""

    def by(figures: dict[str, float], **more: Any) -> Judge:
        judge = Judge(figures, **more)
        monkeypatch.setattr(Prober, "run", lambda self, name, asked: judge(self, name, asked))
        monkeypatch.setattr(fitting, "measured_nats", lambda model, data: {"C1": 0.03, "C2": 0.0, "C3": 0.01})
        return judge

    return by


def test_statistics_alone_give_a_run_of_these_bytes(base: RunConfig, cache: Path) -> None:
    found = fit_run(base, FitSettings(effort=0, cache=cache))
    assert found.per_table
    assert found.config.method == "mixed"
    budget = found.sizing.budget_bytes
    assert found.config.budget == budget
    assert 0.9 * budget < found.sizing.serve_bytes <= budget
    trained = run(found.config, out=None, cache=cache)
    assert trained.result.promised_bytes == trained.result.held_bytes == found.sizing.serve_bytes
    certificate = found.certificate()
    assert json.loads(json.dumps(certificate)) == certificate
    assert sum(t["bytes"] for t in certificate["tensors"]) == certificate["promised_bytes"] == found.sizing.serve_bytes
    assert certificate["chosen_by"] == "statistics"
    assert certificate["price_nats_per_byte"] > 0
    text = explanation(found)
    for name in ("C1", "C2", "C3"):
        assert f"| {name} |" in text
    assert f"{found.sizing.serve_bytes:,} of {budget:,} bytes" in text
    assert "one more KiB is expected to lower the log-loss by 0." in text


def test_from_python_it_is_one_call(base: RunConfig, cache: Path, tmp_path: Path) -> None:
    values = base.to_json()
    same = {key: values[key] for key in ("schema", "dim", "model", "train")}
    found = fit(values["data"][0], budget="8x", effort=0, out=tmp_path / "new" / "fit", cache=cache, **same)
    assert found.config == fit_run(base, FitSettings(effort=0, cache=cache)).config
    assert (tmp_path / "new" / "fit").is_dir()
    only = fit(values["data"][0], budget="8x", effort=0, cache=cache, methods=["hash_rows"], storages=["int8"], **same)
    assert {(c.method, c.storage) for c in only.chosen.choices} == {("hash_rows", "int8")}


def test_limits_are_kept(base: RunConfig, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = fit_run(base, FitSettings(effort=0, cache=cache))
    most = plain.sizing.train_bytes // 2
    tight = fit_run(replace(base, train_budget=most), FitSettings(effort=0, cache=cache))
    assert tight.sizing.train_bytes <= most
    only = fit_run(base, FitSettings(effort=0, cache=cache, methods=("hash_rows",), storages=("int8",)))
    assert {(c.method, c.storage) for c in only.chosen.choices} == {("hash_rows", "int8")}
    costs = {(m, s): 20.0 if s == "int4" else 5.0 for m in ("min_count", "hash_rows", "offline_split")
             for s in ("float32", "float16", "int8", "int4")}  # fmt: skip
    monkeypatch.setattr(fitting, "lookup_costs", lambda tastes, tables: costs)
    quick = fit_run(base, FitSettings(effort=0, cache=cache, ns_per_row=16.0))
    assert {c.storage for c in quick.chosen.choices} <= {"float32", "float16", "int8"}


@pytest.mark.parametrize(
    ("change", "settings", "error", "said"),
    [
        ({"budget": 3}, {}, BudgetTooSmall, "fit needs at least"),
        ({"train_budget": 9}, {}, BudgetTooSmall, "train"),
        ({}, {"methods": ("robo",)}, UnknownName, "robo"),
        (
            {},
            {"methods": ("robe",)},
            OptionError,
            r"No arithmetic says what robe would keep of a table\. Let trainings tell",
        ),
        ({}, {"storages": ("int3",)}, UnknownName, "int3"),
        ({}, {"effort": -1}, OptionError, "effort must be 0 or more"),
        ({}, {"ns_per_row": 1e-3}, OptionError, "quickest choices take"),
    ],
)
def test_what_leaves_nothing_to_choose_is_refused(
    base: RunConfig, cache: Path, change: dict[str, Any], settings: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        fit_run(replace(base, **change), FitSettings(**{"effort": 0, "cache": cache, **settings}))


def test_probing_takes_the_best_on_validation_rows(base: RunConfig, cache: Path, judged: Any) -> None:
    judge = judged({"robe int4": 0.8, "robe": 0.7, "hash_rows": 0.6})
    found = fit_run(base, FitSettings(effort=12, cache=cache))
    assert found.label == "robe int4"
    assert not found.per_table
    assert (found.config.method, found.config.options["storage"]) == ("robe", "int4")
    assert found.figures[found.label] == pytest.approx(0.8001)
    assert {seed for label, rung, seed in judge.asked if label == "robe int4"} == {0, 1, 2}
    lengths = [rung.epochs * rung.share for _, rung, _ in judge.asked]
    assert lengths == sorted(lengths), "the longer, the fewer"
    assert len(judge.asked) < 60
    assert found.certificate()["chosen_by"] == "probing"
    measuring = found.certificate()["cpu_seconds"] - len(set(judge.asked))
    assert 0 < measuring < 60, "the training that measured what tables are worth counts"
    assert "One method holds all tables" in explanation(found)
    before = fit_run(base, FitSettings(effort=0, cache=cache)).worths
    scale = 0.04 / sum(worth.nats for worth in before.values())
    for name, nats in (("C1", 0.03), ("C2", 0.0), ("C3", 0.01)):
        assert found.worths[name].nats == pytest.approx((nats + scale * before[name].nats) / 2)


def test_a_mixture_can_win_and_is_that_of_the_measured_worth(base: RunConfig, cache: Path, judged: Any) -> None:
    judged({"per table, by a trained model": 0.8})
    found = fit_run(base, FitSettings(effort=12, cache=cache, storages=("int8", "float32")))
    assert found.label.startswith("per table, by a trained model")
    held, plain = (
        {c.table: c.nbytes for c in chosen.choices}
        for chosen in (
            found.chosen,
            fit_run(base, FitSettings(effort=0, cache=cache, storages=("int8", "float32"))).chosen,
        )
    )
    assert held["C2"] < plain["C2"], "worth less than statistics say"
    assert found.config.options["parts"] == found.chosen.parts()
    assert found.sizing.serve_bytes <= found.sizing.budget_bytes


def test_what_is_not_allowed_is_neither_tried_nor_chosen(base: RunConfig, cache: Path, judged: Any) -> None:
    """The run's own method is none that is allowed, and no arithmetic knows those that are."""
    judge = judged({"per table": 0.9, "hash_rows": 0.8, "robe": 0.7})
    found = fit_run(replace(base, method="hash_rows"), FitSettings(effort=6, cache=cache, methods=("robe", "compo")))
    assert found.config.method == "robe"
    assert {label.split()[0] for label, _, _ in judge.asked} == {"robe", "quotient_remainder"}
    found = fit_run(base, FitSettings(effort=6, cache=cache, methods=("robe", "min_count"), storages=("int8",)))
    assert found.label.startswith("per table")
    assert {c.method for c in found.chosen.choices} == {"min_count"}
    assert {part["options"]["storage"] for part in found.config.options["parts"]} == {"int8"}
    with pytest.raises(OptionError, match="None of autodim can hold all tables"):
        fit_run(replace(base, refit=True), FitSettings(effort=6, cache=cache, methods=("autodim",)))


def test_candidates_that_are_too_slow_are_out(base: RunConfig, cache: Path, judged: Any) -> None:
    judged({"robe": 0.9, "hash_rows": 0.6}, ns={"robe": 1000.0})
    assert not fit_run(base, FitSettings(effort=6, cache=cache, ns_per_row=600.0)).label.startswith("robe")
    judged({}, ns={"": 1000.0})
    with pytest.raises(OptionError, match="the quickest took 3,000"):
        fit_run(base, FitSettings(effort=6, cache=cache, ns_per_row=600.0))


def test_probing_needs_validation_rows(base: RunConfig, cache: Path) -> None:
    without = RunConfig.from_json({**base.to_json(), "split": {"rows": [1000, 0, 500]}})
    with pytest.raises(TrainingError, match="validation rows, and there are none"):
        fit_run(without, FitSettings(effort=3, cache=cache))


@pytest.mark.slow
def test_an_interrupted_fit_goes_on_and_says_the_same(base: RunConfig, cache: Path, tmp_path: Path) -> None:
    """Real trainings, few of them; the second time none is made."""
    settings = FitSettings(effort=3, cache=cache, out=tmp_path, methods=("min_count", "hash_rows"))

    class Interrupt:
        left = 3

        def stage(self, name: str, trainings: int) -> None:
            pass

        def found(self, finding: Finding) -> None:
            assert finding.why is None
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_run(base, settings, watching=Interrupt())
    lines = (tmp_path / "probes.jsonl").read_text().splitlines()
    assert len(lines) == 3
    found = fit_run(base, settings)
    after = (tmp_path / "probes.jsonl").read_text().splitlines()
    assert after[:3] == lines
    again = fit_run(base, settings)
    assert (tmp_path / "probes.jsonl").read_text().splitlines() == after
    assert again.config == found.config
    assert again.certificate() == found.certificate()
    assert max(found.figures.values()) == found.figures[found.label]
