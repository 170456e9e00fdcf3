"""Measure all claims about speed, and that speed costs no AUC, and write what was found to docs/performance.md.

    python benchmarks/performance.py [NAMES] [--processes 5] [--busy]   measure, keep the lines, make the page
    python benchmarks/performance.py --page-only                        make the page from the lines that are there
    python benchmarks/performance.py --quick                            does everything run? tiny shapes, nothing kept

The lines are kept in benchmarks/results/<claim>.jsonl, so claims can be measured one by one. All of them together need
an idle machine with 24 GiB for some hours. The peers: benchmarks/requirements.txt.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from machine import ROOT, wait_until_quiet
from measure import PROCESSES, QUICK, Claim, Effort, Line, run
from tables import table, verdicts

NAMES = (
    "machine_limits",
    "lookup_float32_against_torch",
    "lookup_int8_int4_against_torch_quantized",
    "compressed_against_uncompressed",
    "compressed_against_compiled_torch",
    "update_against_fbgemm",
    "dlrm_step_against_reference",
    "cost_of_cafe",
    "tensor_train",
    "auc_against_reference",
    "step_memory",
    "one_row_inference",
)
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"

HEAD = """# Performance

Made by `python benchmarks/performance.py` from the lines in `benchmarks/results/`; do not edit it by hand.

How it was measured: contestants make their steps in turn within one process, round after round. A figure is the median
over {processes} processes of the median step, with the lowest and highest process in brackets. With one thread it is
CPU time, with two the time on the wall; look-ups are in ns per looked-up id (2048 rows of 26 ids per step). A ratio is
the median over the processes of the two contestants' ratio. Tables lie on pages of 2 MiB unless their heading says
otherwise. "The machine's limit" is the time in which plain C reads the same rows or writes the output, whichever takes
longer (`benchmarks/machine_limits.c`): 1.00 would be as fast as memory allows. An AUC is of one process, another one
would find the same. The peers are those of `benchmarks/requirements.txt`.
"""


def claims(names: Sequence[str]) -> list[Claim]:
    """The claims of these files."""
    found: list[Claim] = [importlib.import_module(name).CLAIM for name in names]
    return found


def read_lines(file: Path) -> list[Line]:
    """The result lines of a file; none if it is not there."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def page(found: Mapping[str, Sequence[Line]]) -> str:
    """The page, with every claim: measured or not, met or missed."""
    every = claims(NAMES)
    timed = [line for claim in every if claim.processes is None for line in found.get(claim.name, [])]
    counts = {len(line["each"]) for line in timed if "each" in line}
    parts = [HEAD.format(processes=" or ".join(map(str, sorted(counts))) or "5")]
    parts.append("| claim | met |\n| --- | --- |\n" + "\n".join(map(_row, every, (found.get(n, []) for n in NAMES))))
    parts += [_section(claim, found.get(claim.name, [])) for claim in every]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _row(claim: Claim, lines: Sequence[Line]) -> str:
    met = [verdict.met for verdict in verdicts(claim, lines)]
    said = f"{met.count(True)} of {len(met)} bars" + (f", {met.count(None)} not measured" if None in met else "")
    return f"| [{claim.name}](#{claim.name}) | {said if met else 'no claim'} |"


def _section(claim: Claim, lines: Sequence[Line]) -> str:
    parts = [f"## {claim.name}", claim.says, f"```\npython benchmarks/{claim.name}.py\n```"]
    if not lines:
        return "\n\n".join([*parts, "Not measured yet."])
    at = next((line for line in lines if "each" in line), lines[0])
    where = (
        f"{at['cpu']}, {at['cores']} cores, kernels {at['kernels']} ({at['simd']}), torch {at['torch']} "
        f"({at['torch_simd']}), commit {at['commit']}, {at['date']}."
    )
    judged = verdicts(claim, lines)
    found = "\n".join(f"* {verdict}" for verdict in judged)
    stopped = claim.stopped if any(verdict.met is False for verdict in judged) else ""
    return "\n\n".join(part for part in (*parts, where, found, stopped, table(claim, lines)) if part)


def main() -> int:
    """The command line: 2 where the machine is busy."""
    options = argparse.ArgumentParser(description="Measure all claims and write docs/performance.md.")
    options.add_argument("names", nargs="*", help="claims to measure; all if none is named")
    options.add_argument("--processes", type=int, default=PROCESSES, help="per case")
    options.add_argument("--quick", action="store_true", help="tiny shapes, once; prints the page and keeps nothing")
    options.add_argument("--busy", action="store_true", help="measure although others compute; lines say so")
    options.add_argument("--page-only", action="store_true", help="measure nothing")
    given = options.parse_args()
    chosen = [] if given.page_only else claims(given.names or NAMES)
    if given.quick:
        print(page({claim.name: run(claim, QUICK) for claim in chosen}))
        return 0
    RESULTS.mkdir(exist_ok=True)
    for claim in chosen:
        if not (given.busy or wait_until_quiet()):
            print(f"Others compute on this machine; {claim.name} waits for another day, or --busy.", file=sys.stderr)
            return 2
        lines = run(claim, Effort(processes=given.processes))
        file = RESULTS / f"{claim.name}.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        print(f"{claim.name}: {len(lines)} lines", flush=True)
    PAGE.write_text(page({name: read_lines(RESULTS / f"{name}.jsonl") for name in NAMES}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
