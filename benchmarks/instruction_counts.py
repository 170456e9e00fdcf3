"""How many instructions the hot kernels take per looked-up id, counted by callgrind on the AVX2 path.

Counts do not depend on what else the machine does, so tests/native/test_instruction_counts.py holds bounds on them,
where a timed test would fail by chance. What is the same for every batch is left out: the difference of two batch sizes
is divided by the difference of their ids. Needs valgrind, cmake, nanobind and a C++ compiler.

    python benchmarks/instruction_counts.py
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIELDS = 26
SMALL, LARGE = 128, 256

# kernel, storage as csrc/tests/count_driver.cpp takes them, and dim
CASES: dict[str, tuple[str, int, int]] = {
    "lookup float32 dim 16": ("lookup", 0, 16),
    "lookup float32 dim 64": ("lookup", 0, 64),
    "lookup int8 dim 16": ("lookup", 8, 16),
    "lookup int8 dim 64": ("lookup", 8, 64),
    "lookup int4 dim 16": ("lookup", 4, 16),
    "lookup int4 dim 64": ("lookup", 4, 64),
    "compact and update dim 16": ("update", 0, 16),
    "lookup quotient_remainder dim 16": ("quotient_remainder", 0, 16),
    "lookup robe dim 16": ("robe", 0, 16),
}
COUNTED = {"update": ("pr_compact", "pr_update")}  # others: pr_lookup


def why_not() -> str | None:
    """What is missing here, or None."""
    for tool in ("valgrind", "cmake", "c++"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    cpu = Path("/proc/cpuinfo")
    if not cpu.exists() or " avx2 " not in cpu.read_text(encoding="utf-8"):
        return "the processor has no AVX2"
    return None


def build_driver(folder: Path) -> Path:
    """Compile the driver and the kernels, with the flags of the package, into `folder`."""
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), f"-DPython_EXECUTABLE={sys.executable}"]
    for command in (configure, ["cmake", "--build", str(folder), "--target", "count_driver", "--parallel", "2"]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{command} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return folder / "count_driver"


def count(driver: Path, case: str) -> float:
    """Instructions per looked-up id."""
    few, many = (_instructions(driver, case, batch) for batch in (SMALL, LARGE))
    return (many - few) / ((LARGE - SMALL) * FIELDS)


def _instructions(driver: Path, case: str, batch: int) -> int:
    """All instructions inside of the kernel's functions."""
    kernel, storage, dim = CASES[case]
    inside = [f"--toggle-collect={function}" for function in COUNTED.get(kernel, ("pr_lookup",))]
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *inside, driver, kernel]
    done = subprocess.run(
        [*map(str, command), str(storage), str(dim), str(batch)],
        capture_output=True, text=True, env={**os.environ, "POCKETREC_SIMD": "avx2"},
    )  # fmt: skip
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"callgrind failed on {case}:\n{done.stderr[-2000:]}")
    return int(found[1])


def main() -> int:
    """Print a table; 1 where it cannot be counted."""
    missing = why_not()
    if missing:
        print(f"Nothing is counted: {missing}.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        driver = build_driver(Path(folder))
        print("| kernel | instructions per id |\n| --- | --- |")
        for case in CASES:
            print(f"| {case} | {count(driver, case):.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
