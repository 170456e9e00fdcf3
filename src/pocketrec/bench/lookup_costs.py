"""What looking an id up takes on this machine, by method and storage."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

import torch

from pocketrec.compress import build, freeze, of
from pocketrec.compress.fit import Tastes
from pocketrec.native.threads import use_threads
from pocketrec.spec.errors import OptionError
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

__all__ = ["lookup_costs"]

_MOST_ROWS: Final = 1_000_000
_IDS: Final = 4096
_ROUNDS: Final = 7


def lookup_costs(
    tastes: Tastes, tables: Sequence[TableSpec], *, clock: Callable[[], int] = time.thread_time_ns
) -> dict[tuple[str, str], float]:
    """Nanoseconds of one thread per looked-up id, by (method, storage).

    A table as large as the largest of these (a million rows at most) is held in a quarter of its bytes, and ids are
    drawn evenly, which is the worst for caches. The median of seven calls of 4,096 ids.

    Args:
        tastes: methods and storages to time.
        tables: whose sizes count.
        clock: nanoseconds of this thread.
    """
    rows = min(_MOST_ROWS, max((t.rows or _MOST_ROWS) for t in tables))
    found = {}
    for name in tastes.methods:
        for storage in tastes.storages:
            try:
                method = of(name, {**tastes.options, "storage": storage})
            except OptionError:
                continue
            ids = "rank" if "rank" in method.traits.ids else method.traits.ids[0]
            table = TableSpec(name="t", rows=rows, dim=tables[0].dim, ids=ids)
            budget = max(method.least_bytes([table]), rows * table.dim)
            stats = {"t": TableStats.zipf("t", rows - 1)}
            bank = freeze(build(method.size([table], budget, stats=stats), seed=0))
            asked = torch.randint(rows, (_IDS, 1), generator=torch.Generator().manual_seed(0))
            took = []
            with torch.inference_mode(), use_threads(1):
                for _ in range(1 + _ROUNDS):
                    began = clock()
                    bank(asked)
                    took.append(clock() - began)
            found[name, storage] = statistics.median(took[1:]) / _IDS
    return found
