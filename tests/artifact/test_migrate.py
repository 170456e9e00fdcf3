from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pocketrec.artifact import migrate, strict_json
from pocketrec.artifact.load import load_artifact
from pocketrec.artifact.manifest import Manifest
from pocketrec.artifact.save import save_artifact
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactVersion


def from_zero(body: dict[str, Any]) -> dict[str, Any]:
    """The step from a version 0 that never was: it called the content "about" and knew only models."""
    content = body.pop("about")
    return {**body, "content": content, "kind": "model"}


def write_manifest(path: Path, body: dict[str, Any]) -> None:
    body.pop("sha256", None)
    body["sha256"] = hashlib.sha256(strict_json.canonical(body)).hexdigest()
    (path / "manifest.json").write_text(json.dumps(body))


@pytest.fixture
def old(tmp_path: Path, make_parts: Any) -> Path:
    """An artifact of that version 0."""
    path = tmp_path / "model"
    save_artifact(path, Manifest(kind="model", content={"dim": 4}), make_parts(1))
    body = json.loads((path / "manifest.json").read_text())
    body["version"] = 0
    body["about"] = body.pop("content")
    del body["kind"]
    write_manifest(path, body)
    return path


def test_an_old_artifact_is_brought_up_to_date_when_it_is_read(
    old: Path, monkeypatch: pytest.MonkeyPatch, make_parts: Any, holds: Any
) -> None:
    monkeypatch.setitem(migrate.STEPS, 0, from_zero)
    artifact = load_artifact(old)
    assert artifact.manifest.version == migrate.VERSION
    assert (artifact.manifest.kind, artifact.manifest.content) == ("model", {"dim": 4})
    assert holds(artifact, make_parts(1))


def test_steps_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "VERSION", 3)
    for version in (0, 1, 2):
        monkeypatch.setitem(migrate.STEPS, version, lambda body, v=version: {**body, "steps": [*body["steps"], v]})
    assert migrate.migrate({"version": 0, "steps": []}, "it") == {"version": 3, "steps": [0, 1, 2]}
    assert migrate.migrate({"version": 2, "steps": []}, "it") == {"version": 3, "steps": [2]}


def test_a_manifest_that_is_not_of_its_version_is_corrupt(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(migrate.STEPS, 0, from_zero)
    body = json.loads((old / "manifest.json").read_text())
    del body["about"]
    write_manifest(old, body)
    with pytest.raises(ArtifactCorrupt, match="not of its version 0"):
        load_artifact(old)


def test_an_old_manifest_must_keep_its_hash(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(migrate.STEPS, 0, from_zero)
    text = (old / "manifest.json").read_text()
    (old / "manifest.json").write_text(text.replace('"dim": 4', '"dim": 5'))
    with pytest.raises(ArtifactCorrupt, match="own hash"):
        load_artifact(old)


def test_a_newer_version_is_refused_before_anything_else(old: Path) -> None:
    (old / "manifest.json").write_text('{"format": "pocketrec", "version": 2, "all": "different"}')
    with pytest.raises(ArtifactVersion, match=r"version 2, .* reads up to 1\. Upgrade"):
        load_artifact(old)


@pytest.mark.parametrize("version", [-1, 0, None, "1", 1.0, True, [1]])
def test_versions_that_never_were_are_corrupt(version: Any) -> None:
    with pytest.raises(ArtifactCorrupt, match="there is none"):
        migrate.check_version(version, "it")


def test_every_version_before_this_one_has_its_step() -> None:
    assert set(migrate.STEPS) == set(range(1, migrate.VERSION))
