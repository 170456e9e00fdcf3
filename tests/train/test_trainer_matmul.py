"""The way of products of matrices belongs to a run: chosen when it begins, kept when it goes on."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from pocketrec.models.parts.matmul import Matmul
from pocketrec.spec.errors import ArtifactError
from pocketrec.train import trainer as module

FLAG = torch.backends.mkldnn.matmul


def choosing(monkeypatch: pytest.MonkeyPatch, rows: int | None) -> None:
    monkeypatch.setattr(module, "choose_matmul", lambda setting, *, precision: Matmul(onednn_rows=rows))


def stopped(planted: ModuleType, folder: Path) -> None:
    def stop(step: int) -> None:
        if step == 9:
            raise RuntimeError("killed")

    made = planted.trainer(folder=folder, watcher=planted.Watch(on_step=stop), config={"checkpoint_steps": 4})
    with pytest.raises(RuntimeError, match="killed"):
        made.run()


@pytest.mark.parametrize(("least", "inside"), [(50, "bf16"), (51, None), (None, None)])
def test_steps_of_so_many_rows_go_the_chosen_way(
    planted: ModuleType, monkeypatch: pytest.MonkeyPatch, least: int | None, inside: str | None
) -> None:
    choosing(monkeypatch, least)
    before, seen = FLAG.fp32_precision, set()
    train_step = module.train_step

    def watched(*arguments: Any, **named: Any) -> float:
        seen.add(FLAG.fp32_precision)
        return train_step(*arguments, **named)

    monkeypatch.setattr(module, "train_step", watched)
    planted.trainer(config={"epochs": 1}).run()
    assert seen == {inside or before}
    assert FLAG.fp32_precision == before


def test_a_run_that_goes_on_keeps_its_way(planted: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    choosing(monkeypatch, 77)
    stopped(planted, tmp_path)
    choosing(monkeypatch, None)  # measured again, this machine would be found to have changed its mind
    again = planted.trainer(folder=tmp_path, config={"checkpoint_steps": 4})
    again.run()
    assert again.state.step > 9
    assert again.state.matmul == {"onednn_rows": 77}
    assert again._matmul == Matmul(onednn_rows=77)


def test_another_setting_is_another_run(planted: ModuleType, tmp_path: Path) -> None:
    planted.trainer(folder=tmp_path, config={"matmul": "torch"}).run()
    with pytest.raises(ArtifactError, match="config differ"):
        planted.trainer(folder=tmp_path, config={"matmul": "auto"}).run()


def test_slow_bfloat16_is_told_with_numbers(planted: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "bfloat16_cost", lambda: 8.66)
    with pytest.warns(UserWarning, match=r"Products of bfloat16 take 8\.7 times as long as those of float32"):
        outcome = planted.trainer(config={"epochs": 1, "precision": "bfloat16"}).run()
    assert [note for note in outcome.notes if "8.7 times" in note]
    monkeypatch.setattr(module, "bfloat16_cost", lambda: 0.4)
    assert planted.trainer(config={"epochs": 1, "precision": "bfloat16"}).run().notes == ()
