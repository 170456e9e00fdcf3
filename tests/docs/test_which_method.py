"""The tables of docs/which_method.md, and the page of the study, are those of the lines that are committed."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from pocketrec.spec.result import read_results

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "experiments" / "which_method.py"
LINES = ROOT / "experiments" / "results" / "real.jsonl"
REPORT = ROOT / "docs" / "real.html"


def test_the_page_says_what_the_lines_say() -> None:
    script = runpy.run_path(str(SCRIPT))
    page = (ROOT / "docs" / "which_method.md").read_text(encoding="utf-8")
    made = page.partition(script["BEGIN"])[2].partition(script["END"])[0]
    assert made.strip() == script["tables"]([LINES]).strip(), f"python {SCRIPT} {LINES} --page docs/which_method.md"


def test_the_report_shows_all_that_ran() -> None:
    ran = sum(run.skipped is None for run in read_results(LINES))
    shown = re.search(r"<dt>runs</dt><dd>([\d,]+)</dd>", REPORT.read_text(encoding="utf-8"))
    assert shown is not None
    assert int(shown[1].replace(",", "")) == ran, f"pocketrec report {LINES} --out {REPORT}"
