from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import pytest

from pocketrec.spec.errors import CannotWrite
from pocketrec.spec.writing import check_file, check_folder, writing, written_whole


def test_what_the_system_says_is_told_of_the_place_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = r"^Cannot write mine: Not a directory\. Choose another folder\.$"
    with pytest.raises(CannotWrite, match=said) as told, writing("mine"):
        (tmp_path / "file" / ".hidden.tmp").touch()
    again = pickle.loads(pickle.dumps(told.value))
    assert (str(again), again.place, again.reason) == (str(told.value), "mine", "Not a directory")


def test_an_error_that_says_it_already_is_left_alone() -> None:
    with pytest.raises(CannotWrite, match="Cannot write inner: full"), writing("outer"):
        raise CannotWrite("inner", "full")
    with pytest.raises(ValueError, match="other"), writing("outer"):
        raise ValueError("other")


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="stop"), written_whole(path) as beside:
        raise ValueError(f"stop {beside.write_text('half')}")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("scores.txt", "old")]
    with written_whole(path) as beside:
        beside.write_text("new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("scores.txt", "new")]
    with pytest.raises(CannotWrite, match=r"^Cannot write .*none/x: No such"), written_whole(tmp_path / "none" / "x"):
        pass


def test_places_are_judged_before_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    check_file(Path("new"))
    check_file(Path("file"))
    check_folder(Path("a/b/c"))
    check_folder(tmp_path)
    places = (("none/x", "there is no folder none"), ("file/x", "file is no folder"), (".", "it is a folder"))
    for path, reason in places:
        with pytest.raises(CannotWrite, match=rf"^Cannot write {re.escape(path)}: {reason}"):
            check_file(Path(path))
    with pytest.raises(CannotWrite, match=r"^Cannot write file/a/b: file is no folder"):
        check_folder(Path("file/a/b"))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(CannotWrite, match=r"Cannot write new: no permission to write into \."):
        check_file(Path("new"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"], "nothing was made"
