"""How long a served bank takes to look an id up."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Final

import torch

from pocketrec.data.dataset import Dataset
from pocketrec.data.split import Part
from pocketrec.models import Model
from pocketrec.native.threads import use_threads
from pocketrec.pipeline.data import PartSource, spaces_by_table
from pocketrec.pipeline.portions import SCORE_ROWS

__all__ = ["ns_per_lookup"]

_BATCHES: Final = 8
_ROUNDS: Final = 5


def ns_per_lookup(
    model: Model, dataset: Dataset, part: Part, *, clock: Callable[[], int] = time.thread_time_ns
) -> float | None:
    """Processor nanoseconds per id that the model's bank looks up, one thread, ids in batches as they are served.

    The median of 5 rounds over the first 8 batches of 4,096 rows; the first round, which touches the memory, is not
    counted.

    Args:
        model: over its frozen bank, in eval mode.
        dataset: the encoded rows.
        part: whose ids are looked up.
        clock: nanoseconds of this thread.

    Returns:
        None for a part without ids.
    """
    if not dataset.parts[part]:
        return None
    spaces = spaces_by_table(dataset.schema, model.bank.id_spaces())
    source = PartSource(dataset=dataset, parts=(part,), id_spaces=spaces)
    batches = list(
        itertools.islice(source.batches(batch_size=SCORE_ROWS, order="time", seed=0, epoch=0, start=0), _BATCHES)
    )
    ids = sum(batch.ids.numel() for batch in batches)
    if not ids:
        return None
    took = []
    with torch.inference_mode(), use_threads(1):
        for _ in range(1 + _ROUNDS):
            began = clock()
            for batch in batches:
                model.bank(batch.ids, batch.offsets, batch.value_weights)
            took.append(clock() - began)
    return statistics.median(took[1:]) / ids
