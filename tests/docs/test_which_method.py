"""The tables of docs/which_method.md are those of the lines that are committed."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "experiments" / "which_method.py"
LINES = ROOT / "experiments" / "results" / "real.jsonl"


def test_the_page_says_what_the_lines_say() -> None:
    script = runpy.run_path(str(SCRIPT))
    page = (ROOT / "docs" / "which_method.md").read_text(encoding="utf-8")
    made = page.partition(script["BEGIN"])[2].partition(script["END"])[0]
    assert made.strip() == script["tables"]([LINES]).strip(), f"python {SCRIPT} {LINES} --page docs/which_method.md"
