"""The next day: train on day 1, go on with day 2. Tokens keep their ids and rows, new tokens get the next ones.

Day 2 is predicted row by row before it is learned from (progressive log-loss), once by a model that went on from day 1,
once by one that begins anew.

    python examples/next_day.py --out somewhere
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from pathlib import Path

import numpy as np

import pocketrec
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic

SETTINGS = {
    "method": "full",
    "dim": 8,
    "optimizer": {"lr": 0.1},
    "split": {"train": "1", "validation": "0", "test": "0"},
}
TRAIN = {"epochs": 1, "batch_size": 100, "order": "time"}


def main(out: Path) -> None:
    """Everything is written below `out`."""
    law = SyntheticSpec(rows=16_000, scale="1/1000", seed=3, days=2, drift=0.2)
    print("log:", write_synthetic(out / "days.gz", law))
    first, second = out / "days.gz" / "day_0.gz", out / "days.gz" / "day_1.gz"
    cache = out / "cache"

    one = pocketrec.train(first, budget="1x", out=out / "day-1", cache=cache, train=TRAIN, **SETTINGS)
    # Settings are those of day 1; the budget grows, so that new tokens get rows of their own.
    two = pocketrec.train(second, start=out / "day-1", budget="4MiB", out=out / "day-2", cache=cache)
    anew = pocketrec.train(second, budget="1x", cache=cache, train=TRAIN, **SETTINGS)

    before, after = (run.recommender.encoder for run in (one, two))
    names = [field.name for field in law.schema.fields]
    with gzip.open(second, "rt") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines][:2000]
    frame = {
        name: [value or None for value in column] for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    ids, ids_after = (encoder.encode(frame).ids for encoder in (before, after))
    known = ids > 0  # id 0 is "unknown"
    assert np.array_equal(ids[known], ids_after[known]), "an id moved"
    print(f"tokens of day 2 that day 1 knew: {known.mean():.1%}; none of their ids moved")
    print(f"tokens of day 2 that day 2 knows: {(ids_after > 0).mean():.1%}")
    assert (ids_after > 0).all()

    grown = {run.result.held_bytes for run in (one, two)}
    print(f"tables hold {min(grown):,} bytes after day 1 and {max(grown):,} after day 2")
    went_on, began = (run.result.progressive.logloss for run in (two, anew))
    print(f"progressive log-loss of day 2: {went_on:.4f} going on, {began:.4f} begun anew")
    assert went_on < began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder to write into; a temporary one when not given")
    given = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        out = given or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        main(out)
