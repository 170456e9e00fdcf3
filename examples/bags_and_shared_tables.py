"""A candidate item and a history of items share one table: what histories teach of an item serves it as candidate.

A row of the log has a candidate (one item) and a history (a bag of any length, also empty). Half of the items are never
candidates in training; new rows have those alone. With a table per field, the two fields know nothing of each other.

    python examples/bags_and_shared_tables.py --out somewhere
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import Any

import pocketrec
from pocketrec.metrics import evaluate

ITEMS, GENRES, ROWS = 200, 5, 12_000
SETTINGS = {
    "method": "full", "budget": "1x", "dim": 8, "model": {"bottom": [], "top": [16]},
    "optimizer": {"name": "adam", "lr": 0.005}, "split": {"train": "1", "validation": "0", "test": "0"},
    "train": {"epochs": 3, "batch_size": 100, "dense_lr": 0.01},
}  # fmt: skip
Row = tuple[int, str, str]  # clicked, candidate, history


def schema(*, shared: bool) -> dict[str, Any]:
    """One table of items, or one per field. The history is averaged."""
    history = {"name": "history", "kind": "categorical", "many": True, "separator": "|", "pool": "mean"}
    return {
        "format": "csv",
        "fields": [
            {"name": "click", "kind": "label"},
            {"name": "candidate", "kind": "categorical", "table": "item"},
            history | ({"table": "item"} if shared else {}),
        ],
    }


def clicks(rows: int, candidates: range, seed: int) -> list[Row]:
    """A history is of one genre, and candidates of that genre are clicked more often."""
    draw, found = random.Random(seed), []
    for _ in range(rows):
        genre, item = draw.randrange(GENRES), draw.choice(candidates)
        seen = [draw.randrange(ITEMS // GENRES) * GENRES + genre for _ in range(draw.randrange(6))]
        click = draw.random() < (0.7 if item % GENRES == genre else 0.1)
        found.append((int(click), f"i{item}", "|".join(f"i{i}" for i in seen)))
    return found


def auc(trained: Any, rows: list[Row]) -> float | None:
    """AUC on new rows; in a frame a bag may be a text or a list of tokens."""
    labels, candidates, histories = zip(*rows, strict=True)
    frame = {"candidate": candidates, "history": [bag.split("|") if bag else [] for bag in histories]}
    return evaluate(labels, trained.recommender.logits(frame)).auc


def main(out: Path) -> None:
    """Everything is written below `out`."""
    log, known, others = out / "clicks.csv", range(ITEMS // 2), range(ITEMS // 2, ITEMS)
    lines = [f"{click},{item},{bag}\n" for click, item, bag in clicks(ROWS, known, seed=1)]
    log.write_text("click,candidate,history\n" + "".join(lines), encoding="utf-8")
    for kind, shared in (("one table of items", True), ("a table per field", False)):
        trained = pocketrec.train(log, schema=schema(shared=shared), cache=out / "cache", **SETTINGS)
        seen, unseen = (auc(trained, clicks(3000, candidates, seed=2)) for candidates in (known, others))
        held = trained.result.held_bytes
        print(f"{kind:18} {held:6,} bytes   AUC {seen:.3f}, of items that never were candidates {unseen:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder to write into; a temporary one when not given")
    given = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        out = given or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        main(out)
