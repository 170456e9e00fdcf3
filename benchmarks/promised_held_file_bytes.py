"""Claim: for every method, storage and budget, promised = held = file tensor bytes, or the refusal names the floor.

    python benchmarks/promised_held_file_bytes.py [--scale 1/100] [--budgets 2x,10x,100x,1000x]

Criteo Kaggle's cardinalities with Zipf counts. At full size (the default scale 1) a bank takes up to 3 GB of memory
and a file up to 1.1 GB; files are removed at once. Prints one line per case and ends with 1 if any differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from pocketrec.artifact import Manifest, load_artifact, save_artifact
from pocketrec.compress import METHODS, build, freeze, layout, size
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.cardinalities import scaled_cardinalities
from pocketrec.spec.errors import BudgetTooSmall
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec
from pocketrec.testing.sets import some_data


def main() -> int:
    """Go through all cases; the number of those that differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="1")
    parser.add_argument("--budgets", default="2x,10x,100x,1000x")
    asked = parser.parse_args()
    tables = [
        TableSpec(name=f"C{i + 1}", rows=n + 1, dim=16, ids="rank")
        for i, n in enumerate(scaled_cardinalities("kaggle", asked.scale))
    ]
    wrong = 0
    for method in METHODS.names():
        for storage in METHODS.get(method).traits.storages or STORAGES.names():
            for budget in asked.budgets.split(","):
                wrong += not _case(tables, method, storage, budget)
    sys.stdout.write(f"{wrong} cases differ\n")
    return min(wrong, 1)


def _case(tables: list[TableSpec], method: str, storage: str, budget: str) -> bool:
    began = time.perf_counter()
    try:
        # plain SGD: no optimizer state beside the tables, so that the largest case fits into a small machine
        sizing = size(tables, budget, method, storage=storage, optimizer=OptimizerSpec(name="sgd"))
    except BudgetTooSmall as refusal:
        fits = size(tables, refusal.least_bytes, method, storage=storage).serve_bytes <= refusal.least_bytes
        sys.stdout.write(f"{method} {storage} {budget}: refused, floor {refusal.least_bytes:,} (fits at it: {fits})\n")
        return fits
    served = freeze(build(sizing, seed=0, data=some_data(sizing)))
    held = served.held_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank"
        tensors = served.tensors()
        parts = {"tables": {place.name: tensors[place.name] for place in layout(served.sizing)}}
        save_artifact(path, Manifest(kind="model", content={"sizing": served.sizing.to_json()}), parts)
        filed = load_artifact(path, verify="lazy").tensor_bytes("tables")
    equal = sizing.serve_bytes == held == filed <= sizing.budget_bytes
    sys.stdout.write(
        f"{method} {storage} {budget}: promised {sizing.serve_bytes:,} held {held:,} file {filed:,} "
        f"{'equal' if equal else 'DIFFER'} ({time.perf_counter() - began:.1f} s)\n"
    )
    sys.stdout.flush()
    return equal


if __name__ == "__main__":
    sys.exit(main())
