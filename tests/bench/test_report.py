"""The page as text. What it does in a browser stands in test_page_in_a_browser.py, hostile names in tests/attacks."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from pocketrec import bench
from pocketrec.bench import report
from pocketrec.bench.grouping import scenes
from pocketrec.bench.report import render_report, write_report
from pocketrec.spec.errors import DataError
from pocketrec.spec.metrics import Progressive
from pocketrec.spec.result import Result, append_result, read_results

VOID = {"meta", "br", "hr", "img", "link", "input"}
RESULTS = Path(__file__).parents[2] / "experiments" / "results"


class Page(html.parser.HTMLParser):
    """What a reader would see, and what a browser would fetch or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.scripts: list[tuple[str, str]] = []  # kind and text
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert not any(name.startswith("on") for name in found)
        self.tags.append((tag, found))
        if tag == "script":
            self.scripts.append((found.get("type", ""), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif data.strip() and "style" not in self.open:
            self.words.append(" ".join(data.split()))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        """Attributes of the elements of a kind."""
        return [a for name, a in self.tags if name == tag and all(a.get(k) == v for k, v in wanted.items())]

    def values(self, *names: str) -> list[str]:
        """Of attributes, wherever they stand."""
        return [a[name] for _, a in self.tags for name in names if name in a]

    @property
    def told(self) -> Any:
        """What the page's script reads."""
        return json.loads(next(text for kind, text in self.scripts if kind == "application/json"))


def test_public_names() -> None:
    assert bench.__all__ == ["write_report"]
    assert bench.write_report is write_report


def test_the_page_is_whole_and_needs_nothing_else(study, make_run) -> None:
    text = render_report([*study, make_run(data="other")], "Bytes & quality")
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert page.open == []
    assert not {"link", "iframe", "object", "embed", "img", "base", "form"} & {tag for tag, _ in page.tags}
    addresses = page.values("src", "href", "xlink:href", "srcset", "data", "action", "poster")
    ids = page.values("id")
    assert addresses
    assert all(address.startswith("#") for address in addresses)
    assert len(ids) == len(set(ids))
    assert {a.removeprefix("#") for a in addresses} <= set(ids)
    own = text.replace(get_plotlyjs(), "")
    assert not re.search(r"@import|url\(|expression\(|javascript:|https?://", own)
    assert "Bytes & quality" in page.words


def test_the_browser_may_run_these_scripts_and_fetch_nothing(study) -> None:
    page = Page(render_report(study, "x"))
    run = [text for kind, text in page.scripts if kind == ""]
    assert run == [get_plotlyjs(), (Path(report.__file__).parent / "templates" / "report.js").read_text()]
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == " ".join(f"'sha256-{digest}'" for digest in hashes)
    assert rules["form-action"] == rules["base-uri"] == "'none'"


def test_scripts_cannot_end_their_element() -> None:
    for text in (get_plotlyjs(), (Path(report.__file__).parent / "templates" / "report.js").read_text()):
        assert not re.search(r"</script|<script|<!--|\r", text, re.IGNORECASE)


def test_the_page_says_what_the_results_say(study) -> None:
    words = Page(render_report(study, "A study")).words
    for expected in (
        "sample, dlrm",
        "18 of 18",
        "10x: 40,000 bytes allowed",
        "0.7590 \N{PLUS-MINUS SIGN} 0.0010",
        "0.7535 to 0.7585",
        "39,996",
        "43,110",
        "812 MB",
        "61,000",
        "head (30 % of rows)",
        "quotient_remainder needs at least 9,000 serve bytes for these tables, the budget is 4,000.",
        "3f1c2ab",
        "min_count, int8",
        "Keep the frequent ids, fold the rare ones of each table into one row.",
        "Did not help when",
    ):
        assert expected in words, expected
    first = words.index("runs")
    facts = dict(zip(words[first : first + 12 : 2], words[first + 1 : first + 13 : 2], strict=True))
    assert facts == {"runs": "18", "data set": "1", "methods": "3", "budgets": "3", "seeds": "3", "skipped": "2"}


def test_numbers_of_the_figures_are_those_of_the_lines(study) -> None:
    told = Page(render_report(study, "x")).told
    chart = next(c for c in told["charts"] if c["name"] == "auc-1")
    drawn = {
        group: (x, y)
        for t in chart["traces"]
        if t.get("told")
        for group, x, y in zip(t["groups"], t["plot"]["x"], t["plot"]["y"], strict=True)
    }
    (scene,) = scenes(study)
    assert drawn == {g.number: (g.bytes, pytest.approx(g.metric("auc").mean)) for g in scene.groups}
    assert told["hover"][3].startswith("<b>robe</b><br>sample, dlrm<br>budget 10x: 40,000 bytes<br>promised 39,996")
    assert told["groups"][3] == [0, 0, 2, 0, 40_000]
    assert told["differences"]["4"]["5"][1:] == ["ahead", "best"]
    assert told["references"][0][2] == {"1": 3, "2": 3, "3": 3, "4": 5, "5": 5}


def test_every_chart_has_a_place_and_words_for_those_who_do_not_see_it(study) -> None:
    page = Page(render_report(study, "x"))
    places = {a["id"]: a for a in page.all("div", role="img")}
    assert [c["name"] for c in page.told["charts"]] == list(places)
    assert {name.rstrip("0123456789-") for name in places} == {"auc", "train", "curve", "bytes"}
    assert all(len(a["aria-label"]) > 20 for a in places.values())


def test_the_filter_offers_what_is_there(study) -> None:
    page = Page(render_report(study, "x"))
    assert len(page.all("input", type="checkbox")) == 1 + 1 + 3 + 2
    assert [a["value"] for a in page.all("input", type="checkbox", **{"data-set": "2"})] == ["0", "1", "2"]
    assert [a["value"] for a in page.all("option") if "selected" in a] == ["4000", "400000", "tables", ""]
    for name in ("Data set", "Model", "Method", "Storage", "Budget", "Bytes on the axis"):
        assert name in page.words
    # without a script there is nothing that a filter could do
    assert [a for a in page.all("div") if "data-script" in a and "hidden" in a]
    assert page.all("noscript")


def test_rows_are_found_by_the_filter_and_by_a_click(study) -> None:
    page = Page(render_report(study, "x"))
    rows = [a["data-groups"] for a in page.all("tr") if "data-groups" in a]
    assert set(rows) == {"0", "1", "2", "3", "4", "5", "1 4", "3 5"}
    assert [a["id"] for a in page.all("tr") if "id" in a] == [f"group-{n}" for n in range(6)]
    assert page.all("section", id="scene-1")[0]["data-groups"] == "0 1 2 3 4 5"


def test_names_of_methods_lead_to_their_cards(study, make_run) -> None:
    page = Page(render_report([*study, make_run(method="of tomorrow", budget_bytes=4_000)], "x"))
    anchors = {a["id"] for a in page.all("article")}
    assert anchors == {f"card-{k}" for k in range(4)}  # that of the skipped method too, and none of tomorrow
    links = [a["href"] for a in page.all("a") if a["href"].startswith("#card-")]
    assert {link.removeprefix("#") for link in links} == {"card-0", "card-1", "card-2"}
    assert "of tomorrow" in page.words


def test_how_training_went_is_drawn_and_warned_of(make_run) -> None:
    assert "The numbers of these runs warn of nothing." in Page(render_report([make_run(validation=None)], "x")).words
    curve = tuple(
        {"epoch": k, "train_loss": 0.5 - k / 100, "validation_logloss": 0.5 + (k - 2) ** 2 / 100} for k in (1, 2, 3, 4)
    )
    told = Progressive(
        rows=40, logloss=0.5, normalised_entropy=0.9, calibration=1.0, rates=(0.2,) * 40,
        curve=tuple((k, 0.5 + 1 / k) for k in range(1, 41)),
    )  # fmt: skip
    page = Page(render_report([make_run(curve=curve, progressive=told, seed=s, validation=None) for s in (0, 1)], "x"))
    assert page.open == []
    names = [c["name"] for c in page.told["charts"]]
    assert names == ["auc-1", "train-1", "loss-1-0", "progressive-1-0", "bytes-1-0"]
    for expected in (
        "Early warnings", "Training loss against validation log-loss", "The first epoch, row by row", "progressive",
    ):  # fmt: skip
        assert expected in page.words, expected
    assert any("the validation log-loss rose from 0.5000 to 0.5400 (epoch 4)" in words for words in page.words)
    assert "The numbers of these runs warn of nothing." not in page.words


def test_latency_is_drawn_where_it_was_measured(make_run) -> None:
    assert "Latency" not in Page(render_report([make_run()], "x")).words
    page = Page(render_report([make_run(ns_per_lookup=12.5, ms_per_batch=3.0)], "x"))
    assert {"latency-1-ns", "latency-1-ms"} <= {c["name"] for c in page.told["charts"]}
    assert {"Latency", "ns/look-up", "12.5"} <= set(page.words)


def test_bytes_that_differ_raise_the_alarm(make_run) -> None:
    assert "Promised, held and file bytes differ" not in render_report([make_run()], "x")
    words = Page(render_report([make_run(), make_run(file_bytes=20_240, seed=9)], "x")).words
    assert "Promised, held and file bytes differ." in words
    assert "sample, robe float32 at 16x, seed 9: promised 20232, held 20232, file 20240 bytes" in words
    assert "1 of 2" in words


def test_files_that_were_not_written_are_not_said_to_be_equal(make_run) -> None:
    assert "promised = held = file" in Page(render_report([make_run()], "x")).words
    words = Page(render_report([make_run(file_bytes=None), make_run(seed=9)], "x")).words
    assert "promised = held = file" not in words
    assert "promised = held (= file, where one was written)" in words


def test_the_same_results_give_the_same_bytes(study, tmp_path: Path) -> None:
    first, second = (write_report(study, tmp_path / name, "x") for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()
    again = write_report([replace(run) for run in study], tmp_path / "b.html", "x")
    assert again.read_bytes() == first.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_a_report_from_a_file_of_results(make_run, tmp_path: Path) -> None:
    study = [make_run(), make_run(method="full", seed=1), make_run(auc=None, skipped="too small")]
    for result in study:
        append_result(tmp_path / "results.jsonl", result)
    path = write_report(read_results(tmp_path / "results.jsonl"), str(tmp_path / "report.html"), title="x")
    assert path.read_text(encoding="utf-8") == render_report(study, "x")


def test_notes_are_counted(make_run) -> None:
    runs = [make_run(seed=s, notes=("Zipf 1.05 assumed",)) for s in range(3)]
    assert "Zipf 1.05 assumed (3 results)" in Page(render_report(runs, "x")).words


def test_skipped_runs_alone_make_a_page(make_run) -> None:
    page = Page(render_report([make_run(auc=None, skipped="too small")], "x"))
    assert "too small" in page.words
    assert page.scripts == []  # nothing to draw or to filter
    assert "script-src 'none'" in page.all("meta")[1]["content"]


def test_runs_without_any_figure_make_a_page(make_run) -> None:
    bare = dict.fromkeys(("promised_bytes", "held_bytes", "file_bytes", "train_bytes", "epochs", "rows_per_s"))
    page = Page(render_report([make_run(auc=None, curve=(), table_bytes={}, **bare)], "x"))
    assert page.told["charts"] == []
    assert "Quality" in page.words


def test_no_results_are_refused_and_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no results to report"):
        write_report([], tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_an_older_page_stays_when_the_new_one_fails(make_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("older")

    def full_disk(self: Path, *args: object, **kwargs: object) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_report([make_run()], path)
    monkeypatch.undo()
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_templates_lie_inside_the_package() -> None:
    package = Path(report.__file__).parent
    assert {p.name for p in (package / "templates").iterdir()} == {"report.css", "report.html", "report.js"}


def test_runs_of_one_epoch_get_a_sentence_and_no_dot(make_run) -> None:
    page = render_report([make_run(epochs=1, curve=({"epoch": 1, "validation_auc": 0.7},))], "one")
    assert "These runs had one epoch, so there is no curve over epochs" in page
    assert "curve-1" not in page
    assert "had one epoch" not in render_report([make_run()], "three")


@pytest.mark.parametrize("names", [("frappe",), ("tt_rec", "criteo_sample"), ("kuairand", "kuairand_bits")], ids=str)
def test_committed_results_make_a_page(names: tuple[str, ...]) -> None:
    runs: list[Result] = [run for name in names for run in read_results(RESULTS / f"{name}.jsonl")]
    page = Page(render_report(runs, "x"))
    assert page.open == []
    groups = sum(len(scene.groups) for scene in scenes(runs))
    assert len(page.told["groups"]) == len(page.told["hover"]) == groups
    drawn = [g for c in page.told["charts"] if c["front"] for t in c["traces"] if t.get("told") for g in t["groups"]]
    assert sorted(drawn) == list(range(groups))
