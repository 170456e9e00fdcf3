"""Every block of every guide runs, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketrec.cli import main
from pocketrec.compress import METHODS
from pocketrec.native import backend, threads

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
FENCE = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(guide: str) -> list[tuple[str, str, str]]:
    """Language, title or "", and text of every block."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    found = FENCE.findall(text)
    assert text.count("```") == 2 * len(found), f"{guide} has a block that is not understood"
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to be in; known methods and modules are put back afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    extra = dict(METHODS._extra)
    yield tmp_path
    METHODS._extra.clear()
    METHODS._extra.update(extra)
    for name in ("level", "machine"):
        sys.modules.pop(name, None)


def command(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One command of ours, as from a shell; progress bars are left out."""
    assert words[0] == "pocketrec"
    quiet = ["-q"] if words[1] in ("train", "stats", "demo", "fit") else []
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", [*words, *quiet])
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise AssertionError(f"{shlex.join(words)} ended with {end.code}") from end


def run(guide: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Titled blocks are written to files; shell and Python run."""
    names: dict[str, Any] = {"__name__": "guide"}
    for number, (language, title, text) in enumerate(blocks(guide), start=1):
        if title:
            Path(title).write_text(text, encoding="utf-8")
        elif language == "sh":
            for line in text.splitlines():
                command(shlex.split(line), monkeypatch)
        elif language == "python":
            exec(compile(text, f"{guide}, block {number}", "exec"), names)
        else:
            assert language == "text", f"{guide}: a block of {language} that is neither run nor written"


def test_every_guide_is_here() -> None:
    assert sorted(p.name for p in GUIDES.glob("*.md")) == [
        "adding_a_method.md", "artifacts.md", "compositions.md", "data.md", "fit.md", "from_pytorch.md", "judging.md",
        "logs.md", "models.md", "quickstart.md", "speed.md", "studies.md", "your-own-data.md",
    ]  # fmt: skip


def test_every_block_of_speed_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend() != "compiled":
        pytest.skip("the guide to speed speaks of the compiled kernels, which were not built")
    run("speed.md", monkeypatch)
    assert threads() == torch.get_num_threads()


@pytest.mark.slow
@pytest.mark.parametrize(
    "guide",
    [
        "quickstart.md", "data.md", "your-own-data.md", "artifacts.md", "from_pytorch.md", "judging.md",
        "adding_a_method.md", "models.md", "logs.md", "studies.md", "fit.md",
        "compositions.md",
    ],
)  # fmt: skip
def test_every_block_runs(guide: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(guide, monkeypatch)
    assert any(folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("guide", "test"),
    [("adding_a_method.md", "test_level.py"), ("models.md", "test_machine.py"), ("logs.md", "test_keyvalue.py")],
)
def test_what_a_guide_adds_keeps_its_contract(guide: str, test: str, folder: Path) -> None:
    for _, title, text in blocks(guide):
        if title:
            (folder / title).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 30


@pytest.mark.parametrize("guide", sorted(p.name for p in GUIDES.glob("*.md")))
def test_links_lead_somewhere(guide: str) -> None:
    text = re.sub(FENCE, "", (GUIDES / guide).read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (GUIDES / target).exists(), target
