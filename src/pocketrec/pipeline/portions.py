"""Cut encoded rows into the portions that are scored at a time, whatever the blocks are that they come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from pocketrec.data.encoder import Encoded
from pocketrec.data.jagged import Jagged

__all__ = ["SCORE_ROWS", "portions"]

# Matrix products may round the same row differently in batches of other sizes, so frames, files and the judgement of
# a run all go by the same number, counted from their first row.
SCORE_ROWS = 4096


def portions(blocks: Iterable[Encoded]) -> Iterator[Encoded]:
    """The same rows, SCORE_ROWS at a time and what is left at the end, however the blocks are cut."""
    rest: Encoded | None = None
    for block in blocks:
        held = block if rest is None else _both(rest, block)
        whole = len(held.dense) // SCORE_ROWS * SCORE_ROWS
        for start in range(0, whole, SCORE_ROWS):
            yield _some(held, start, start + SCORE_ROWS)
        rest = _some(held, whole, len(held.dense))
    if rest is not None and len(rest.dense):
        yield rest


def _some(rows: Encoded, start: int, stop: int) -> Encoded:
    label = None if rows.label is None else rows.label[start:stop]
    weight = None if rows.weight is None else rows.weight[start:stop]
    user, dense = None if rows.user is None else rows.user[start:stop], rows.dense[start:stop]
    if rows.bags is not None:
        return Encoded.of_bags(rows.bags.cut(start, stop), dense=dense, label=label, weight=weight, user=user)
    return Encoded(dense=dense, ids=rows.ids[start:stop], label=label, weight=weight, user=user)


def _both(first: Encoded, second: Encoded) -> Encoded:
    labels = [rows.label for rows in (first, second) if rows.label is not None]
    weights = [np.ones(len(r.dense), np.float32) if r.weight is None else r.weight for r in (first, second)]
    dense, label = np.concatenate([first.dense, second.dense]), np.concatenate(labels) if len(labels) == 2 else None
    weight = None if first.weight is None and second.weight is None else np.concatenate(weights)
    users = [rows.user for rows in (first, second) if rows.user is not None]
    user = np.concatenate(users) if len(users) == 2 else None
    if first.bags is not None and second.bags is not None:
        bags = Jagged.joined([first.bags, second.bags])
        return Encoded.of_bags(bags, dense=dense, label=label, weight=weight, user=user)
    return Encoded(dense=dense, ids=np.concatenate([first.ids, second.ids]), label=label, weight=weight, user=user)
