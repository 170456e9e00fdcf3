"""Claim: a step costs what its batch touches, not what the tables hold.

The same batches (equal ids) train two models whose tables differ 100 times in rows: 26 tables of `full`, row-wise
Adagrad. Steps of both are made in turn in one process, so that whatever else the machine does falls on both. Memory is
measured in a process of its own per size: the most that steps take beyond parameters and optimizer state.

    python benchmarks/step_cost_is_the_batch.py [ROWS PER TABLE]

The bars: less than 1.5 times the CPU time, and no more memory.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from reference_dlrm import Rows

from pocketrec.compress import build, of
from pocketrec.models import MODELS, Model, ModelConfig
from pocketrec.native import backend
from pocketrec.spec.stage import Stage
from pocketrec.spec.table import TableSpec
from pocketrec.train import TrainConfig
from pocketrec.train.optim import dense_optimizer
from pocketrec.train.step import train_step

TABLES, DIM, DENSE, BATCH = 26, 16, 13, 512
TIMES = 100
STEPS, WARM_UP = 200, 20
TIME_BAR = 1.5
# Resident memory is counted in pages, and the C library keeps some of them back.
MEMORY_BAR_BYTES = 2 << 20


def batches(rows: int, count: int, size: int = BATCH) -> list[Rows]:
    """Batches of `size` rows whose ids follow Zipf's law over so many rows per table."""
    draw = torch.Generator().manual_seed(1)
    law = 1 / torch.arange(1, rows + 1, dtype=torch.float64) ** 1.05
    made = []
    for _ in range(count):
        ids = torch.multinomial(law, size * TABLES, replacement=True, generator=draw).view(size, TABLES)
        dense = torch.randn(size, DENSE, generator=draw)
        made.append(Rows(dense, ids, (torch.rand(size, generator=draw) < 0.25).float()))
    return made


def model_of(rows: int) -> Model:
    """A DLRM over tables of so many rows each, all of it in memory."""
    tables = [TableSpec(name=f"C{i}", rows=rows, dim=DIM, ids="rank") for i in range(TABLES)]
    bank = build(of("full").size(tables, "1x"), seed=0)
    for tensor in bank.tensors().values():
        tensor.add_(0)  # pages of zeros are not there before they are written to
    return MODELS.get("dlrm")(bank, dense_features=DENSE, config=ModelConfig(), seed=0).train()


def steps_of(model: Model) -> tuple[Callable[[Rows], object], Callable[[Rows], object]]:
    """A step of the whole model, and one of the tables alone: look up, gather the gradient, update."""
    config = TrainConfig(batch_size=BATCH)
    optimizer = dense_optimizer(model.dense_parameters(), config)

    def whole(batch: Rows) -> None:
        train_step(model, optimizer, batch, config, Stage(name="train"), where="benchmark")

    def tables(batch: Rows) -> None:
        model.bank(batch.ids).sum().backward()
        model.bank.step()

    return whole, tables


def cpu_s(step: Callable[[Rows], object], batch: Rows) -> float:
    """CPU time of one step, all threads."""
    began = time.process_time()
    step(batch)
    return time.process_time() - began


def compare_times(rows: int) -> list[tuple[str, float, float]]:
    """(what, median seconds with few rows, with many) for both kinds of step."""
    given = batches(rows, 16)
    few, many = (steps_of(model_of(n)) for n in (rows, TIMES * rows))
    found = []
    for what, small, large in zip(("whole step", "step of the tables alone"), few, many, strict=True):
        taken: tuple[list[float], list[float]] = ([], [])
        for number in range(WARM_UP + STEPS):
            batch = given[number % len(given)]
            for into, step in zip(taken, (small, large), strict=True):
                into.append(cpu_s(step, batch))
        found.append((what, statistics.median(taken[0][WARM_UP:]), statistics.median(taken[1][WARM_UP:])))
    return found


def memory_bytes(what: str) -> int:
    """VmRSS: resident memory of this process now; VmHWM: the most since it was last reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {what} on this system")


def measure_memory(rows_of_ids: int, rows: int, size: int = BATCH) -> dict[str, int]:
    """In a process of its own: what steps take beyond what is held, as resident memory and as torch's allocations."""
    # a small model makes the first steps, so that the code they load is not counted
    given, (first, _) = batches(rows_of_ids, 4, size), steps_of(model_of(rows_of_ids))
    for batch in given:
        first(batch)
    step, _ = steps_of(model_of(rows))
    before = memory_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    for batch in given * 5:
        step(batch)
    resident = memory_bytes("VmHWM") - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        step(given[0])
    assert profiler.profiler is not None
    live, peak = 0, 0
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return {"resident": resident, "allocated": peak}


def memory_in_a_process(rows_of_ids: int, rows: int, size: int = BATCH) -> dict[str, int]:
    """The same, from there."""
    command = [sys.executable, __file__, "--memory", str(rows_of_ids), str(rows), str(size)]
    # else glibc changes its mind, with every large block that is freed, about what it gives back to the system
    fixed = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, env={**os.environ, **fixed}
    )
    found: dict[str, int] = json.loads(done.stdout)
    return found


def main(rows: int) -> int:
    """Print one line per figure; 1 if a bar is missed."""
    print(f"{TABLES} tables of {rows:,} and {TIMES * rows:,} rows, dim {DIM}, batch {BATCH}, kernels: {backend()}")
    met = True
    for what, few, many in compare_times(rows):
        good = many / few < TIME_BAR
        met &= good
        print(
            f"{what}: {few * 1e3:.3f} ms and {many * 1e3:.3f} ms of CPU, ratio {many / few:.3f} "
            f"(bar {TIME_BAR}: {'met' if good else 'MISSED'})"
        )
    few_bytes, many_bytes = (memory_in_a_process(rows, n) for n in (rows, TIMES * rows))
    for what, said, bar in (
        ("allocated", "torch memory of a step at its peak", 0),
        ("resident", "resident memory of 20 steps beyond what is held", MEMORY_BAR_BYTES),
    ):
        good = many_bytes[what] - few_bytes[what] <= bar
        met &= good
        print(
            f"{said}: {few_bytes[what]:,} and {many_bytes[what]:,} bytes "
            f"(bar {bar:,} more: {'met' if good else 'MISSED'})"
        )
    return 0 if met else 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--memory"]:
        print(json.dumps(measure_memory(*map(int, sys.argv[2:]))))
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000))
