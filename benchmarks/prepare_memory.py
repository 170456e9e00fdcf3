"""Claim: preparing a log takes bounded memory, however long the log is.

Writes synthetic logs of N and 10 N rows with the same tokens, prepares each in a process of its own, and prints the
peak of resident memory, above what the imports take.

    python benchmarks/prepare_memory.py [N]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from pocketrec.data.prepare import prepare
from pocketrec.data.split import Split
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic
from pocketrec.spec.schema import criteo


def memory_bytes(what: str) -> int:
    """VmRSS: resident memory of this process now; VmHWM: the most it had so far.

    Not ru_maxrss, which a process inherits from the one that started it.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {what} on this system")


def measure(log: str, split: Split, cache: str) -> None:
    """In a process of its own: prepare, and print what it took as JSON."""
    before = memory_bytes("VmRSS")
    dataset = prepare(log, criteo(), cache=cache, split=split)
    tokens = sum(len(dataset.tokens(f.table_name, "validation")) for f in dataset.schema.tables)
    cpu_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    print(json.dumps({"rows": dataset.rows, "tokens": tokens, "extra": memory_bytes("VmHWM") - before, "cpu_s": cpu_s}))


def main(rows: int) -> None:
    """Both sizes, one table."""
    print(f"{'rows':>10} {'split':>6} {'distinct tokens':>16} {'peak above imports':>20} {'rows per CPU-second':>20}")
    with tempfile.TemporaryDirectory() as folder:
        for factor in (1, 10):
            log = Path(folder) / f"{factor}x.tsv"
            write_synthetic(log, SyntheticSpec(rows=rows * factor, scale="1/2000"))
            for by in ("time", "hash"):
                cache = str(Path(folder) / f"cache-{factor}-{by}")
                command = [sys.executable, __file__, "--measure", str(log), by, cache]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                got = json.loads(done.stdout)
                print(
                    f"{got['rows']:>10,} {by:>6} {got['tokens']:>16,} {got['extra'] / 2**20:>16,.0f} MiB "
                    f"{got['rows'] / got['cpu_s']:>20,.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        log, by, cache = sys.argv[2:]
        measure(log, Split(by="hash") if by == "hash" else Split(), cache)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
