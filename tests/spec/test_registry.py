from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketrec.spec.errors import UnknownName
from pocketrec.spec.registry import Folder


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder[str]]:
    """A package of two things and one private file."""
    package = tmp_path / "some_shapes"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "round.py").write_text('SHAPE = "o"\n')
    (package / "square.py").write_text('SHAPE = "#"\n')
    (package / "_parts.py").write_text('raise AssertionError("a private file is no thing")\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield Folder("some_shapes", "shape", "SHAPE")
    for name in [name for name in sys.modules if name.split(".")[0] == "some_shapes"]:
        del sys.modules[name]


def test_names_are_the_names_of_the_files_and_listing_imports_none(shapes: Folder[str]) -> None:
    assert shapes.names() == ["round", "square"]
    assert "some_shapes.round" not in sys.modules


def test_a_thing_is_imported_when_it_is_asked_for(shapes: Folder[str]) -> None:
    assert shapes.get("round") == "o"
    assert "some_shapes.square" not in sys.modules


@pytest.mark.parametrize("name", ["rund", "_parts", "__init__", "round.x", ""])
def test_no_other_name_is_imported(shapes: Folder[str], name: str) -> None:
    with pytest.raises(UnknownName, match=r"No shape called .* Known: round, square\."):
        shapes.get(name)


def test_things_from_elsewhere_become_known(shapes: Folder[str]) -> None:
    shapes.add("star", "*")
    shapes.add("star", "*")  # the same once more does no harm
    assert shapes.names() == ["round", "square", "star"]
    assert shapes.get("star") == "*"


def test_the_folder_wins_a_clash_loudly(shapes: Folder[str]) -> None:
    with pytest.raises(ValueError, match="There is a shape called 'round' already"):
        shapes.add("round", "O")
    shapes.add("star", "*")
    with pytest.raises(ValueError, match="There is a shape called 'star' already"):
        shapes.add("star", "+")
    assert (shapes.get("round"), shapes.get("star")) == ("o", "*")
