from __future__ import annotations

import html.parser
import re
from pathlib import Path

import pytest

from pocketrec import bench
from pocketrec.bench import report
from pocketrec.bench.report import render_report, write_report
from pocketrec.spec.errors import DataError
from pocketrec.spec.metrics import Progressive
from pocketrec.spec.result import append_result, read_results

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(html.parser.HTMLParser):
    """What a reader would see, and what a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                self.addresses.append(value or "")
            assert not name.startswith("on")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and "style" not in self.open:
            self.words.append(" ".join(data.split()))


def test_public_names() -> None:
    assert bench.__all__ == ["write_report"]
    assert bench.write_report is write_report


def test_the_page_is_whole_and_needs_nothing_else(study, make_run) -> None:
    text = render_report([*study, make_run(data="other")], "Bytes & quality")
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert page.open == []
    assert page.tags.count("svg") == 6
    assert not {"script", "link", "iframe", "object", "embed", "img", "base", "form"} & set(page.tags)
    assert all(address.startswith("#") for address in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert {a.removeprefix("#") for a in page.addresses} <= set(page.ids)
    assert not re.search(r"@import|url\((?!#)|expression\(|javascript:", text)
    assert "Bytes & quality" in page.words


def test_the_page_says_what_the_results_say(study) -> None:
    words = Page(render_report(study, "A study")).words
    for expected in (
        "sample, dlrm",
        "18 of 18",
        "10x: 40,000 bytes allowed",
        "0.7590 \N{PLUS-MINUS SIGN} 0.0010",
        "39,996",
        "43,110",
        "812 MB",
        "61,000",
        "head (30 % of rows)",
        "quotient_remainder needs at least 9,000 serve bytes for these tables, the budget is 4,000.",
        "3f1c2ab",
        "min_count, int8",
    ):
        assert expected in words, expected
    first = words.index("runs")
    facts = dict(zip(words[first : first + 12 : 2], words[first + 1 : first + 13 : 2], strict=True))
    assert facts == {"runs": "18", "data set": "1", "methods": "3", "budgets": "3", "seeds": "3", "skipped": "2"}


def test_how_training_went_is_drawn_and_warned_of(make_run) -> None:
    assert "The numbers of these runs warn of nothing." in Page(render_report([make_run(validation=None)], "x")).words
    curve = tuple(
        {"epoch": k, "train_loss": 0.5 - k / 100, "validation_logloss": 0.5 + (k - 2) ** 2 / 100} for k in (1, 2, 3, 4)
    )
    told = Progressive(
        rows=40, logloss=0.5, normalised_entropy=0.9, calibration=1.0, rates=(0.2,) * 40,
        curve=tuple((k, 0.5 + 1 / k) for k in range(1, 41)),
    )  # fmt: skip
    text = render_report([make_run(curve=curve, progressive=told, seed=s, validation=None) for s in (0, 1)], "x")
    page = Page(text)
    assert page.open == []
    assert page.tags.count("svg") == 4  # bytes against AUC, losses, the first epoch, where the bytes went
    assert len(page.ids) == len(set(page.ids))
    for expected in (
        "Early warnings", "Training loss against validation log-loss", "The first epoch, row by row", "progressive",
    ):  # fmt: skip
        assert expected in page.words, expected
    assert any("the validation log-loss rose from 0.5000 to 0.5400 (epoch 4)" in words for words in page.words)
    assert "The numbers of these runs warn of nothing." not in page.words


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
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_a_report_from_a_file_of_results(make_run, tmp_path: Path) -> None:
    study = [make_run(), make_run(method="full", seed=1), make_run(auc=None, skipped="too small")]
    for result in study:
        append_result(tmp_path / "results.jsonl", result)
    path = write_report(read_results(tmp_path / "results.jsonl"), str(tmp_path / "report.html"), title="x")
    assert path.read_text(encoding="utf-8") == render_report(study, "x")


def test_names_are_text_and_nothing_else(make_run) -> None:
    evil = '<script>alert("x")</script>&<b onclick=1>'
    run = make_run(
        data=evil,
        model=evil,
        method=evil,
        storage=evil,
        options={evil: evil},
        budget=evil,
        commit=evil,
        command=evil,
        notes=(evil,),
        table_bytes={evil: 20_232},
        by_frequency={},
    )
    skipped = make_run(method=evil, auc=None, skipped=evil)
    page = Page(render_report([run, skipped], evil))
    assert not {"script", "b"} & set(page.tags)
    assert evil in page.words


def test_commands_that_differ_by_seed_share_a_line(make_run) -> None:
    command = "pocketrec train log.tsv --budget {budget} --seed {seed} --json"
    runs = [
        make_run(seed=s, budget=b, command=command.format(budget=b, seed=s)) for b in ("16x", "32x") for s in (0, 1, 2)
    ]
    text = "\n".join(Page(render_report([*runs, make_run(command="pocketrec demo")], "x")).words)
    assert "pocketrec train log.tsv --budget 16x --seed 0 --json # also with seeds 1, 2" in text
    assert "--budget 32x --seed 0 --json # also with seeds 1, 2" in text
    assert "pocketrec demo" in text
    assert "--seed 1" not in text


def test_notes_are_counted(make_run) -> None:
    runs = [make_run(seed=s, notes=("Zipf 1.05 assumed",)) for s in range(3)]
    assert "Zipf 1.05 assumed (3 results)" in Page(render_report(runs, "x")).words


def test_skipped_runs_alone_make_a_page(make_run) -> None:
    page = Page(render_report([make_run(auc=None, skipped="too small")], "x"))
    assert "too small" in page.words
    assert "svg" not in page.tags


def test_runs_without_any_figure_make_a_page(make_run) -> None:
    bare = dict.fromkeys(("promised_bytes", "held_bytes", "file_bytes", "train_bytes", "epochs", "rows_per_s"))
    page = Page(render_report([make_run(auc=None, curve=(), table_bytes={}, **bare)], "x"))
    assert "svg" not in page.tags
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
    assert {p.name for p in (package / "templates").iterdir()} == {"report.css", "report.html"}


def test_runs_of_one_epoch_get_a_sentence_and_no_dot(make_run) -> None:
    page = render_report([make_run(epochs=1, curve=({"epoch": 1, "validation_auc": 0.7},))], "one")
    assert "These runs had one epoch, so there is no curve over epochs" in page
    assert 'aria-label="Learning curves"' not in page
    assert "had one epoch" not in render_report([make_run()], "three")
