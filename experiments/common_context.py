"""Which ids of the context make values of one cluster alike, and which make all values alike?

    python experiments/common_context.py

On the planted logs `criteo` and `alike`, 125,000 rows of them: for pairs of values of one field that occur equally
often (8 to 31, 32 to 127, 128 to 511 rows), how well the Jaccard similarity of their contexts tells pairs of one
planted cluster from pairs of two (AUC: .5 is not at all), by `most_share` and `least_lift`; with the mean similarities
(of one cluster / of two), the members of all sets, seconds, and the most memory that the process has had so far. It is
what `pocketrec.data.value_sets` does, on tokens instead of encoded ids, for their clusters are known.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

import numpy as np

from pocketrec.data.contexts import Occurrences, context_pairs
from pocketrec.data.synthetic import SyntheticSpec
from pocketrec.data.value_sets import ValueSets
from pocketrec.metrics import evaluate

ROWS, PAIRS = 125_000, 1_500
SETTINGS = (  # most_share, least_lift
    *((share, 0.0) for share in (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)),
    *((1.0, lift) for lift in (1.0, 1.5, 2.0, 3.0, 5.0)),
)


def main() -> None:
    """Both logs, every setting."""
    for preset in ("criteo", "alike"):
        for share, lift in SETTINGS:
            sys.stdout.write(_line(preset, share, lift) + "\n")
            sys.stdout.flush()


def _line(preset: str, share: float, lift: float) -> str:
    law = SyntheticSpec.preset(preset).made()
    tokens, gone, *_ = law._values(np.arange(ROWS), 0.0)
    tokens = np.where(gone, -1, tokens)
    columns = [Occurrences(values=tokens[:, f], rows=np.arange(ROWS)) for f in range(tokens.shape[1])]
    names = [str(f) for f in range(len(columns))]
    alike: dict[int, list[tuple[bool, float]]] = {8: [], 32: [], 128: []}
    began, members = time.perf_counter(), 0
    pairs_of = context_pairs(columns, names, range(len(columns)), rows=ROWS, most_share=share, least_lift=lift)
    for name, values, numbers in pairs_of:
        sets = ValueSets.of_ordered(values, numbers)
        members += len(sets.members)
        if law.cardinalities[int(name)] > 500:
            for least, pairs in alike.items():
                pairs.extend(_similarities(sets, tokens[:, int(name)], law._parts(int(name)), least))
    seconds = time.perf_counter() - began
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    cells = [f"{preset:7} {share:6} {lift:4}"]
    for least, pairs in alike.items():
        same, found = (np.array(each, dtype=np.float32) for each in zip(*pairs, strict=True))
        auc = evaluate(same, found.astype(np.float64)).auc
        cells.append(f"{least:4}+: AUC {auc:.3f} ({found[same == 1].mean():.3f} / {found[same == 0].mean():.3f})")
    return "  ".join([*cells, f"{members / 1e6:6.2f}M members {seconds:5.1f} s {most:.2f} GiB"])


def _similarities(sets: ValueSets, column: np.ndarray, parts: int, least: int) -> Iterator[tuple[bool, float]]:
    """Whether both values are of one cluster, and their similarity: as many pairs of either kind."""
    draw = np.random.default_rng(least)
    values, counts = np.unique(column[column >= 0], return_counts=True)
    values = values[(counts >= least) & (counts < 4 * least)]
    if len(values) < 40:
        return
    place = {int(value): i for i, value in enumerate(sets.values)}
    for wanted in (True, False):
        for _ in range(PAIRS // 20):
            v = int(draw.choice(values))
            others = values[((values % parts == v % parts) == wanted) & (values != v)]
            if len(others):
                w = int(draw.choice(others))
                yield wanted, _jaccard(*(_members(sets, place.get(each)) for each in (v, w)))


def _members(sets: ValueSets, at: int | None) -> np.ndarray:
    return sets.members[:0] if at is None else sets.members[sets.starts[at] : sets.starts[at + 1]]


def _jaccard(one: np.ndarray, two: np.ndarray) -> float:
    both = len(np.intersect1d(one, two, assume_unique=True))
    return both / max(len(one) + len(two) - both, 1)


if __name__ == "__main__":
    main()
