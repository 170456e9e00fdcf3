"""How every benchmark here measures.

A file states a `Claim`: cases, a function that runs all contestants on one case, and bars. For each case, processes are
started one after the other. In each, all contestants make their steps in turn, round after round, so that whatever else
the machine does falls on all of them; a contestant's figure is its median step, and its result the median over the
processes. With one thread CPU time is taken, with more the clock on the wall. Every result is one JSON line that also
says the commit, the machine and what others did on it meanwhile.

    python benchmarks/<claim>.py [--processes 5] [--out results.jsonl] [--quick] [--busy]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from machine import QUIET_OTHERS, Moment, conditions, wait_until_quiet

Case = dict[str, Any]
Step = Callable[[], object]
Line = dict[str, Any]
PROCESSES = 5
SLOW_S, SLOW_STEPS = 0.5, 2  # steps that take longer are made so often per round: their own noise is small


class Missing(Exception):
    """A contestant cannot take part here; the message says why. It is reported, never left out in silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What is claimed: `ours` takes at most `most` times what `peer` takes (`most` itself where there is no peer).

    Attributes:
        ours: a contestant.
        peer: the other one, or None.
        most: bound of the ratio, or of the figure itself in the claim's unit.
        median: whether the median of the ratios over all cases is bound, not each of them.
        where: which cases are meant; those that have these values.
    """

    ours: str
    most: float
    peer: str | None = None
    median: bool = False
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What is claimed: `ours` gives what `peer` gives. The cases are draws, and their differences are paired.

    Attributes:
        ours: a contestant.
        peer: the other one.
        within: the 95 % interval of the mean difference lies within this distance of 0, in the claim's unit.
        least: of fewer cases nothing is said.
    """

    ours: str
    peer: str
    within: float
    least: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How often: processes per case, rounds per process, steps of each contestant per round."""

    processes: int = PROCESSES
    rounds: int = 5
    steps: int = 8


QUICK = Effort(processes=1, rounds=1, steps=1)


@dataclass(slots=True, kw_only=True)
class Run:
    """One process's work on one case: what it found, by contestant.

    Attributes:
        case: the case.
        effort: how often.
        only: the one contestant that has this process for itself, or None.
        alone: contestants that have processes for themselves.
        found: the median time of one step, or whatever else is measured, by contestant.
        missing: why a contestant did not take part.
        facts: whatever else the benchmark wants in its lines.
    """

    case: Case
    effort: Effort
    only: str | None = None
    alone: Sequence[str] = ()
    found: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def quick(self) -> bool:
        """Whether this only tries that everything runs."""
        return self.effort is QUICK

    def wants(self, contestant: str) -> bool:
        """Whether this process measures it."""
        return contestant not in self.alone if self.only is None else contestant == self.only

    def time(self, makers: Mapping[str, Callable[[], Step]]) -> None:
        """Make the contestants' steps in turn and note the median time of each."""
        steps: dict[str, Step] = {}
        for name, make in makers.items():
            if self.wants(name):
                try:
                    steps[name] = make()
                    steps[name]()
                except Missing as why:
                    self.missing[name] = str(why)
        clock = time.process_time if self.case.get("threads", 1) == 1 else time.perf_counter
        repeats = {name: 1 if self.quick else _repeats(step) for name, step in steps.items()}
        samples: dict[str, list[float]] = {name: [] for name in steps}
        for number in range(self.effort.rounds):
            for name in _rotated(list(steps), number):
                step, times = steps[name], repeats[name]
                began = time.perf_counter()
                step()  # brings back what the others drove out of the caches
                slow = time.perf_counter() - began > SLOW_S
                for _ in range(min(self.effort.steps, SLOW_STEPS) if slow else self.effort.steps):
                    began = clock()
                    for _ in range(times):
                        step()
                    samples[name].append((clock() - began) / times)
        self.found |= {name: statistics.median(taken) for name, taken in samples.items()}


def _repeats(step: Step, least_s: float = 2e-4) -> int:
    """Steps per reading of the clock, so that reading it (half a microsecond) does not count."""
    began = time.perf_counter()
    step()
    return max(1, round(least_s / max(time.perf_counter() - began, 1e-7)))


def _rotated(names: list[str], by: int) -> Iterator[str]:
    for place in range(len(names)):
        yield names[(place + by) % len(names)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a benchmark file states.

    Attributes:
        name: of the file.
        says: the claim, in words.
        cases: what is measured. A case's "threads" (1 if it says nothing) is how many threads all contestants use.
        quick: cases small enough to try that everything runs.
        measure: runs the contestants that `Run.wants` on one case.
        bars: what is claimed of the figures.
        stopped: what stops a bar that is missed, in words.
        unit: of the figures: "s", "bytes", "bytes/s" or "AUC".
        lookups: ids looked up per step, to show times per look-up; 0 to show whole steps.
        alone: contestants that get processes of their own.
        environment: variables that its processes get.
        processes: per case, where figures are not of time and more processes than these would tell nothing new.
    """

    name: str
    says: str
    cases: Sequence[Case]
    quick: Sequence[Case]
    measure: Callable[[Run], None]
    bars: Sequence[Bar | Interval] = ()
    stopped: str = ""
    unit: str = "s"
    lookups: int = 0
    alone: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    processes: int | None = None


def work(claim: Claim, case: Case, effort: Effort, only: str | None) -> Line:
    """What one process does: measure, and watch what others do meanwhile."""
    torch.set_num_threads(case.get("threads", 1))
    load = os.getloadavg()[0]
    run, began = Run(case=case, effort=effort, only=only, alone=claim.alone), Moment.now()
    claim.measure(run)
    told = {"found": run.found, "missing": run.missing, "facts": run.facts}
    return {**told, "load": load, "others_cores": began.others_cores()}


def _in_a_process(claim: Claim, case: Case, effort: Effort, only: str | None) -> Line:
    threads = str(case.get("threads", 1))
    # a team of OpenMP threads that spins while it waits can end up on one core and take many times as long
    settings = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"}
    file = Path(__file__).with_name(f"{claim.name}.py")
    task = json.dumps({"case": case, "rounds": effort.rounds, "steps": effort.steps, "only": only})
    done = subprocess.run(
        [sys.executable, str(file), "--worker", task],
        stdout=subprocess.PIPE, text=True, env={**os.environ, **settings, **claim.environment},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{claim.name} failed on {case} with {done.returncode}.")
    line: Line = json.loads(done.stdout.splitlines()[-1])
    return line


def run(claim: Claim, effort: Effort) -> list[Line]:
    """Measure a claim: one line per case and contestant."""
    about, lines = conditions(), []
    if claim.processes is not None and effort is not QUICK:
        effort = replace(effort, processes=claim.processes)
    for case in claim.quick if effort is QUICK else claim.cases:
        for only in (None, *claim.alone):
            once = work if effort is QUICK else _in_a_process
            passes = [once(claim, case, effort, only) for _ in range(effort.processes)]
            lines += [{"benchmark": claim.name, "case": case, **line, **about} for line in _results(claim, passes)]
    return lines


def _results(claim: Claim, passes: Sequence[Line]) -> Iterator[Line]:
    others = [round(each["others_cores"], 3) for each in passes]
    for name in passes[0]["found"]:
        each = [one["found"][name] for one in passes]
        yield {
            "contestant": name, "unit": claim.unit, "median": statistics.median(each), "low": min(each),
            "high": max(each), "each": each, "facts": passes[0]["facts"],
            "load": [round(one["load"], 2) for one in passes], "others_cores": others,
            "quiet": max(others) <= QUIET_OTHERS,
        }  # fmt: skip
    for name, why in passes[0]["missing"].items():
        yield {"contestant": name, "unit": claim.unit, "skipped": why}


def main(claim: Claim) -> int:
    """The command line of a benchmark file: 1 where a bar is missed, 2 where the machine is busy."""
    from tables import table, verdicts  # reads lines as they are written here

    options = argparse.ArgumentParser(description=claim.says)
    options.add_argument("--processes", type=int, default=PROCESSES, help="per case")
    options.add_argument("--quick", action="store_true", help="tiny shapes, once: do all contestants run?")
    options.add_argument("--busy", action="store_true", help="measure although others compute; lines say so")
    options.add_argument("--out", type=Path, help="write the results here, one JSON line each")
    options.add_argument("--worker", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.worker:
        task = json.loads(given.worker)
        print(json.dumps(work(claim, task["case"], Effort(rounds=task["rounds"], steps=task["steps"]), task["only"])))
        return 0
    if not (given.quick or given.busy or wait_until_quiet()):
        print("Others compute on this machine; figures would be theirs. Wait, or say --busy.", file=sys.stderr)
        return 2
    lines = run(claim, QUICK if given.quick else Effort(processes=given.processes))
    if given.out:
        given.out.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    found = verdicts(claim, lines)
    print("\n".join([claim.says, "", table(claim, lines), "", *map(str, found)]))
    return 0 if given.quick or all(verdict.met for verdict in found) else 1
