from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pocketrec.compress import build, freeze, size
from pocketrec.models import MODELS, ModelConfig
from pocketrec.spec.table import TableSpec
from pocketrec.testing import elsewhere
from pocketrec.testing.click_rows import TABLE_ROWS, planted


def case() -> Any:
    tables = [TableSpec(name=f"t{i}", rows=n, dim=4) for i, n in enumerate(TABLE_ROWS)]
    config = ModelConfig(bottom=(4,), top=(4,))
    bank = freeze(build(size(tables, "1x"), seed=0))
    model = MODELS.get("dlrm")(bank, dense_features=2, config=config, seed=0).eval()
    return model, [planted(n, dense_features=2, bags=False, seed=n).inputs() for n in (5, 1)]


@pytest.mark.slow
def test_another_python_gives_the_same_scores(tmp_path: Path) -> None:
    model, batches = case()
    (found,) = elsewhere.scores_elsewhere([(model, batches)], tmp_path)
    assert [len(logits) for logits in found] == [5, 1]
    for inputs, logits in zip(batches, found, strict=True):
        torch.testing.assert_close(logits, model(*inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_program_that_needs_pocketrec_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_our_ops(model: Any, **_: object) -> torch.export.ExportedProgram:
        batch = torch.export.Dim("batch")
        example = (torch.zeros(3, 2), torch.zeros(3, 3, dtype=torch.int64))
        return torch.export.export(model, example, dynamic_shapes=({0: batch}, {0: batch}, None, None)[:2])

    monkeypatch.setattr(elsewhere, "export_program", with_our_ops)
    with pytest.raises(AssertionError, match="an op of ours is left"):
        elsewhere.scores_elsewhere([case()], tmp_path)


def test_what_runs_elsewhere_cannot_import_pocketrec() -> None:
    assert 'sys.modules["pocketrec"] = None' in elsewhere.PROGRAM
    assert "import pocketrec" not in elsewhere.PROGRAM.replace('sys.modules["pocketrec"]', "")
