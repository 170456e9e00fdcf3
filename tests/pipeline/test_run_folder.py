"""The folder of a run belongs to one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pocketrec.pipeline.run_folder import RunFolder
from pocketrec.spec.errors import ArtifactError
from pocketrec.spec.result import Result

ABOUT: dict[str, Any] = {"budget": "16x", "train": {"epochs": 2}, "options": {}, "data": "ab12", "start": None}
RESULT = Result(commit="1", data="d", model="dlrm", method="full", budget="1x", budget_bytes=10, seed=0)


def claimed(path: Path, *, begun: bool = True) -> RunFolder:
    folder = RunFolder(path, ABOUT)
    folder.claim()
    if begun:
        (folder.checkpoints / "save-000001-step-1").mkdir(parents=True)
    return folder


def test_a_folder_is_claimed_once_and_known_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "run"
    RunFolder(path, ABOUT)
    assert not path.exists(), "asking leaves nothing behind"
    claimed(path)
    again = RunFolder(path, {**ABOUT, "train": {"epochs": 2}})
    assert (again.begun, again.trained, again.result()) == (True, False, None)


def test_a_folder_in_which_nothing_was_trained_is_nobodys(tmp_path: Path) -> None:
    claimed(tmp_path, begun=False)
    RunFolder(tmp_path, {**ABOUT, "budget": "8x"}).claim()
    (tmp_path / "checkpoints" / "save-000001-step-1").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="budget was '8x', is '16x'"):
        RunFolder(tmp_path, ABOUT)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train": {"epochs": 3}}, r"train\.epochs was 2, is 3\. "),
        ({"options": {"block": 8}}, r"options\.block was None, is 8\. "),
        ({"data": "cd34"}, "its data is not the same"),
        ({"start": "ef56"}, "it continues another artifact, or none"),
    ],
)
def test_what_differs_is_named_with_the_next_step(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    claimed(tmp_path)
    with pytest.raises(ArtifactError, match=rf"holds another run: {said}.*Take another folder \(--out\), or delete"):
        RunFolder(tmp_path, {**ABOUT, **changed})


def test_a_finished_run_without_checkpoints_is_known_too(tmp_path: Path) -> None:
    folder = claimed(tmp_path, begun=False)
    folder.model.mkdir()
    (folder.model / "manifest.json").touch()
    with pytest.raises(ArtifactError, match="holds another run"):
        RunFolder(tmp_path, {**ABOUT, "budget": "8x"})


def test_tuples_and_lists_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "save-000001-step-1").mkdir(parents=True)
    RunFolder(tmp_path, {"bottom": (1, 2)}).claim()
    RunFolder(tmp_path, {"bottom": [1, 2]})
    with pytest.raises(ArtifactError, match=r"bottom was \[1, 2\], is \[2\]"):
        RunFolder(tmp_path, {"bottom": [2]})


def test_a_result_counts_only_with_its_artifact(tmp_path: Path) -> None:
    folder = claimed(tmp_path)
    folder.finish(RESULT)
    assert folder.result() is None
    folder.model.mkdir()
    (folder.model / "manifest.json").touch()
    assert folder.result() == RESULT
    assert RunFolder(tmp_path, ABOUT).result() == RESULT


def test_begun_means_that_there_are_checkpoints(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, ABOUT)
    folder.checkpoints.mkdir()
    assert not folder.begun
    (folder.checkpoints / "save-000001-step-1").mkdir()
    assert folder.begun


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("not json")
    with pytest.raises(ArtifactError, match=r"run\.json is not of a run"):
        RunFolder(tmp_path, ABOUT)
    (tmp_path / "checkpoints" / "save-000001-step-1").mkdir(parents=True)
    (tmp_path / "run.json").write_text("[1]")
    with pytest.raises(ArtifactError, match="holds another run"):
        RunFolder(tmp_path, ABOUT)
