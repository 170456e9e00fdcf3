"""The tables of a report, each from the runs of one scene. Everything is text already when the page is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pocketrec.bench.grouping import Group, Scene, Spread, ratio_of
from pocketrec.bench.wording import NOTHING, amount, bytes_text, exact_bytes, with_spread
from pocketrec.metrics.early_warnings import early_warnings
from pocketrec.metrics.registry import MEASURES
from pocketrec.spec.result import Result

__all__ = [
    "Block",
    "Cell",
    "Column",
    "Row",
    "Table",
    "allowed",
    "by_budget",
    "bytes_table",
    "frequency_table",
    "kept_its_word",
    "quality_table",
    "skipped_table",
    "spread_cell",
    "warnings_table",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Over a column: its title, and a sentence for who rests the pointer on it."""

    title: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One text.

    Attributes:
        text: what stands there.
        tone: "best", "bad" or "".
        value: what rows are sorted by in place of the text.
        method: whose card the text links to; "" for no link.
    """

    text: str
    tone: str = ""
    value: float | None = None
    method: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Cells, and the numbers of the groups that they are about: the filter hides a row when none of them is left."""

    cells: tuple[Cell, ...]
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows under a heading that runs across; "" for none."""

    heading: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The first column is text, all others are numbers (unless `words`)."""

    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    words: bool = False


_QUALITY = (
    ("auc", "AUC", 4, "how often a click scores above a non-click"),
    ("logloss", "log-loss", 4, "mean cross-entropy in nats, lower is better"),
    ("normalised_entropy", "normalised entropy", 4, "log-loss over that of the mean label: below 1 is better than it"),
    ("calibration", "calibration", 3, "mean prediction over mean label: 1 is right"),
)

# Columns of runs whose schema names the user.
_USERS = (
    ("gauc", "GAUC", 4, "AUC within each user, averaged with the users' rows as weights"),
    ("user_auc", "user AUC", 4, "AUC within each user, every user counting once"),
    ("gauc_rows_fraction", "rows in GAUC", 3, "share of the rows whose user has clicks and non-clicks"),
)

_PROGRESSIVE = "log-loss of training rows, each predicted just before it was first learned from"

_BYTES = (
    ("promised", "promised_bytes", "what the sizing says, before any tensor exists"),
    ("held", "held_bytes", "what the tensors of the frozen tables take in memory"),
    ("file", "file_bytes", "what the same tensors take in the artifact"),
    ("train", "train_bytes", "parameters, shadows and optimizer state of the largest stage"),
    ("vocabulary", "vocabulary_bytes", "raw token to encoded id"),
    ("dense nets", "dense_bytes", "the networks beside the tables"),
)

# Columns of runs that measured them.
_TIMES = (
    ("ms/batch", "ms_per_batch", "milliseconds that a batch takes"),
    ("ns/look-up", "ns_per_lookup", "nanoseconds that the look-up of one id takes"),
)


def quality_table(scene: Scene) -> Table:
    """How good each group is; the best mean AUC of each budget stands out."""
    extra = sorted({name for g in scene.groups for m in g.metrics() for name in m.extra})
    users = [column for column in _USERS if any(g.metric(column[0]) is not None for g in scene.groups)]
    measures = [*_QUALITY, *users, *((name, _title(name), 4, "") for name in extra)]
    told = any(_progressive(g) is not None for g in scene.groups)

    def row(group: Group, best: float) -> tuple[Cell, ...]:
        auc = group.metric("auc")
        tone = "best" if auc is not None and auc.mean == best else ""
        name = group.series.label if group.tested or not group.metrics() else f"{group.series.label} (validation)"
        epochs = sorted({r.epochs for r in group.results if r.epochs is not None})
        return (
            Cell(text=name, method=group.series.method),
            spread_cell(auc, 4, tone),
            *(spread_cell(group.metric(m), digits) for m, _, digits, _ in measures[1:]),
            *([spread_cell(_progressive(group), 4)] if told else []),
            Cell(text=", ".join(map(str, epochs)) or NOTHING),
            Cell(text=str(len(group.results))),
        )

    columns = [Column(title=title, hint=hint) for _, title, _, hint in measures]
    return Table(
        columns=(
            Column(title="method"),
            *columns,
            *([Column(title="progressive", hint=_PROGRESSIVE)] if told else []),
            Column(title="epochs", hint="chosen on validation"),
            Column(title="runs", hint="one per seed"),
        ),
        blocks=by_budget(scene, row),
    )


def bytes_table(scene: Scene) -> Table:
    """Bytes to the last one, and what each run took; promised, held and file bytes that differ stand out."""
    times = [column for column in _TIMES if any(g.amount(column[1]) is not None for g in scene.groups)]

    def row(group: Group, best: float) -> tuple[Cell, ...]:
        tone = "" if all(kept_its_word(r) for r in group.results) else "bad"
        peak = group.amount("peak_rss_bytes")
        return (
            Cell(text=group.series.label, method=group.series.method),
            *(
                Cell(
                    text=exact_bytes(getattr(r, field) for r in group.results), tone=tone if k < 3 else "",
                    value=_mean(group.amount(field)),
                )
                for k, (_, field, _) in enumerate(_BYTES)
            ),
            *(
                Cell(text=amount(group.amount(field)), value=_mean(group.amount(field)))
                for field in ("rows_per_s", "seconds", *(field for _, field, _ in times))
            ),
            Cell(text=NOTHING if peak is None else bytes_text(peak.mean), value=_mean(peak)),
        )  # fmt: skip

    return Table(
        columns=(
            Column(title="method"),
            *(Column(title=title, hint=hint) for title, _, hint in _BYTES),
            Column(title="rows/s", hint="training rows per second"),
            Column(title="seconds", hint="of the whole run"),
            *(Column(title=title, hint=hint) for title, _, hint in times),
            Column(title="peak memory", hint="most resident memory of the process"),
        ),
        blocks=by_budget(scene, row),
    )


def frequency_table(scene: Scene) -> Table | None:
    """AUC of test rows by how often their rarest id was seen in training; None when no run has it."""
    names = list(dict.fromkeys(name for g in scene.groups for r in g.results for name in r.by_frequency))
    if not names:
        return None

    def row(group: Group, best: float) -> tuple[Cell, ...]:
        groups = [[r.by_frequency[name] for r in group.results if name in r.by_frequency] for name in names]
        return (
            Cell(text=group.series.label, method=group.series.method),
            *(spread_cell(Spread.of(g.auc for g in same), 4) for same in groups),
        )

    first = next(r.by_frequency for g in scene.groups for r in g.results if r.by_frequency)
    total = sum(g.rows for g in first.values()) or 1
    shares = {name: f"{name} ({100 * group.rows / total:.0f} % of rows)" for name, group in first.items()}
    return Table(
        columns=(Column(title="method"), *(Column(title=shares.get(name, name)) for name in names)),
        blocks=by_budget(scene, row),
    )


def skipped_table(results: Sequence[Result]) -> Table | None:
    """What was not run, and why; seeds of one reason together. None when everything ran."""
    seeds: dict[tuple[str, ...], list[int]] = {}
    for r in results:
        if r.skipped is not None:
            seeds.setdefault((f"{r.method}, {r.storage}", r.budget, f"{r.data}, {r.model}", r.skipped), []).append(
                r.seed
            )
    if not seeds:
        return None
    titles = ("method", "budget", "data and model", "seeds", "why")
    rows = tuple(
        Row(cells=tuple(Cell(text=text) for text in (*key[:3], ", ".join(map(str, sorted(same))), key[3])))
        for key, same in seeds.items()
    )
    return Table(columns=tuple(Column(title=t) for t in titles), blocks=(Block(heading="", rows=rows),), words=True)


def warnings_table(scene: Scene) -> Table | None:
    """What the numbers of each group warn of; seeds of one warning together. None when they warn of nothing."""
    rows = []
    for group in scene.groups:
        warned: dict[str, list[tuple[int, str]]] = {}
        for result in group.results:
            for warning in early_warnings(result):
                warned.setdefault(warning.kind, []).append((result.seed, warning.text))
        for told in warned.values():
            seeds = ", ".join(dict.fromkeys(str(seed) for seed, _ in told))  # one may be told twice of one kind
            run = f"{group.series.label}, {group.budget}"
            cells = (Cell(text=run, method=group.series.method), Cell(text=seeds), Cell(text=told[0][1]))
            rows.append(Row(cells=cells, groups=(group.number,)))
    if not rows:
        return None
    columns = (Column(title="method and budget"), Column(title="seeds"), Column(title="numbers are of the first seed"))
    return Table(columns=columns, blocks=(Block(heading="", rows=tuple(rows)),), words=True)


def kept_its_word(result: Result) -> bool:
    """Whether promised, held and file bytes are one number, as far as they were measured."""
    return len({b for b in (result.promised_bytes, result.held_bytes, result.file_bytes) if b is not None}) <= 1


def by_budget(scene: Scene, row: Callable[[Group, float], tuple[Cell, ...]]) -> tuple[Block, ...]:
    """A block per budget. `row` is also given the best mean AUC of the block."""
    budgets: dict[int, list[Group]] = {}
    for group in scene.groups:
        budgets.setdefault(group.budget_bytes, []).append(group)
    return tuple(
        Block(
            heading=allowed(groups),
            rows=tuple(Row(cells=row(group, _best(groups)), groups=(group.number,)) for group in groups),
        )
        for groups in budgets.values()
    )


def allowed(groups: Sequence[Group]) -> str:
    """How a budget is called over the rows of those who had it."""
    ratio, text = ratio_of(groups), f"{groups[0].budget_bytes:,} bytes allowed"
    return f"{ratio}: {text}" if ratio else text


def _best(groups: Iterable[Group]) -> float:
    """The best mean AUC; NaN, which equals nothing, unless two groups can be compared."""
    means = [spread.mean for g in groups if (spread := g.metric("auc")) is not None]
    return max(means) if len(means) > 1 else math.nan


def _progressive(group: Group) -> Spread | None:
    return Spread.of(None if r.progressive is None else r.progressive.logloss for r in group.results)


def _title(name: str) -> str:
    return MEASURES.get(name).title if name in MEASURES.names() else name


def spread_cell(spread: Spread | None, digits: int, tone: str = "") -> Cell:
    """A mean and its standard deviation; rows are sorted by the mean."""
    return Cell(text=with_spread(spread, digits), tone=tone, value=_mean(spread))


def _mean(spread: Spread | None) -> float | None:
    return None if spread is None else spread.mean
