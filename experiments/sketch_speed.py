"""What a HotSketch costs: nanoseconds of CPU per inserted and per looked-up id, one thread.

Batches of 2048 rows of 26 ids with Zipf shares (1.1) over 10^7 ids; 4 slots per hot row. *Distinct* is the share of
the batch's ids that are: only they cost a bucket. Lookups are addresses alone, those of hashed rows to compare with.
The least of a few rounds is told, so that others on the machine count little.

    python experiments/sketch_speed.py
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable

import torch
from sketch_recall import shares_of, stream

from pocketrec.native import Kind, addresses, program_row, use_threads
from pocketrec.native.mix import mix
from pocketrec.native.sketch import empty_sketch, sketch_insert
from pocketrec.native.tagged import tagged_maps

BATCH, BATCHES, ROUNDS = 2048 * 26, 16, 9


def least_ns(step: Callable[[int], object]) -> float:
    """Per id, the least of some rounds over all batches."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for number in range(BATCHES):
            step(number)
        times.append((time.process_time() - began) / (BATCH * BATCHES))
    return min(times) * 1e9


def look_up(columns: list[torch.Tensor], program: torch.Tensor, maps: torch.Tensor | None, number: int) -> torch.Tensor:
    """Addresses of one batch."""
    return addresses(columns[number], program, maps=maps)


def measure(rows: int, slots: int, drawn: list[torch.Tensor]) -> list[float]:
    """ns per id: insert, found in the sketch, found in its frozen form, hashed."""
    buckets = 4 * rows // slots
    sketch = empty_sketch(buckets, slots)
    keys, scores = [mix(ids, 1) for ids in drawn], torch.ones(BATCH)
    insert = least_ns(lambda number: sketch_insert(sketch, keys[number], scores, evict_hot=False))
    held = (sketch[..., 0] != 0).view(-1).nonzero().squeeze(1)
    hot = held[sketch.view(-1, 3)[held, 1].view(torch.float32).argsort(descending=True)[:rows]]
    sketch.view(-1, 3)[hot, 2] = torch.arange(len(hot), dtype=torch.int32)
    frozen = rows // 2 if buckets % (rows // 2) == 0 else buckets
    maps, _ = tagged_maps(sketch, buckets=frozen, rows=rows)
    found = {
        "sketched": (program_row(kind=Kind.SKETCHED, size=buckets, a=slots, seed=1), sketch.view(-1)),
        "tagged": (program_row(kind=Kind.TAGGED, size=frozen, n=rows, seed=1), maps),
        "hashed": (program_row(kind=Kind.HASH, size=rows, seed=1), None),
    }
    columns = [ids.view(2048, 26) for ids in drawn]
    times = [insert]
    for row, entries in found.values():
        program = torch.tensor([[column, *row[1:]] for column in range(26)])
        times.append(least_ns(functools.partial(look_up, columns, program, entries)))
    return times


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    write = sys.stdout.write
    drawn = list(stream(shares_of(1.1, 10_000_000), BATCH * BATCHES, seed=3).split(BATCH))
    distinct = sum(len(ids.unique()) for ids in drawn) / (BATCH * BATCHES)
    write(f"distinct: {distinct:.2f}\n| rows | slots | insert | sketched | tagged | hashed |\n")
    write("| --- | --- | --- | --- | --- | --- |\n")
    with use_threads(1):
        for rows in (10_000, 100_000, 1_000_000):
            for slots in (4, 8):
                times = " | ".join(f"{found:.1f}" for found in measure(rows, slots, drawn))
                write(f"| {rows} | {slots} | {times} |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
