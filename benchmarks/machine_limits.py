"""The machine's limits: memory read, written and copied in order, rows read at random, and arithmetic, by plain C.

No claim; the other tables give their figures as a share of these limits, measured in the same process on the same
memory. Needs `cc`.

    python benchmarks/machine_limits.py
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import measure
import torch
from measure import Case, Claim, Missing, Run, Step
from torch import Tensor
from workloads import DIFFERENT_BATCHES, on_pages

SOURCE = Path(__file__).with_name("machine_limits.c")
ROWS_READ = 53_248
AHEADS = (4, 8, 16, 32, 64)


@functools.cache
def library() -> ctypes.CDLL:
    """machine_limits.c, compiled for this machine."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("there is no C compiler called cc")
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "limits.so"
        subprocess.run(
            [compiler, "-O3", "-march=native", "-shared", "-fPIC", "-pthread", "-o", built, SOURCE], check=True
        )
        loaded = ctypes.CDLL(str(built))
    for function in (loaded.read_all, loaded.read_rows):
        function.restype = ctypes.c_uint64
    loaded.multiply_adds.restype = ctypes.c_float
    return loaded


def _place(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _bytes(tensor: Tensor) -> ctypes.c_int64:
    return ctypes.c_int64(tensor.numel() * tensor.element_size())


def read_rows(table: Tensor, batches: Sequence[Tensor], ahead: int | None = None) -> Step:
    """Read rows [rows, width] of `table` by flat batches of row numbers, one batch per step.

    Args:
        table: what is read.
        batches: int64 [ids] each.
        ahead: how many rows before its turn a row is asked for; None for the best of `AHEADS`.
    """
    if ahead is None:
        return _fastest([read_rows(table, batches, ahead) for ahead in AHEADS])
    limits, following = library(), itertools.cycle(batches)
    width = ctypes.c_int64(table.shape[1] * table.element_size())

    def step() -> None:
        ids = next(following)
        limits.read_rows(_place(table), _place(ids), ctypes.c_int64(len(ids)), width, ctypes.c_int64(ahead))

    return step


def decode_rows(table: Tensor, batches: Sequence[Tensor], dim: int, bits: int) -> Step:
    """Make floats of rows of int8 or int4 codes by flat batches of row numbers, in the best of `AHEADS`.

    Raises:
        Missing: the processor has no AVX2, for which it is written.
    """
    return _decoding(table, batches, bits, torch.empty(len(batches[0]), dim))


def _decoding(table: Tensor, batches: Sequence[Tensor], bits: int, out: Tensor) -> Step:
    limits = library()

    def made(ahead: int) -> Step:
        following = itertools.cycle(batches)

        def step() -> None:
            ids = next(following)
            numbers = (len(ids), out.shape[1], bits)
            shape = [ctypes.c_int64(number) for number in numbers]
            if not limits.decode_rows(_place(table), _place(ids), *shape, _place(out), ctypes.c_int64(ahead)):
                raise Missing("decoding in plain C is written for AVX2 only")

        return step

    made(1)()  # or it is missing
    return _fastest([made(ahead) for ahead in AHEADS])


def change_rows(table: Tensor, batches: Sequence[Tensor], ahead: int = 16) -> Step:
    """Add to rows of floats in place."""
    limits, following = library(), itertools.cycle(batches)

    def step() -> None:
        ids = next(following)
        count, width = ctypes.c_int64(len(ids)), ctypes.c_int64(table.shape[1])
        limits.change_rows(_place(table), _place(ids), count, width, ctypes.c_int64(ahead))

    return step


def write_output(out: Tensor) -> Step:
    """Write memory, through the caches or past them, whichever is faster at this size."""
    limits = library()

    def through() -> None:
        limits.write_all(_place(out), _bytes(out), 1)

    def past() -> None:
        limits.stream_all(_place(out), _bytes(out), 1)

    return _fastest([through, past])


def read_all(memory: Tensor) -> Step:
    """Read memory in order, from wherever it is."""
    limits = library()
    return lambda: limits.read_all(_place(memory), _bytes(memory))


def multiply_adds(count: int) -> Step:
    """So many multiplications, each with an addition, of float32 in registers."""
    limits = library()
    return lambda: limits.multiply_adds(ctypes.c_int64(count))


def seconds_to_wake(rounds: int = 200, pause: float = 1e-3) -> float:
    """The median time from calling a thread that has slept for `pause` seconds until it runs."""
    seconds = torch.empty(rounds, dtype=torch.float64)
    if library().wake_thread(ctypes.c_int(rounds), ctypes.c_double(pause), _place(seconds)):
        raise Missing("a second thread cannot be started")
    return float(seconds.median())


def _fastest(steps: Sequence[Step]) -> Step:
    probe = Run(case={}, effort=measure.Effort(rounds=3, steps=2))
    probe.time({str(i): functools.partial(_itself, step) for i, step in enumerate(steps)})
    return steps[int(min(probe.found, key=probe.found.__getitem__))]


def _itself(step: Step) -> Step:
    return step


def _measure(run: Run) -> None:
    memory = on_pages([run.case["bytes"]], torch.uint8, huge=run.case["pages"] == "2M").fill_(1)
    half = len(memory) // 2 // 64 * 64
    limits, to, start = library(), memory[:half], memory[half : 2 * half]
    makers: dict[str, Callable[[], Step]] = {
        "read": lambda: read_all(start),
        "write": lambda: lambda: limits.write_all(_place(to), _bytes(to), 1),
        "write past the caches": lambda: lambda: limits.stream_all(_place(to), _bytes(to), 1),
        "copy": lambda: lambda: limits.copy_all(_place(to), _place(start), _bytes(to)),
        "copy past the caches": lambda: lambda: limits.copy_past(_place(to), _place(start), _bytes(to)),
    }
    moved = {name: half * (2 if name.startswith("copy") else 1) for name in makers}
    for width in (64, 256, 512):
        makers[f"rows of {width} bytes at random"] = functools.partial(_random, memory, width)
        moved[f"rows of {width} bytes at random"] = width * ROWS_READ
    run.time(makers)
    run.found = {name: moved[name] / seconds for name, seconds in run.found.items()}


def _random(memory: Tensor, width: int) -> Step:
    rows = memory[: len(memory) // width * width].view(-1, width)
    draw = torch.Generator().manual_seed(3)
    return read_rows(rows, list(torch.randint(len(rows), (DIFFERENT_BATCHES, ROWS_READ), generator=draw)))


def _cases(count: int) -> list[Case]:
    return [{"pages": pages, "bytes": count} for pages in ("4K", "2M")]


CLAIM = Claim(
    name="machine_limits",
    says="The machine's limits, one thread: bytes read, written or both, in order and in rows at random.",
    cases=_cases(4 << 30),
    quick=_cases(1 << 20)[:1],
    measure=_measure,
    unit="bytes/s",
)

if __name__ == "__main__":
    sys.exit(measure.main(CLAIM))
