"""Claim: preparing a log takes bounded memory, however long the log is, in whatever format it comes.

Writes logs of N and 10 N rows (synthetic Criteo files; CSV with bags, in zstd; Parquet with lists; libsvm lines)
of the same tokens, prepares each in a process of its own, and prints the peak of resident memory above the imports.

    python benchmarks/prepare_memory.py [N]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from pocketrec.data.prepare import prepare
from pocketrec.data.split import Split
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic
from pocketrec.spec.schema import Field, Schema, criteo

BLOCK = 50_000  # rows made at a time, so that the one who writes the logs stays small as well
FIELDS = (
    Field(name="click", kind="label"),
    Field(name="price", kind="dense"),
    Field(name="item", kind="categorical"),
    Field(name="site", kind="categorical", ids="hash63"),
    Field(name="history", kind="categorical", table="item", many=True),
)
SCHEMAS = {
    "criteo": criteo(),
    "csv.zst": Schema(fields=FIELDS),
    "parquet": Schema(format="parquet", fields=FIELDS),
    "libsvm": Schema(
        format="libsvm",
        fields=(Field(name="click", kind="label"), *(Field(name=f"f{i}", kind="categorical") for i in range(8))),
    ),
}


def tables(rows: int) -> Iterator[pa.Table]:
    """Clicks with a bag of 0 to 9 items, block by block."""
    for start in range(0, rows, BLOCK):
        rng, n = np.random.default_rng(start), min(BLOCK, rows - start)
        lengths = rng.integers(0, 10, n)
        items = pa.array(rng.zipf(1.2, int(lengths.sum())) % 5000).cast(pa.string())
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
        yield pa.table(
            {
                "click": rng.integers(0, 2, n), "price": rng.normal(size=n),
                "item": pa.array(rng.zipf(1.2, n) % 5000).cast(pa.string()),
                "site": pa.array(rng.integers(0, 3000, n)).cast(pa.string()),
                "history": pa.ListArray.from_arrays(offsets, items),
            }
        )  # fmt: skip


def write_csv(path: Path, rows: int) -> None:
    """Lists as texts with bars between, compressed."""
    with pa.output_stream(path, compression="zstd") as out:
        for number, table in enumerate(tables(rows)):
            history = pc.binary_join(table["history"].combine_chunks(), "|")
            told = table.set_column(4, "history", history)
            pa_csv.write_csv(told, out, pa_csv.WriteOptions(include_header=number == 0, quoting_style="none"))


def write_parquet(path: Path, rows: int) -> None:
    """Lists as lists; a row group per block."""
    parts = tables(rows)
    first = next(parts)
    with pq.ParquetWriter(path, first.schema) as out:
        out.write_table(first)
        for table in parts:
            out.write_table(table)


def write_libsvm(path: Path, rows: int) -> None:
    """Eight indices per line, as Frappe is published."""
    with path.open("w") as out:
        for start in range(0, rows, BLOCK):
            rng, n = np.random.default_rng(start), min(BLOCK, rows - start)
            indices = rng.zipf(1.3, (n, 8)) % 2000 + 2000 * np.arange(8)
            labels = rng.integers(0, 2, n)
            out.writelines(
                f"{label} " + " ".join(f"{i}:1" for i in row) + "\n"
                for label, row in zip(labels.tolist(), indices.tolist(), strict=True)
            )


# Rows of these are short: as many more make a log of several blocks, which is when memory stops growing.
TIMES = {"criteo": 1, "csv.zst": 5, "parquet": 5, "libsvm": 5}

WRITERS: dict[str, Callable[[Path, int], object]] = {
    "criteo": lambda path, rows: write_synthetic(path, SyntheticSpec(rows=rows, scale="1/2000")),
    "csv.zst": write_csv,
    "parquet": write_parquet,
    "libsvm": write_libsvm,
}


def memory_bytes(what: str) -> int:
    """VmRSS: resident memory of this process now; VmHWM: the most it had so far.

    Not ru_maxrss, which a process inherits from the one that started it.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {what} on this system")


def measure(kind: str, log: str, split: Split, cache: str) -> None:
    """In a process of its own: prepare, and print what it took as JSON."""
    before = memory_bytes("VmRSS")
    dataset = prepare(log, SCHEMAS[kind], cache=cache, split=split)
    tokens = sum(len(dataset.tokens(f.table_name, "validation")) for f in dataset.schema.tables)
    cpu_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    print(json.dumps({"rows": dataset.rows, "tokens": tokens, "extra": memory_bytes("VmHWM") - before, "cpu_s": cpu_s}))


def main(rows: int) -> None:
    """All formats in both sizes, one table."""
    print("| format | rows | split | distinct tokens | peak above imports | rows per CPU-second |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for kind, write in WRITERS.items():
            for factor in (1, 10):
                log = Path(folder) / f"log-{factor}x.{kind}"
                write(log, rows * factor * TIMES[kind])
                for by in ("time", "hash"):
                    command = [sys.executable, __file__, "--measure", kind, str(log), by, str(Path(folder) / "cache")]
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
                    got = json.loads(done.stdout)
                    print(
                        f"| {kind} | {got['rows']:,} | {by} | {got['tokens']:,} | {got['extra'] / 2**20:,.0f} MiB "
                        f"| {got['rows'] / got['cpu_s']:,.0f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        kind, log, by, cache = sys.argv[2:]
        measure(kind, log, Split(by="hash") if by == "hash" else Split(), cache)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
