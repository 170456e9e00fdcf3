"""Drawings with a point per group: bytes against AUC, bytes of training against those of serving, time against AUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pocketrec.bench.charts import LEGEND, Chart, Mark, Trace, axis, bytes_axis, plain, rounded, rounds
from pocketrec.bench.comparison import auc_interval
from pocketrec.bench.grouping import Group, Scene, ratio_of
from pocketrec.bench.look import Look, look_of
from pocketrec.bench.wording import short

__all__ = ["bytes_against_auc", "latency", "serving_bytes", "train_against_serve"]

# With two seeds the interval by t is six standard deviations of the mean to each side times two: wider than the figure.
_SEEDS_FOR_AN_INTERVAL = 3


def serving_bytes(group: Group) -> dict[str, float]:
    """What may stand on the axis of bytes: the tables; with the vocabulary; with the nets too. Means over seeds."""
    vocabulary, dense = group.amount("vocabulary_bytes"), group.amount("dense_bytes")
    tokens = group.bytes + (vocabulary.mean if vocabulary else 0)
    return {"tables": group.bytes, "vocabulary": tokens, "all": tokens + (dense.mean if dense else 0)}


def bytes_against_auc(scene: Scene, colours: dict[str, str], name: str) -> Chart | None:
    """Held bytes (log) against AUC: means, 95 % intervals, every seed. None when no run has an AUC."""
    groups = [g for g in scene.groups if g.metric("auc") is not None]
    if not groups:
        return None
    # Many bands lie over each other: the more there are, the thinner each.
    veil = "28" if len(scene.series) <= 4 else "18" if len(scene.series) <= 8 else "0d"
    traces: list[Trace] = []
    for series in scene.series:
        same = sorted((g for g in groups if g.series == series), key=lambda g: g.bytes)
        traces += _series(same, look_of(series, colours), veil) if same else []
    marks = [
        Mark(axis="y", at=rounded(auc.mean), groups=[g.number], colour=colours[g.series.method])
        for g in scene.landmarks()
        if (auc := g.metric("auc")) is not None
    ]
    budgets = {g.budget_bytes: [other for other in groups if other.budget_bytes == g.budget_bytes] for g in groups}
    marks += [
        Mark(axis="x", at=allowed, groups=[g.number for g in same], text=plain(ratio_of(same)))
        for allowed, same in budgets.items()
    ]
    rows = "test rows" if all(g.tested for g in groups) else "validation rows where nothing was tested, else test rows"
    return Chart(
        name=name, title="Bytes against AUC", front=True, height=540, marks=marks,
        told=f"A point for each of {len(groups)} groups of runs: bytes to the right, AUC upwards. "
        "The tables below have every number of it.",
        traces=[*(t for t in traces if not t.framing), *(t for t in traces if t.framing)],
        layout={"legend": LEGEND, "xaxis": bytes_axis("bytes (log scale)"),
                "yaxis": axis(f"AUC on {rows}", tickformat=".4~f")},
    )  # fmt: skip


def train_against_serve(scene: Scene, colours: dict[str, str], name: str) -> Chart | None:
    """Bytes of the tables while serving against those while training, both log. None when no run has the latter."""
    points = [(g, t.mean) for g in scene.groups if (t := g.amount("train_bytes")) is not None and t.mean > 0]
    if not points:
        return None
    x = sorted(g.bytes for g, _ in points)
    ends = [x[0] / 2, x[-1] * 2]
    line = {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "hoverinfo": "skip", "name": "as many bytes",
            "line": {"color": "#8894a0", "width": 1, "dash": "dot"}}  # fmt: skip
    traces = [
        Trace(
            plot={"type": "scatter", "mode": "markers", "name": plain(short(s.label, 60)),
                  "x": rounds(g.bytes for g, _ in same), "y": rounds(trained for _, trained in same),
                  "marker": _marker(look_of(s, colours))},
            groups=[g.number for g, _ in same], told=True,
        )
        for s in scene.series
        if (same := [(g, trained) for g, trained in points if g.series == s])
    ]  # fmt: skip
    return Chart(
        name=name, title="Training bytes against serving bytes", height=460,
        told=f"A point for each of {len(points)} groups of runs. The table of bytes below has the same numbers.",
        traces=[Trace(plot=line, groups=None, framing=False), *traces],
        layout={"legend": LEGEND, "xaxis": bytes_axis("bytes of the tables while serving"),
                          "yaxis": bytes_axis("bytes while training")},
    )  # fmt: skip


def latency(scene: Scene, colours: dict[str, str], name: str) -> list[Chart]:
    """Time against AUC, a chart per kind of time that was measured: look-up of an id, batch."""
    kinds = (("ns_per_lookup", "Look-up against AUC", "nanoseconds per look-up"),
             ("ms_per_batch", "Batch against AUC", "milliseconds per batch"))  # fmt: skip
    charts = []
    for kind, title, unit in kinds:
        points = [
            (g, took.mean, auc.mean)
            for g in scene.groups
            if (took := g.amount(kind)) is not None and (auc := g.metric("auc")) is not None
        ]
        traces = [
            Trace(
                plot={"type": "scatter", "mode": "markers", "name": plain(short(s.label, 60)),
                      "x": rounds(took for _, took, _ in same), "y": rounds(auc for _, _, auc in same),
                      "marker": _marker(look_of(s, colours))},
                groups=[g.number for g, _, _ in same], told=True,
            )
            for s in scene.series
            if (same := [point for point in points if point[0].series == s])
        ]  # fmt: skip
        if traces:
            layout = {"legend": LEGEND} | {
                "xaxis": axis(unit, rangemode="tozero"),
                "yaxis": axis("AUC", tickformat=".4~f"),
            }
            told = f"A point for each of {len(points)} groups of runs: {unit} to the right, AUC upwards."
            charts.append(Chart(name=f"{name}-{kind.split('_')[0]}", title=title, told=told, traces=traces,
                                layout=layout, height=420))  # fmt: skip
    return charts


def _series(groups: Sequence[Group], look: Look, veil: str) -> list[Trace]:
    """Interval (a band over several budgets, as dense as `veil` says), single seeds, and means of one series."""
    numbers, label = [g.number for g in groups], plain(short(groups[0].series.label, 60))
    means = [auc.mean for g in groups if (auc := g.metric("auc")) is not None]
    halves = [
        interval.half if (interval := auc_interval(g)) is not None and interval.count >= _SEEDS_FOR_AN_INTERVAL else 0.0
        for g in groups
    ]
    alike: dict[str, object] = {"type": "scatter", "legendgroup": label}
    traces = []
    if len(groups) > 1 and any(halves):
        hidden = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, "name": label}
        for sign, fill in ((-1, {}), (1, {"fill": "tonexty", "fillcolor": f"{look.colour}{veil}"})):
            edge = rounds(mean + sign * half for mean, half in zip(means, halves, strict=True))
            traces.append(_trace(groups, alike | hidden | fill | {"y": edge}, numbers, framing=False))
    seeds = [(g, m.auc) for g in groups if len(g.results) > 1 for m in g.metrics() if m.auc is not None]
    if seeds:
        dots = {"mode": "markers", "marker": {"size": 4, "color": look.colour, "opacity": 0.4}, "hoverinfo": "skip",
                "showlegend": False, "name": label, "y": rounds(auc for _, auc in seeds)}  # fmt: skip
        traces.append(_trace([g for g, _ in seeds], alike | dots, [g.number for g, _ in seeds]))
    bars = {"type": "data", "array": rounds(halves), "color": look.colour, "thickness": 1, "width": 3}
    line = {"mode": "lines+markers", "name": label, "y": rounds(means), "marker": _marker(look), "error_y": bars,
            "line": {"color": look.colour, "width": 1.8, "dash": look.dash}}  # fmt: skip
    return [*traces, _trace(groups, alike | line, numbers, told=True)]


def _trace(
    groups: Sequence[Group], plot: Mapping[str, object], numbers: Sequence[int], *, framing: bool = True,
    told: bool = False,
) -> Trace:  # fmt: skip
    kinds = [serving_bytes(g) for g in groups]
    others = {name: rounds(kind[name] for kind in kinds) for name in ("vocabulary", "all")}
    plot = {**plot, "x": rounds(kind["tables"] for kind in kinds)}
    return Trace(plot=plot, groups=numbers, framing=framing, told=told, others=others)


def _marker(look: Look) -> dict[str, object]:
    return {
        "color": look.colour,
        "symbol": look.symbol,
        "size": 10,
        "line": {"width": 1, "color": "rgba(255,255,255,.6)"},
    }
