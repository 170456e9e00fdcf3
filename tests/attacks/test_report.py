"""Results are lines that anybody may have written; what their names hold must stay text on the page."""

from __future__ import annotations

import html.parser
import json
from typing import Any

import pytest

from pocketrec.bench.report import render_report
from pocketrec.spec.metrics import Metrics
from pocketrec.spec.result import Result

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "'></option></select><iframe src=//x.example>",
    "<!--<script>",
    "javascript:alert(1)",
    "<a href='https://x.example/'>click</a>",
    "{{ 7 * 7 }}{% raw %}",
    "</style><style>@import 'https://x.example/'</style>",
    "</title></noscript>",
    "\u2028\u2029\x00\x7f",
    "__proto__",
)


class Reader(html.parser.HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.inside: list[str] = []
        self.told = ""
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "br", "input"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] == "script":
            if data.startswith('{"charts"'):
                self.told = data
        else:
            self.words.append(data)


def result(text: str, **more: Any) -> Result:
    """Whatever a line lets somebody write, written."""
    metrics = Metrics(
        rows=9, positives=3, auc=0.5, logloss=0.5, normalised_entropy=1.0, calibration=1.0, extra={text: 0.5}
    )
    plain: dict[str, Any] = {
        "commit": text, "command": text, "data": text, "model": text, "method": text, "options": {text: text},
        "storage": text, "serving_precision": text, "budget": text, "budget_bytes": 10, "promised_bytes": 8,
        "held_bytes": 9, "train_bytes": 20, "table_bytes": {text: 8}, "seed": 0, "validation": metrics, "test": metrics,
        "curve": ({"epoch": 1, "validation_auc": 0.4}, {"epoch": 2, "validation_auc": 0.5}), "epochs": 2,
        "ns_per_lookup": 5.0, "notes": (text,), "warnings": (text,),
    }  # fmt: skip
    return Result(**(plain | more))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_text_wherever_it_stands(text: str) -> None:
    runs = [result(text), result(text, seed=1), result(text, method="full", budget_bytes=20)]
    skipped = result(text, skipped=text, validation=None, test=None)
    page = Reader(render_report([*runs, skipped], text))
    good = Reader(render_report([*[result("x", seed=s) for s in (0, 1)], result("x", method="full", budget_bytes=20),
                                 result("x", skipped="x", validation=None, test=None)], "x"))  # fmt: skip
    assert page.tags == good.tags  # not one more
    assert page.inside == []
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert all(value.startswith("#") for name, value in page.attributes if name in ("href", "src"))
    if "\x00" not in text:  # which a parser replaces
        assert any(text in words for words in page.words)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_the_script_reads_holds_no_tag_and_gives_plotly_none(text: str) -> None:
    told = Reader(render_report([result(text), result(text, seed=1)], "x")).told
    assert "<" not in told
    assert ">" not in told
    for part in strings(json.loads(told)["charts"]):
        assert "<" not in part.replace("<br>", "").replace("<extra></extra>", "")
    for part in json.loads(told)["hover"]:
        assert "<" not in part.replace("<br>", "").removeprefix("<b>").replace("</b>", "", 1)


def test_endless_names_do_not_make_an_endless_page() -> None:
    long = render_report([result("n" * 100_000)], "x")
    short = render_report([result("n")], "x")
    assert len(long) - len(short) < 100 * 100_000
    assert max(len(line) for line in json.loads(Reader(long).told)["hover"][0].split("<br>")) < 200


def strings(value: Any) -> list[str]:
    """All texts within, keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings(part)]
    return [text for part in value for text in strings(part)] if isinstance(value, list) else []
