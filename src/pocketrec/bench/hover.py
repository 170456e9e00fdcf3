"""What the page says of a group when the pointer rests on its point: every figure that its lines have."""

from __future__ import annotations

import json

from pocketrec.bench.charts import plain
from pocketrec.bench.comparison import auc_interval
from pocketrec.bench.grouping import Group, Scene
from pocketrec.bench.wording import NOTHING, amount, exact_bytes, short, with_spread

__all__ = ["hover_text"]

_LONGEST = 90  # characters of a line; a box wider than the chart would be cut off


def hover_text(group: Group, scene: Scene, *, on_front: bool) -> str:
    """Lines for plotly's box, joined by its line break; all else in them is plain text."""
    lines = [f"<b>{plain(short(group.series.label, _LONGEST))}</b>"]
    lines += [plain(short(line, _LONGEST)) for line in _lines(group, scene)]
    lines += ["on the front: none of this data set is better in as few bytes"] if on_front else []
    return "<br>".join(lines)


def _lines(group: Group, scene: Scene) -> list[str]:
    first = group.results[0]

    def told(name: str) -> str:
        return exact_bytes(getattr(r, name) for r in group.results)

    seeds = ", ".join(str(r.seed) for r in group.results)
    commits = ", ".join(dict.fromkeys(r.commit for r in group.results))
    interval = auc_interval(group)
    lines = [
        f"{scene.data}, {scene.model}",
        f"budget {group.budget}: {group.budget_bytes:,} bytes",
        f"promised {told('promised_bytes')}, held {told('held_bytes')}, file {told('file_bytes')} bytes",
        f"training {told('train_bytes')}, vocabulary {told('vocabulary_bytes')}, nets {told('dense_bytes')} bytes",
        f"AUC {with_spread(group.metric('auc'), 4)} on {'test' if group.tested else 'validation'} rows"
        + (f", 95 % interval {interval.low:.4f} to {interval.high:.4f}" if interval else ""),
        f"log-loss {with_spread(group.metric('logloss'), 4)}",
        f"seeds {seeds}",
    ]
    options = {key: value for key, value in first.options.items() if value not in ("", None)}
    if options:
        lines.append(
            "options " + ", ".join(f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in options.items())
        )
    took = [
        f"{amount(group.amount(name))} {unit}"
        for name, unit in (("seconds", "s"), ("rows_per_s", "rows/s"), ("ms_per_batch", "ms per batch"),
                           ("ns_per_lookup", "ns per look-up"))
        if group.amount(name) is not None
    ]  # fmt: skip
    return [*lines, f"took {', '.join(took) or NOTHING}", f"commit {commits}"]
