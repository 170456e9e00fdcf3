"""Make one plain page from results: self-contained, without scripts, light, printable."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from pocketrec.bench.bytes_figure import where_bytes_went
from pocketrec.bench.figures import bytes_against_auc
from pocketrec.bench.grouping import Scene, scenes
from pocketrec.bench.svg import svg_of
from pocketrec.bench.tables import (
    Table,
    bytes_table,
    frequency_table,
    kept_its_word,
    quality_table,
    skipped_table,
    warnings_table,
)
from pocketrec.bench.training_figures import learning_curves, loss_curves, one_epoch, progressive_curves
from pocketrec.spec.errors import DataError
from pocketrec.spec.result import Result
from pocketrec.spec.writing import check_file, writing, written_whole

__all__ = ["render_report", "write_report"]

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """What the template says about one scene; drawings are SVG or None."""

    heading: str
    auc_figure: Markup | None
    curve_figure: Markup | None
    loss_figure: Markup | None
    one_epoch: bool
    progressive_figure: Markup | None
    bytes_figure: Markup | None
    quality: Table
    bytes: Table
    frequency: Table | None
    warnings: Table | None


def write_report(results: Sequence[Result], path: str | Path, title: str = "Bytes against quality") -> Path:
    """Write the page; the same results give the same bytes.

    Args:
        results: one or more, skipped ones included (see :func:`pocketrec.spec.result.read_results`).
        path: of the HTML file; an older one is replaced only once the new one is whole.
        title: stands at the top.

    Returns:
        The path.

    Raises:
        DataError: there are no results. CannotWrite: the file cannot be made there.
    """
    path = Path(path)
    check_file(path)
    page = render_report(results, title)
    with written_whole(path) as unfinished, writing(path):
        unfinished.write_text(page, encoding="utf-8")
    return path


def render_report(results: Sequence[Result], title: str) -> str:
    """The page as text; see :func:`write_report`."""
    if not results:
        raise DataError("There are no results to report. Run `pocketrec train` first and give its file of results.")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=title,
        facts=_facts(results),
        broken=[_named(r) for r in results if not kept_its_word(r)],
        sections=[_section(scene, number) for number, scene in enumerate(scenes(results), start=1)],
        skipped=skipped_table(results),
        commits=_counted(r.commit for r in results),
        commands=_commands(results),
        notes=_counted(note for r in results for note in r.notes),
    )


def _section(scene: Scene, number: int) -> _Section:
    def drawn(figure: Figure | None, name: str) -> Markup | None:
        return None if figure is None else Markup(svg_of(figure, f"{name}{number}"))

    return _Section(
        heading=f"{scene.data}, {scene.model}",
        auc_figure=drawn(bytes_against_auc(scene), "auc"),
        curve_figure=drawn(learning_curves(scene), "curve"),
        loss_figure=drawn(loss_curves(scene), "loss"),
        one_epoch=one_epoch(scene),
        progressive_figure=drawn(progressive_curves(scene), "progressive"),
        bytes_figure=drawn(where_bytes_went(scene), "bytes"),
        quality=quality_table(scene),
        bytes=bytes_table(scene),
        frequency=frequency_table(scene),
        warnings=warnings_table(scene),
    )


def _facts(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Number and word of what stands at the top."""
    ran = [r for r in results if r.skipped is None]
    counts = [
        (len(ran), "run"),
        (len({(r.data, r.model) for r in ran}), "data set"),
        (len({r.method for r in ran}), "method"),
        (len({(r.data, r.budget_bytes) for r in ran}), "budget"),
        (len({r.seed for r in ran}), "seed"),
        (len(results) - len(ran), "skipped"),
    ]
    facts = [(f"{n:,}", word if n == 1 or word == "skipped" else f"{word}s") for n, word in counts if n]
    measured = [r for r in ran if r.promised_bytes is not None and (r.held_bytes, r.file_bytes) != (None, None)]
    kept = sum(kept_its_word(r) for r in measured)
    files = all(r.file_bytes is not None for r in measured)
    equal = "promised = held = file" if files else "promised = held (= file, where one was written)"
    return [*facts, (f"{kept:,} of {len(measured):,}", equal)] if measured else facts


def _named(result: Result) -> str:
    return (
        f"{result.data}, {result.method} {result.storage} at {result.budget}, seed {result.seed}: "
        f"promised {result.promised_bytes}, held {result.held_bytes}, file {result.file_bytes} bytes"
    )


def _commands(results: Sequence[Result]) -> list[str]:
    """Command lines in order; those that differ only by their seed on one line."""
    seeds: dict[str, list[str]] = {}
    firsts: dict[str, str] = {}
    for command in dict.fromkeys(r.command for r in results if r.command):
        seed = re.search(r"--seed[ =](\d+)", command)
        alike = re.sub(r"(--seed[ =])\d+", r"\1", command)
        firsts.setdefault(alike, command)
        seeds.setdefault(alike, []).extend([seed[1]] if seed else [])
    return [
        command if len(seeds[alike]) < 2 else f"{command}  # also with seeds {', '.join(seeds[alike][1:])}"
        for alike, command in firsts.items()
    ]


def _counted(texts: Iterable[str]) -> list[tuple[str, int]]:
    return list(Counter(texts).items())
