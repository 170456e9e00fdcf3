"""From a number of bytes to a served model: size, train, save, map, predict, and count the bytes at every step.

What the method promises before any tensor exists, what the trained tables hold in memory and what the file holds is one
number. The file is read here by hand, without pocketrec.

    python examples/budget_to_served_model.py --out somewhere
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import pyarrow.csv as csv

import pocketrec
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic
from pocketrec.spec.errors import BudgetTooSmall
from pocketrec.spec.table import TableSpec

BUDGET, DIM = "8x", 8


def main(out: Path) -> None:
    """Everything is written below `out`."""
    law = SyntheticSpec(rows=6000, scale="1/2000", seed=1)
    print("log:", write_synthetic(out / "clicks.tsv.gz", law))

    # Before there is a model, or even a log: what would each method hold?
    tables = [TableSpec(name=f"C{i + 1}", rows=n + 1, dim=DIM, ids="rank") for i, n in enumerate(law.sizes)]
    for method in ("full", "min_count", "hash_rows", "robe"):
        try:
            print(f"{method:10} holds {pocketrec.size(tables, BUDGET, method=method).serve_bytes:,} bytes")
        except BudgetTooSmall as refusal:
            print(f"{method:10} {refusal}")

    trained = pocketrec.train(
        out / "clicks.tsv.gz", budget=BUDGET, method="hash_rows", dim=DIM, out=out / "run", cache=out / "cache",
        options={"storage": "int8"}, train={"epochs": 2, "batch_size": 256}, optimizer={"lr": 0.1},
    )  # fmt: skip
    result = trained.result
    print(f"test AUC {result.test.auc:.4f} after {result.epochs} epochs, within {result.budget_bytes:,} bytes")

    # For serving only: no optimizer state, no vocabulary of tokens that nobody tells apart.
    trained.save(out / "served")
    served = pocketrec.load(out / "served")  # tables are mapped from the file, not copied
    in_file = sum(bytes_in(file) for file in (out / "served").glob("tables-*.safetensors"))
    promised, held = served.sizing.serve_bytes, served.model.bank.held_bytes()
    print(f"promised {promised:,} = held {held:,} = in the file {in_file:,} bytes")
    assert promised == held == in_file <= result.budget_bytes

    names = [field.name for field in law.schema.fields]
    frame = csv.read_csv(
        out / "clicks.tsv.gz",
        read_options=csv.ReadOptions(column_names=names),
        parse_options=csv.ParseOptions(delimiter="\t"),
        convert_options=csv.ConvertOptions(column_types={name: "string" for name in names[14:]}),  # tokens are text
    ).slice(0, 3)
    print("clicked:", frame["label"].to_pylist(), " predicted:", [f"{p:.3f}" for p in served.predict(frame)])


def bytes_in(file: Path) -> int:
    """Bytes of the tensors in a safetensors file, by its own header; padding is left out."""
    with file.open("rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    ends = [tensor["data_offsets"] for name, tensor in header.items() if not name.startswith("__")]
    return sum(end - begin for begin, end in ends)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder to write into; a temporary one when not given")
    given = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        out = given or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        main(out)
