"""How many of the most frequent ids a HotSketch finds, by rules of promotion.

Unit inserts of ids with Zipf shares into 4 slots per hot row; `rows` - 1 rows may be owned. *Recorded*: the share of
the most frequent ids that stand in the sketch at the end, *hot*: that own a row; *moves*: promotions. Promotions come
after each batch: only with batches of 1 is the published rule that of its paper, which lets rows move at every insert.

    python experiments/sketch_recall.py
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketrec.compress.parts.hot_rows import (
    PAPER,
    PINNED,
    TOP_K,
    Admission,
    all_free,
    give_back,
    promote,
    promotions,
    take,
)
from pocketrec.native.mix import mix
from pocketrec.native.sketch import empty_sketch, is_hot, sketch_find, sketch_insert
from pocketrec.native.sketch_rows import demote_below, score_number

IDS, INSERTS = 1_000_000, 20_000_000
RULES: dict[str, tuple[Admission, bool]] = {  # and whether the threshold follows the sketch
    "paper": (PAPER, False),
    "pinned": (PINNED, False),
    "guaranteed": (TOP_K, False),
    "top_k": (TOP_K, True),
}
CASES = (
    (1.05, 1000, 4), (1.05, 10_000, 4), (1.1, 1000, 4), (1.1, 10_000, 4), (1.1, 10_000, 8), (1.1, 10_000, 16),
    (1.1, 10_000, 32), (1.3, 10_000, 4),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Recalls in 0..1, promotions, and seconds per insert of all but drawing."""

    recorded: float
    hot: float
    moves: int
    seconds: float


def shares_of(z: float, ids: int) -> Tensor:
    """float64 [ids], the chance of each."""
    weights = torch.arange(1, ids + 1, dtype=torch.float64).pow(-z)
    return weights / weights.sum()


def stream(shares: Tensor, inserts: int, seed: int) -> Tensor:
    """int64 [inserts], ids by their chances."""
    ends = shares.cumsum(0)
    draw = torch.rand(inserts, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.searchsorted(ends, draw * ends[-1]).clamp(max=len(shares) - 1)


def simulate(
    drawn: Tensor, shares: Tensor, rule: str, *, rows: int, slots: int, batch: int, every: int, hysteresis: float = 0.1
) -> Found:
    """Insert a stream, `batch` at a time; where the threshold follows, it is renewed after each `every` batches."""
    admission, follows = RULES[rule]
    sketch = empty_sketch(4 * rows // slots, slots)
    free = torch.zeros(rows, dtype=torch.int32)  # rows - 1 of them
    all_free(free)
    threshold = float("inf") if follows else float(shares[rows - 1]) * len(drawn)
    moves, ones, before = 0, torch.ones(batch), time.process_time()
    for step, ids in enumerate(drawn.split(batch)):
        found = sketch_insert(sketch, mix(ids, 1), ones[: len(ids)], evict_hot=admission.evict_hot)
        if admission.evict_hot:
            give_back(free, found.released[found.released >= 0])
        if follows and step % every == every - 1:
            threshold = score_number(sketch, rows - 1, guaranteed=True)
            give_back(free, demote_below(sketch, threshold))
        chosen = promotions(
            sketch, found, admission, threshold=threshold, most=int(free[0]), hysteresis=hysteresis if follows else 0.0
        )
        if len(chosen):
            promote(sketch, found.slots[chosen], take(free, len(chosen)), admission)
            moves += len(chosen)
    seconds = (time.process_time() - before) / len(drawn)
    slot = sketch_find(sketch, mix(torch.arange(rows), 1))
    hot = is_hot(sketch).view(-1)[slot.clamp(min=0)] & (slot >= 0)
    return Found(
        recorded=float((slot >= 0).double().mean()), hot=float(hot.double().mean()), moves=moves, seconds=seconds
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inserts", type=int, default=INSERTS)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--every", type=int, default=800)
    parser.add_argument("--hysteresis", type=float, default=0.1)
    parser.add_argument("--cases", type=int, nargs="+", default=list(range(len(CASES))), help="by their places")
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    write = sys.stdout.write
    write("| z | rows | slots | rule | recorded | hot | moves | ns per insert |\n")
    write("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
    drawn: dict[float, Tensor] = {}
    for z, rows, slots in (CASES[place] for place in asked.cases):
        shares = shares_of(z, IDS)
        if z not in drawn:
            drawn = {z: stream(shares, asked.inserts, seed=7)}
        for rule in asked.rules:
            got = simulate(
                drawn[z], shares, rule, rows=rows, slots=slots, batch=asked.batch, every=asked.every,
                hysteresis=asked.hysteresis,
            )  # fmt: skip
            write(
                f"| {z} | {rows} | {slots} | {rule} | {got.recorded:.3f} | {got.hot:.3f} | {got.moves:,} "
                f"| {got.seconds * 1e9:.0f} |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
