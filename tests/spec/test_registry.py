from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pocketrec.spec import registry
from pocketrec.spec.errors import OptionError, UnknownName
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


def test_another_name_of_a_thing_is_not_listed_but_offered(shapes: Folder[str]) -> None:
    known = Folder("some_shapes", "shape", "SHAPE", aliases={"disc": "round"})
    assert known.get("disc") == shapes.get("round")
    assert known.names() == shapes.names()
    with pytest.raises(UnknownName, match="disc"):
        known.get("disk")


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


# ---------------------------------------------------------------- other packages


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """``install(package, module text, entries)``: a package with entry points of the group of `shapes`."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(package: str, text: str, entries: list[str]) -> None:
        (tmp_path / f"{package}.py").write_text(text)
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("\n".join(["[pocketrec.some_shapes]", *entries]))
        importlib.invalidate_caches()
        registry._entry_points.cache_clear()

    yield put
    registry._entry_points.cache_clear()
    for name in [name for name in sys.modules if name.startswith("shapes_of_")]:
        del sys.modules[name]


def test_other_packages_bring_things_that_are_imported_when_asked_for(
    shapes: Folder[str], install: Callable[..., None]
) -> None:
    install("shapes_of_a", 'STAR = "*"\n', ["star = shapes_of_a:STAR"])
    assert shapes.names() == ["round", "square", "star"]
    assert "shapes_of_a" not in sys.modules
    assert shapes.get("star") == "*"
    with pytest.raises(UnknownName, match="Did you mean 'star'"):
        shapes.get("stars")
    with pytest.raises(ValueError, match="There is a shape called 'star' already"):
        shapes.add("star", "+")


def test_the_folder_wins_a_clash_with_another_package_loudly(shapes: Folder[str], install: Callable[..., None]) -> None:
    install("shapes_of_b", 'ROUND = "O"\n', ["round = shapes_of_b:ROUND"])
    said = "shapes_of_b 1.2 brings a shape called 'round', which pocketrec has already: that of pocketrec is used"
    for ask in (shapes.names, lambda: shapes.get("round"), lambda: shapes.get("square")):
        with pytest.warns(RuntimeWarning, match=said):
            ask()
    with pytest.warns(RuntimeWarning, match=said):
        assert shapes.get("round") == "o"


def test_of_two_packages_the_first_wins_loudly(shapes: Folder[str], install: Callable[..., None]) -> None:
    install("shapes_of_d", 'STAR = "+"\n', ["star = shapes_of_d:STAR"])
    install("shapes_of_c", 'STAR = "*"\n', ["star = shapes_of_c:STAR"])
    with pytest.warns(RuntimeWarning, match=r"shapes_of_d 1.2 brings .* which shapes_of_c 1.2 has already"):
        assert shapes.get("star") == "*"


@pytest.mark.parametrize("entry", ["star = shapes_of_e:NONE", "star = shapes_of_nowhere:STAR"])
def test_a_package_that_cannot_be_loaded_is_named_and_hinders_nobody(
    shapes: Folder[str], install: Callable[..., None], entry: str
) -> None:
    install("shapes_of_e", "", [entry])
    assert shapes.get("round") == "o"
    with pytest.raises(OptionError, match=r"The shape 'star' of shapes_of_e 1\.2 cannot be loaded: .* uninstall it"):
        shapes.get("star")


def test_the_group_is_called_after_the_folder() -> None:
    assert Folder("pocketrec.data.readers", "reader", "READER").group == "pocketrec.readers"
