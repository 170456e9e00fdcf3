"""``pocketrec export``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketrec.pipeline import load

Say = Callable[..., Any]


def test_the_program_scores_as_the_artifact_does(pocketrec: Say, run_folder: Path, tmp_path: Path) -> None:
    said = pocketrec("export", run_folder, "clicks.pt2")
    assert (said.code, said.err) == (0, "")
    file = tmp_path / "clicks.pt2"
    assert f"{file.stat().st_size:,} bytes" in said.out
    assert "inputs: dense, ids; output: log-odds" in said.out
    assert "C26 (rank)" in said.out
    served = load(run_folder)
    draw = torch.Generator().manual_seed(0)
    dense, ids = torch.randn(7, 13, generator=draw), torch.randint(3, (7, 26), generator=draw)
    called = torch.export.load(file).module()
    with torch.inference_mode():
        torch.testing.assert_close(called(dense, ids), served.model(dense, ids), rtol=1e-5, atol=1e-6)


def test_for_programs(pocketrec: Say, run_folder: Path, tmp_path: Path) -> None:
    said = pocketrec("export", run_folder / "model", "clicks.pt2", "--json")
    assert said.code == 0
    about = said.json()
    assert about["inputs"] == ["dense", "ids"]
    assert about["ids"][0] == {"field": "C1", "table": "C1", "id_space": "rank"}
    assert about.pop("file_bytes") == (tmp_path / "clicks.pt2").stat().st_size
    extra = {"pocketrec.json": ""}
    torch.export.load(tmp_path / "clicks.pt2", extra_files=extra)
    inside = json.loads(extra["pocketrec.json"])
    assert inside.pop("pocketrec")
    assert inside == about


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("nowhere", "clicks.pt2"), "There is no artifact at nowhere"),
        (("RUN", "clicks.onnx"), "with the ending .pt2"),
        (("RUN", "no/such/clicks.pt2"), "Cannot write no/such/clicks.pt2"),
    ],
)
def test_mistakes_end_with_a_sentence(
    arguments: tuple[str, str], text: str, pocketrec: Say, run_folder: Path, tmp_path: Path
) -> None:
    said = pocketrec("export", *(run_folder if word == "RUN" else word for word in arguments))
    assert (said.code, said.out) == (2, "")
    assert text in said.err
    assert len(said.err.splitlines()) == 1
    assert not list(tmp_path.glob("*.pt2"))
