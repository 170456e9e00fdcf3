"""The pages of the methods are what their cards say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pocketrec.compress import METHODS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """docs/make_method_pages.py."""
    spec = importlib.util.spec_from_file_location("make_method_pages", ROOT / "docs" / "make_method_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_pages_are_up_to_date(program: ModuleType) -> None:
    committed = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "docs" / "methods").glob("*.md")}
    made = program.pages()
    stale = sorted(name for name in {*committed, *made} if committed.get(name) != made.get(name))
    assert stale == [], "run: python docs/make_method_pages.py"


def test_every_method_has_a_page_with_its_card_and_all_its_options(program: ModuleType) -> None:
    made = program.pages()
    assert set(made) == {"README.md", *(f"{name}.md" for name in METHODS.names())}
    for name in METHODS.names():
        page = made[f"{name}.md"]
        for heading in ("Paper", "Bytes", "Use when", "Did not help when", "Options", "Traits", "In numbers"):
            assert f"\n## {heading}\n" in page
        for option in METHODS.get(name)().options():
            assert f"\n| `{option}` |" in page
        assert f"({name}.md)" in made["README.md"]


def test_writing_replaces_and_removes(program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "FOLDER", tmp_path / "methods")
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "gone.md").write_text("a method that is no more")
    (tmp_path / "methods" / "full.md").write_text("stale")
    program.main()
    assert {file.name: file.read_text() for file in (tmp_path / "methods").iterdir()} == program.pages()


def test_a_card_without_a_heading_is_refused(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    method = METHODS.get("full")
    monkeypatch.setattr("inspect.getdoc", lambda _: "Does something.\n\nPaper: none.\nBytes: some.\nUse when: never.")
    with pytest.raises(ValueError, match="The card of full lacks Did not help when"):
        program._card(method)
