"""Open vocabulary: any token, ids without a dictionary, under a ceiling of bytes that never moves.

Fields with `ids: hash63` are addressed by the hash of their token. Nothing is counted or numbered first; a token that
nobody ever saw is served at once, learned from the first row that has it, and costs no byte.

    python examples/open_vocabulary.py --out somewhere
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import Any

import pocketrec

CEILING = 20_000  # bytes, for all tables together
SCHEMA = {
    "format": "csv",
    "fields": [
        {"name": "click", "kind": "label"},
        {"name": "reader", "kind": "categorical", "ids": "hash63"},
        {"name": "page", "kind": "categorical", "ids": "hash63"},
    ],
}
SETTINGS = {
    "schema": SCHEMA, "method": "robe", "budget": CEILING, "dim": 8, "options": {"block": 8}, "optimizer": {"lr": 0.1},
    "model": {"bottom": [], "top": [32]}, "split": {"train": "8/10", "validation": "0", "test": "2/10"},
    "train": {"epochs": 3, "batch_size": 100, "dense_lr": 0.01},
}  # fmt: skip


def write_day(path: Path, day: int, rows: int = 8000) -> list[tuple[int, str, str]]:
    """A log of one day; every day has pages of its own, and each page is clicked much or little."""
    draw, law = random.Random(day), random.Random(f"pages of day {day}")
    pages = {f"https://news.example/{day}/{n}": law.choice((0.1, 0.8)) for n in range(40)}
    found = []
    for _ in range(rows):
        page = draw.choice(list(pages))
        found.append((int(draw.random() < pages[page]), f"reader-{draw.randrange(3000)}", page))
    path.write_text("click,reader,page\n" + "".join(f"{c},{r},{p}\n" for c, r, p in found), encoding="utf-8")
    return found


def spread(model: Any, rows: list[tuple[int, str, str]]) -> float:
    """Mean prediction of clicked rows minus that of the others: 0 when the model cannot tell them apart."""
    scores = model.predict({"reader": [reader for _, reader, _ in rows], "page": [page for _, _, page in rows]})
    clicked = [bool(click) for click, _, _ in rows]
    return float(scores[clicked].mean() - scores[[not c for c in clicked]].mean())


def main(out: Path) -> None:
    """Everything is written below `out`."""
    today, tomorrow = (write_day(out / f"day-{day}.csv", day) for day in (1, 2))
    one = pocketrec.train(out / "day-1.csv", out=out / "run-1", cache=out / "cache", **SETTINGS)
    model = one.recommender
    print(f"day 1: {one.result.held_bytes:,} bytes of {CEILING:,}, vocabulary {one.result.vocabulary_bytes} bytes")
    print(f"clicked minus not clicked: {spread(model, today):.3f} on pages of day 1")
    print(f"                           {spread(model, tomorrow):.3f} on pages of day 2, which it never saw")

    two = pocketrec.train(
        out / "day-2.csv", start=out / "run-1", out=out / "run-2", cache=out / "cache", train={"epochs": 3}
    )
    print(f"                           {spread(two.recommender, tomorrow):.3f} on pages of day 2, learned")
    print(f"day 2: {two.result.held_bytes:,} bytes; 40 new pages and their readers took none")
    assert one.result.held_bytes == two.result.held_bytes <= CEILING
    assert one.result.vocabulary_bytes == two.result.vocabulary_bytes == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder to write into; a temporary one when not given")
    given = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        out = given or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        main(out)
