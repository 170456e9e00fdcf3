"""How far probing is."""

from __future__ import annotations

import io

from rich.console import Console

from pocketrec.bench.probe import Finding, Rung
from pocketrec.cli._probe_bar import ProbeBar
from pocketrec.cli._reading import ReadingBar


def said(finding: Finding, *, quiet: bool = False) -> list[str]:
    out = io.StringIO()
    with ProbeBar(ReadingBar(quiet=True), quiet=quiet, console=Console(file=out, width=60)) as bar:
        bar.stage("every method", 1)
        bar.found(finding)
    return out.getvalue().splitlines()


def test_a_line_per_training_says_how_it_ended() -> None:
    found = Finding(label="robe int8", rung=Rung(epochs=1), seed=2, asked="", figure=0.75, cpu_seconds=7.6)
    assert said(found) == [
        "every method: 1 training", "  robe int8 seed 2: 0.75000 on validation rows, 8 s of processor"
    ]  # fmt: skip
    refused = Finding(label="full", rung=Rung(epochs=1), seed=0, asked="", why="full needs at least 9 [bytes].")
    assert said(refused)[1] == "  full: full needs at least 9 [bytes]."
    assert said(refused, quiet=True) == []
