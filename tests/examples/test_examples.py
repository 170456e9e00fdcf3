"""Every program of examples/ runs as a person runs it, and prints what its first lines promise."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def numbers(pattern: str, text: str) -> list[float]:
    """All numbers that the pattern's groups find."""
    found = re.findall(pattern, text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return [float(n.replace(",", "")) for match in found for n in ([match] if isinstance(match, str) else match)]


def plain_pytorch_loop(said: str) -> None:
    bytes_, losses = numbers(r"([\d,]+) bytes", said), numbers(r"log-loss ([\d.]+)", said)
    assert bytes_[1] == bytes_[2] <= bytes_[0] / 10
    assert abs(losses[1] - losses[2]) < 1e-3, "the fused update is the same optimizer"
    assert losses[0] < losses[1] < 0.66, "fewer bytes cost something; both learned (a constant has 0.69)"


def budget_to_served_model(said: str) -> None:
    promised, held, in_file = numbers(r"promised ([\d,]+) = held ([\d,]+) = in the file ([\d,]+) bytes", said)
    assert promised == held == in_file <= numbers(r"within ([\d,]+) bytes", said)[0]
    assert "full needs at least" in said
    assert numbers(r"test AUC ([\d.]+)", said)[0] > 0.6
    assert len(numbers(r"'(0\.\d{3})'", said)) == 3


def next_day(said: str) -> None:
    went_on, anew = numbers(r"log-loss of day 2: ([\d.]+) going on, ([\d.]+) begun anew", said)
    assert went_on < anew < 0.69
    known, learned = numbers(r"knew: ([\d.]+)%; none of their ids moved\n.*knows: ([\d.]+)%", said)
    assert known < learned == 100
    before, after = numbers(r"hold ([\d,]+) bytes after day 1 and ([\d,]+) after day 2", said)
    assert before < after


def open_vocabulary(said: str) -> None:
    known, unseen, learned = numbers(r"(-?[\d.]+) on pages", said)
    assert known > 0.2
    assert abs(unseen) < 0.05 < learned
    assert numbers(r"day \d: ([\d,]+) bytes", said) == [20_000, 20_000]
    assert "vocabulary 0 bytes" in said


def bags_and_shared_tables(said: str) -> None:
    shared, apart = numbers(r"candidates ([\d.]+)", said)
    assert shared > 0.7
    assert abs(apart - 0.5) < 0.06, "a table of its own was never trained for these items"
    one, two = numbers(r"([\d,]+) bytes", said)
    assert one < two


CHECKS: dict[str, Callable[[str], None]] = {
    check.__name__: check
    for check in (plain_pytorch_loop, budget_to_served_model, next_day, open_vocabulary, bags_and_shared_tables)
}


def test_every_example_has_a_check() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_each_is_short_and_says_what_it_shows(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    shows = ast.get_docstring(ast.parse(text))
    assert shows
    assert f"python examples/{name}.py" in shows


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_each_runs_and_shows_it(name: str, tmp_path: Path) -> None:
    program = EXAMPLES / f"{name}.py"
    kept = tmp_path / "out"
    writes = "--out" in program.read_text(encoding="utf-8")
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program), *(["--out", str(kept)] if writes else [])],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    CHECKS[name](done.stdout)
    assert [p.name for p in tmp_path.iterdir()] == ["out"] * writes, "it writes where it is told, and nowhere else"
