"""A candidate item and a history of items share one table: what histories teach of an item serves it as candidate.

One bank holds two tables in three columns: the user, the candidate (one item) and the history (a bag of any length).
Half of the items are never candidates in training, and the last figure is about those alone. With a table per field,
candidate and history know nothing of each other.

    python examples/bags_and_shared_tables.py
"""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.compress import build
from pocketrec.metrics import evaluate
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec

ITEMS, USERS, GENRES, DIM, ROWS, BATCH = 200, 500, 5, 8, 12_000, 100
ADAGRAD = OptimizerSpec(name="rowwise_adagrad", lr=0.1)
Row = tuple[int, int, list[int], float]  # user, candidate, history, clicked


def columns(rows: list[Row]) -> tuple[Tensor, Tensor, Tensor]:
    """What a bank reads: ids column by column, where each bag begins, and a factor per id (means, not sums)."""
    bags = [[user] for user, *_ in rows] + [[item] for _, item, *_ in rows] + [seen for _, _, seen, _ in rows]
    return (
        torch.tensor([i for bag in bags for i in bag]),
        torch.tensor([0, *map(len, bags)]).cumsum(0),
        torch.tensor([1 / len(bag) for bag in bags for _ in bag]),
    )


def clicks(rows: int, candidates: range, seed: int) -> list[Row]:
    """A user likes one genre; the history is of that genre, and candidates of it are clicked more often."""
    draw, found = random.Random(seed), []
    for _ in range(rows):
        user, item = draw.randrange(USERS), draw.choice(candidates)
        seen = [draw.randrange(ITEMS // GENRES) * GENRES + user % GENRES for _ in range(draw.randrange(6))]
        found.append((user, item, seen, float(draw.random() < (0.7 if item % GENRES == user % GENRES else 0.1))))
    return found


def auc(shared: bool) -> tuple[int, float, float]:
    """Bytes of the tables, and AUC on new rows with candidates of the training rows and with the others."""
    tables = {"user": "user", "candidate": "item", "history": "item" if shared else "history"}
    rows = {"user": USERS, "item": ITEMS, "history": ITEMS}
    specs = [TableSpec(name=name, rows=rows[name], dim=DIM) for name in dict.fromkeys(tables.values())]
    bank = build(pocketrec.size(specs, "1x", optimizer=ADAGRAD), seed=0, fields=tables)
    torch.manual_seed(0)
    bias, scale = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(1))
    nets = torch.optim.Adam([bias, scale], lr=0.01)

    def logits(rows: list[Row]) -> Tensor:
        user, candidate, history = bank(*columns(rows)).unbind(1)
        return bias + scale * (candidate * (history + user)).sum(1)

    known, others = range(ITEMS // 2), range(ITEMS // 2, ITEMS)
    log = clicks(ROWS, known, seed=1)
    for batch in (log[start : start + BATCH] for start in range(0, ROWS, BATCH)):
        nets.zero_grad()
        clicked = torch.tensor([click for *_, click in batch])
        nn.functional.binary_cross_entropy_with_logits(logits(batch), clicked).backward()
        nets.step()
        bank.step()  # the rows that the batch read, of both columns of a shared table at once
    bank.eval()
    tests = [clicks(3000, candidates, seed=2) for candidates in (known, others)]
    found = [evaluate([c for *_, c in test], logits(test).detach().numpy()).auc for test in tests]
    return bank.sizing.serve_bytes, *found


if __name__ == "__main__":
    for kind, shared in (("one table of items", True), ("a table per field", False)):
        held, known, others = auc(shared)
        print(f"{kind:18} {held:6,} bytes   AUC {known:.3f}, of items that never were candidates {others:.3f}")
