"""What the figures were measured on, and what else the machine did at that time."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from pocketrec.native import backend

ROOT = Path(__file__).resolve().parents[1]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# A process of ours that computes alone keeps the load average near 1.
QUIET_LOAD = 1.2
# Cores that other programs (and, on a virtual machine, other guests) used while we measured.
QUIET_OTHERS = 0.1


def conditions() -> dict[str, Any]:
    """Commit, processor, instruction set, versions."""
    # but for what the benchmarks themselves have written since
    others = (":!benchmarks/results", ":!docs/performance.md")
    changed = "+changes" if _git("status", "--porcelain", "-uno", "--", *others) else ""
    return {
        "commit": _git("rev-parse", "--short=12", "HEAD") + changed,
        "cpu": _cpu("model name") or platform.machine(),
        "cores": os.cpu_count(),
        "simd": simd(),
        "huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "torch": torch.__version__,
        "torch_simd": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "kernels": backend(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }  # fmt: skip


def simd() -> str:
    """The best of avx512, avx2, generic that the processor has, or what POCKETREC_SIMD lowers it to."""
    flags = set(_cpu("flags").split())
    best = "avx512" if {"avx512f", "avx512bw", "avx512vl"} <= flags else "avx2" if "avx2" in flags else "generic"
    order = ("generic", "avx2", "avx512")
    wanted = os.environ.get("POCKETREC_SIMD", best)
    return min(best, wanted, key=order.index) if wanted in order else best


def wait_until_quiet(limit_s: float = 300) -> bool:
    """Whether the load average of the last minute fell to that of one process within so many seconds."""
    end = time.monotonic() + limit_s
    while os.getloadavg()[0] > QUIET_LOAD:
        if time.monotonic() > end:
            return False
        time.sleep(5)
    return True


@dataclass(frozen=True, slots=True)
class Moment:
    """Clocks of this process and of the whole machine, in seconds."""

    wall_s: float
    own_s: float
    machine_s: float

    @staticmethod
    def now() -> Moment:
        """Read the clocks."""
        own = os.times()
        return Moment(time.monotonic(), own.user + own.system + own.children_user + own.children_system, _busy_s())

    def others_cores(self) -> float:
        """Cores that everybody else kept busy since this moment. Clocks tick 100 times a second: take seconds."""
        later = Moment.now()
        wall = max(later.wall_s - self.wall_s, 1e-9)
        return max(0.0, (later.machine_s - self.machine_s - (later.own_s - self.own_s)) / wall)


def _busy_s() -> float:
    # user nice system idle iowait irq softirq steal: all that was not idle, what other guests took included
    ticks = [int(field) for field in _read("/proc/stat").split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS_PER_S if ticks else 0.0


def _cpu(what: str) -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith(what):
            return line.split(":", 1)[1].strip()
    return ""


def _read(file: str) -> str:
    path = Path(file)
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
