"""Bars are judged by the figures, and a missed one is printed as missed."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CONDITIONS = {
    "cpu": "a processor", "cores": 2, "kernels": "compiled", "simd": "avx2", "torch": "2", "torch_simd": "AVX2",
    "commit": "abc", "date": "today",
}  # fmt: skip


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The harness, which programs in benchmarks/ import by these names."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return {name: importlib.import_module(name) for name in ("measure", "tables", "performance")}


def line(contestant: str, dim: int, *each: float) -> dict[str, Any]:
    """A result line."""
    return {
        "benchmark": "b", "case": {"dim": dim}, "contestant": contestant, "unit": "s", "median": sorted(each)[1],
        "low": min(each), "high": max(each), "each": list(each), "facts": {}, "quiet": True, **CONDITIONS,
    }  # fmt: skip


def claim(modules: dict[str, Any], *bars: Any) -> Any:
    """A claim with these bars over three cases."""
    return modules["measure"].Claim(
        name="lookup_float32_against_torch", says="we are fast", cases=[], quick=[], measure=lambda run: None, bars=bars
    )


# per case the ratios are .5, 1 and 2, process by process
LINES = [
    *(line("ours", dim, 1e-3 * times, 2e-3 * times, 9e-3 * times) for dim, times in ((16, 0.5), (64, 1), (128, 2))),
    *(line("peer", dim, 1e-3, 2e-3, 9e-3) for dim in (16, 64, 128)),
]


@pytest.mark.parametrize(
    ("bar", "met", "measured"),
    [
        ({"most": 1.0, "median": True}, True, "1.000"),
        ({"most": 0.9, "median": True}, False, "1.000"),
        ({"most": 2.0}, True, "2.000 at dim 128"),
        ({"most": 1.9}, False, "2.000 at dim 128"),
        ({"most": 0.5, "where": {"dim": 16}}, True, "0.500"),
        ({"most": 0.5, "where": {"dim": 32}}, None, "not measured"),
    ],
)
def test_a_bar_is_met_by_every_case_or_by_their_median(
    modules: dict[str, Any], bar: dict[str, Any], met: bool | None, measured: str
) -> None:
    stated = claim(modules, modules["measure"].Bar(ours="ours", peer="peer", **bar))
    [verdict] = modules["tables"].verdicts(stated, LINES)
    assert verdict.met is met
    assert measured in str(verdict)
    assert ("MISSED" in str(verdict)) == (met is False)


def test_a_bar_without_a_peer_binds_the_figure_itself(modules: dict[str, Any]) -> None:
    bars = [modules["measure"].Bar(ours="ours", most=most, where={"dim": 16}) for most in (1e-3, 0.9e-3)]
    assert [verdict.met for verdict in modules["tables"].verdicts(claim(modules, *bars), LINES)] == [True, False]


def test_the_ratio_is_the_median_over_processes_and_not_of_medians(modules: dict[str, Any]) -> None:
    case = {"ours": line("ours", 16, 1, 2, 3), "peer": line("peer", 16, 2, 1, 2)}
    assert modules["tables"].ratio(case, "ours", "peer") == 1.5
    assert modules["tables"].ratio(case, "ours", "nobody") is None


# five seeds whose differences are -.0001, ..., .0003: mean .0001, standard deviation .000158, t of four degrees 2.776
GAPS = (-1e-4, 0.0, 1e-4, 2e-4, 3e-4)


def area(contestant: str, seed: int, figure: float, *, quiet: bool = True) -> dict[str, Any]:
    """A result line of an AUC."""
    found = {"median": figure, "low": figure, "high": figure, "each": [figure], "unit": "AUC", "quiet": quiet}
    return {**line(contestant, 16, 0, 0, 0), "case": {"seed": seed}, **found}


def areas(shift: float = 0.0, *, seeds: int = 5, quiet: bool = True) -> list[dict[str, Any]]:
    """Lines of ours, .75 and more by the gaps and the shift, and of a peer."""
    ours = [area("ours", seed, 0.75 + seed / 100 + GAPS[seed] + shift, quiet=quiet) for seed in range(seeds)]
    return [*ours, *(area("peer", seed, 0.75 + seed / 100, quiet=quiet) for seed in range(seeds))]


@pytest.mark.parametrize(
    ("shift", "seeds", "within", "met", "measured"),
    [
        (0.0, 5, 3e-4, True, "mean +0.00010, interval -0.00010 to +0.00030 (5 cases): met"),
        (0.0, 5, 2.9e-4, False, "MISSED"),
        (1e-3, 5, 1e-3, False, "mean +0.00110, interval +0.00090 to +0.00130 (5 cases): MISSED"),
        (-1e-3, 5, 1e-3, False, "mean -0.00090, interval -0.00110 to -0.00070 (5 cases): MISSED"),
        (0.0, 4, 1e-3, None, "(4 cases, 5 are needed): not measured"),
        (0.0, 0, 1e-3, None, "(0 cases, 5 are needed): not measured"),
    ],
)
def test_an_interval_of_paired_differences_is_bound_on_both_sides(
    modules: dict[str, Any], shift: float, seeds: int, within: float, met: bool | None, measured: str
) -> None:
    stated = claim(modules, modules["measure"].Interval(ours="ours", peer="peer", within=within))
    [verdict] = modules["tables"].verdicts(stated, areas(shift, seeds=seeds))
    assert verdict.met is met
    assert measured in str(verdict)


def test_a_seed_that_one_side_lacks_is_no_pair(modules: dict[str, Any]) -> None:
    stated = claim(modules, modules["measure"].Interval(ours="ours", peer="peer", within=1e-3))
    gone = {"case": {"seed": 0}, "contestant": "peer", "unit": "AUC", "skipped": "it is not installed", **CONDITIONS}
    lines = [gone if found["contestant"] == "peer" and found["case"]["seed"] == 0 else found for found in areas()]
    [verdict] = modules["tables"].verdicts(stated, lines)
    assert verdict.met is None
    assert "(4 cases, 5 are needed)" in str(verdict)


def test_areas_have_five_digits_and_are_nobody_elses(modules: dict[str, Any]) -> None:
    stated = claim(modules, modules["measure"].Interval(ours="ours", peer="peer", within=1e-3))
    shown = modules["tables"].table(replace(stated, unit="AUC"), areas(quiet=False))
    assert "| seed 4 | 0.79030 | 0.79000 |" in shown
    assert "| seed 0 | -0.00010 |" in shown
    assert "*" not in shown, "what others compute changes no AUC"


def test_the_page_prints_what_was_missed_busy_or_never_measured(modules: dict[str, Any]) -> None:
    slow = {**line("pocketrec", 16, 3.0, 3.0, 3.0), "quiet": False}
    gone = {"case": {"dim": 16}, "contestant": "a peer", "unit": "s", "skipped": "it is not installed", **CONDITIONS}
    page = modules["performance"].page(
        {"lookup_float32_against_torch": [slow, line("torch embedding_bag", 16, 1.0, 1.0, 1.0), gone]}
    )
    assert "measured 3.000 (1 cases): MISSED" in page
    assert "1 of 3 figures were taken while others computed" in page
    assert "Not here: a peer: it is not installed." in page
    assert page.count("Not measured yet.") == len(modules["performance"].NAMES) - 1
    assert "| [lookup_float32_against_torch](#lookup_float32_against_torch) | 0 of 2 bars |" in page


def test_the_page_counts_processes_of_what_was_timed_and_tells_what_nobody_could_measure(
    modules: dict[str, Any],
) -> None:
    timed = [line("pocketrec", 16, 1.0, 1.0, 1.0), line("torch embedding_bag", 16, 1.0, 1.0, 1.0)]
    once = [{**found, "contestant": "reference"} for found in areas()[5:]]
    page = modules["performance"].page({"lookup_float32_against_torch": timed, "auc_against_reference": once})
    assert "over 3 processes of the median step" in page
    gone = {"case": {"seed": 1}, "contestant": "reference", "unit": "AUC", "skipped": "no log", **CONDITIONS}
    page = modules["performance"].page({"auc_against_reference": [gone]})
    assert "Not here: reference: no log." in page
    assert "| [auc_against_reference](#auc_against_reference) | 0 of 2 bars, 2 not measured |" in page


def test_what_stops_a_bar_is_told_where_it_is_missed(modules: dict[str, Any]) -> None:
    stated = replace(claim(modules, modules["measure"].Bar(ours="ours", peer="peer", most=1.0)), stopped="Memory does.")
    section = modules["performance"]._section
    assert "Memory does." in section(stated, [line("ours", 16, 3, 3, 3), line("peer", 16, 1, 1, 1)])
    assert "Memory does." not in section(stated, [line("ours", 16, 1, 1, 1), line("peer", 16, 3, 3, 3)])
    assert "Memory does." not in section(stated, [])
