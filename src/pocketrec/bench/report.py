"""Make one interactive page from results: self-contained, it works from a file and fetches nothing."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pocketrec.bench.bytes_figure import where_bytes_went
from pocketrec.bench.cards import cards_of
from pocketrec.bench.charts import Chart
from pocketrec.bench.comparison import front
from pocketrec.bench.comparison_tables import differences, overview_table, references, standings_table
from pocketrec.bench.figures import bytes_against_auc, latency, train_against_serve
from pocketrec.bench.filters import Filter, filter_of
from pocketrec.bench.grouping import Scene, scenes
from pocketrec.bench.hover import hover_text
from pocketrec.bench.look import colours_of
from pocketrec.bench.provenance import broken, commands, counted, facts
from pocketrec.bench.tables import (
    Table,
    bytes_table,
    frequency_table,
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
    """What the template says about one scene."""

    anchor: str
    heading: str
    groups: Sequence[int]
    auc: Sequence[Chart]
    train: Sequence[Chart]
    latency: Sequence[Chart]
    curves: Sequence[Chart]
    losses: Sequence[Chart]
    progressive: Sequence[Chart]
    bytes_drawn: Sequence[Chart]
    one_epoch: bool
    overview: Table | None
    standings: Table
    references: Sequence[str]
    quality: Table
    bytes: Table
    frequency: Table | None
    warnings: Table | None

    def charts(self) -> list[Chart]:
        drawn = (self.auc, self.train, self.latency, self.curves, self.losses, self.progressive, self.bytes_drawn)
        return [chart for charts in drawn for chart in charts]


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
    found = scenes(results)
    colours = colours_of(found)
    sections = [_section(scene, colours, number) for number, scene in enumerate(found, start=1)]
    offered = filter_of(found)
    # Without a chart there is nothing to draw, filter or fetch: the page is text alone.
    scripts = [_plotly(), (_TEMPLATES / "report.js").read_text(encoding="utf-8")] if sections else []
    return environment.get_template("report.html").render(
        title=title,
        policy=_policy(scripts),
        scripts=[Markup(script) for script in scripts],
        told=_in_a_script(_told(found, sections, offered)),
        facts=facts(results),
        broken=broken(results),
        filter=offered,
        colours=colours,
        sections=sections,
        skipped=skipped_table(results),
        cards=cards_of(r.method for r in results),
        commits=counted(r.commit for r in results),
        commands=commands(results),
        notes=counted(note for r in results for note in r.notes),
    )


def _section(scene: Scene, colours: dict[str, str], number: int) -> _Section:
    def present(chart: Chart | None) -> list[Chart]:
        return [] if chart is None else [chart]

    return _Section(
        anchor=f"scene-{number}",
        heading=f"{scene.data}, {scene.model}",
        groups=[g.number for g in scene.groups],
        auc=present(bytes_against_auc(scene, colours, f"auc-{number}")),
        train=present(train_against_serve(scene, colours, f"train-{number}")),
        latency=latency(scene, colours, f"latency-{number}"),
        curves=learning_curves(scene, colours, f"curve-{number}"),
        losses=loss_curves(scene, colours, f"loss-{number}"),
        progressive=progressive_curves(scene, colours, f"progressive-{number}"),
        bytes_drawn=where_bytes_went(scene, f"bytes-{number}"),
        one_epoch=one_epoch(scene),
        overview=overview_table(scene),
        standings=standings_table(scene),
        references=[name for name, _ in references(scene)],
        quality=quality_table(scene),
        bytes=bytes_table(scene),
        frequency=frequency_table(scene),
        warnings=warnings_table(scene),
    )


def _told(found: Sequence[Scene], sections: Sequence[_Section], offered: Filter) -> dict[str, Any]:
    """All that the page's script reads."""
    best = {g.number for scene in found for g in front(scene.groups)}
    return {
        "charts": [chart.to_json() for section in sections for chart in section.charts()],
        "groups": offered.groups,
        "hover": [hover_text(g, scene, on_front=g.number in best) for scene in found for g in scene.groups],
        "differences": {n: row for scene in found for n, row in differences(scene).items()},
        "references": [[of for _, of in references(scene)] for scene in found],
    }


def _in_a_script(value: Mapping[str, Any]) -> Markup:
    """JSON that can stand inside an element: no tag can end it, and none can begin."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"))


def _policy(scripts: Iterable[str]) -> str:
    """What the browser is to allow: these very scripts, styles of the page, pictures of its own. Nothing is fetched."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@functools.cache
def _plotly() -> str:
    """plotly.js, from the package that brings it; a test says that it cannot end its element."""
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script
