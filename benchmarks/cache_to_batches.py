"""Claim: at least 3,000,000 rows per CPU-second from the cache to batches that are ready for a model.

python benchmarks/cache_to_batches.py [ROWS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import torch

from pocketrec.data.dataset import Dataset
from pocketrec.data.prepare import prepare
from pocketrec.data.split import Split
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic

CLAIM = 3_000_000
SECONDS = 2.0


def rows_per_cpu_s(dataset: Dataset, **options: object) -> float:
    """Whole epochs for about two seconds of CPU time, all threads counted."""
    rows, epoch, start = 0, 0, time.process_time()
    while time.process_time() - start < SECONDS:
        for batch in dataset.batches(("train",), seed=1, epoch=epoch, **options):  # type: ignore[arg-type]
            rows += len(batch.label)
        epoch += 1
    return rows / (time.process_time() - start)


def main(rows: int) -> None:
    """Every order, batch size and id space."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        report = write_synthetic(Path(folder) / "log.tsv", SyntheticSpec(rows=rows, scale="1/1000"))
        every = Split(train=1, validation=0, test=0)
        dataset = prepare(report.path, report.schema, cache=Path(folder) / "cache", split=every)
        hashed = {f.table_name: "hash63" for f in dataset.schema.tables}
        print(f"{rows:,} rows of 13 dense numbers and 26 ids; claim: {CLAIM:,} rows per CPU-second")
        for order in ("time", "shuffle"):
            for batch_size in (512, 8192):
                for name, spaces in (("rank", {}), ("hash63", hashed)):
                    got = rows_per_cpu_s(dataset, order=order, batch_size=batch_size, id_spaces=spaces)
                    verdict = "met" if got >= CLAIM else "MISSED"
                    how = f"{order:>8}  batch {batch_size:>5}  ids {name:>6}"
                    print(f"{how}  {got:>12,.0f} rows per CPU-second  {verdict}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000)
