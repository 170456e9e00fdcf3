"""Contestants take turns, and who cannot take part is reported."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/measure.py."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("measure")


def contestants(called: list[str], *names: str) -> dict[str, Callable[[], Callable[[], None]]]:
    """Contestants that note when their step is made."""

    def maker(name: str) -> Callable[[], Callable[[], None]]:
        return lambda: lambda: called.append(name)

    return {name: maker(name) for name in names}


def test_every_round_begins_with_another_contestant(measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(measure, "_repeats", lambda step: 1)
    run = measure.Run(case={}, effort=measure.Effort(rounds=3, steps=2))
    run.time(contestants(called, "a", "b", "c"))
    # one step each to begin with; then, round by round, one that is not timed and two that are
    assert "".join(called) == "abc" + "aaabbbccc" + "bbbcccaaa" + "cccaaabbb"
    assert sorted(run.found) == ["a", "b", "c"]
    assert all(0 <= seconds < 1 for seconds in run.found.values())


def test_a_contestant_that_is_missing_is_told_with_its_reason(measure: Any) -> None:
    def gone() -> Any:
        raise measure.Missing("it is not installed")

    run = measure.Run(case={}, effort=measure.QUICK)
    run.time({**contestants([], "a"), "b": gone})
    assert list(run.found) == ["a"]
    assert run.missing == {"b": "it is not installed"}


@pytest.mark.parametrize(("only", "measured"), [(None, ["a", "b"]), ("c", ["c"])])
def test_who_is_alone_has_a_process_for_itself(measure: Any, only: str | None, measured: list[str]) -> None:
    run = measure.Run(case={}, effort=measure.QUICK, only=only, alone=["c"])
    run.time(contestants([], "a", "b", "c"))
    assert list(run.found) == measured


def test_a_claim_becomes_a_line_per_case_and_contestant(measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure.torch, "set_num_threads", lambda count: None)

    def found(run: Any) -> None:
        run.found = {"ours": run.case["x"] * 1.0}

    claim = measure.Claim(name="n", says="s", cases=[], quick=[{"x": 1}, {"x": 2}], measure=found)
    lines = measure.run(claim, measure.QUICK)
    assert [(line["case"], line["median"], line["each"]) for line in lines] == [({"x": 1}, 1, [1]), ({"x": 2}, 2, [2])]
    assert {"commit", "cpu", "simd", "torch", "load", "others_cores", "quiet", "date"} <= set(lines[0])


@pytest.mark.parametrize(("own", "processes"), [(None, 3), (1, 1)])
def test_a_claim_may_say_how_many_processes_it_needs(
    measure: Any, monkeypatch: pytest.MonkeyPatch, own: int | None, processes: int
) -> None:
    monkeypatch.setattr(
        measure,
        "_in_a_process",
        lambda claim, case, effort, only: {
            "found": {"ours": float(effort.rounds)}, "missing": {}, "facts": {}, "load": 0.0, "others_cores": 0.0,
        },
    )  # fmt: skip
    claim = measure.Claim(
        name="n", says="s", cases=[{"x": 1}], quick=[], measure=lambda run: None, processes=own
    )  # fmt: skip
    [line] = measure.run(claim, measure.Effort(processes=3, rounds=7))
    assert line["each"] == [7.0] * processes


def test_slow_steps_are_made_less_often(measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(measure, "_repeats", lambda step: 1)
    monkeypatch.setattr(measure, "SLOW_S", -1.0)
    measure.Run(case={}, effort=measure.Effort(rounds=2, steps=8)).time(contestants(called, "a"))
    assert len(called) == 1 + 2 * (1 + measure.SLOW_STEPS)


def test_products_of_a_net_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 13-512-256-64-16 and 367-512-256-1; the dense numbers need no gradient."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    bench = importlib.import_module("dlrm_step_against_reference")
    bottom = 13 * 512 + 512 * 256 + 256 * 64 + 64 * 16
    top = (16 + 27 * 26 // 2) * 512 + 512 * 256 + 256
    model = bench.our_model({"cap": 5})
    assert bench.products(model, 3, learning=False) == 3 * (bottom + top)
    assert bench.products(model, 3, learning=True) == 3 * (3 * (bottom + top) - 13 * 512)


@pytest.mark.parametrize("dim", [16, 64])
@pytest.mark.parametrize("bits", [4, 8])
def test_the_limit_of_decoding_decodes(monkeypatch: pytest.MonkeyPatch, dim: int, bits: int) -> None:
    """Otherwise it would be no limit."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    limits = importlib.import_module("machine_limits")
    name = "4bit" if bits == 4 else "byte"
    pack, unpack = (getattr(torch.ops.quantized, f"embedding_bag_{name}_{way}") for way in ("prepack", "unpack"))
    rows = pack(torch.randn(9, dim, generator=torch.Generator().manual_seed(1)))
    ids, out = torch.tensor([8, 0, 3, 3]), torch.empty(4, dim)
    try:
        limits._decoding(rows, [ids], bits, out)()
    except importlib.import_module("measure").Missing as why:
        pytest.skip(str(why))
    torch.testing.assert_close(out, unpack(rows)[ids], rtol=1e-6, atol=1e-6)
